"""Choose before an approval which callers of a flow refer to its URL secret."""

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, replace

from shared.domain.environment import UrlSecretUse
from shared.domain.plans.choose_url_secret import apply_url_secret_choices
from shared.errors import Conflict, InvalidInput
from shared.services import Services
from shared.use_cases.approve_plan import AwaitingPlan, read_plans_awaiting_approval
from shared.use_cases.name_flows import select_flows
from shared.use_cases.read_remediation_rows import get_remediation

#: Flows of one plan with a choice of their own: the choices are in the row of the environment job.
MOST_CHOICES = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenUrlSecrets:
    """The flows for which an approver has chosen, and the new versions of their plans."""

    flow_count: int
    versions: tuple[str, ...]


async def choose_url_secrets(
    services: Services, remediation_id: str, flow_ids: Collection[str], use: UrlSecretUse
) -> ChosenUrlSecrets:
    """Store which callers of these flows refer to URL secrets.

    Their plans get new versions. Raises `JobBlocked` (code `nothing_to_approve`), `InvalidInput`
    for too many choices, and `NotFound` for an unknown remediation, or for a flow that does not
    await approval or has no caller that can refer to a secret.
    """
    await get_remediation(services, remediation_id)
    while True:
        plans = await read_plans_awaiting_approval(services, remediation_id)
        items = [item for plan in plans for item in plan.items if item.can_choose_url_secret]
        where = "this plan that awaits approval and has a caller that can refer to a secret"
        chosen = {item.workflow_id for item in select_flows(items, flow_ids, where)}
        changed = [plan for plan in plans if chosen & plan.awaiting_workflow_ids]
        with suppress(Conflict):  # another invocation or person changed a row: read it again
            versions = [await _store_choice(services, plan, chosen, use) for plan in changed]
            return ChosenUrlSecrets(flow_count=len(chosen), versions=tuple(versions))


async def _store_choice(
    services: Services, plan: AwaitingPlan, flows: Collection[str], use: UrlSecretUse
) -> str:
    """Store the choice in the row of a plan, and return the plan's new version.

    Raises `Conflict` if the row has changed, so that nobody approves the plan at the same time.
    """
    mine = sorted(plan.awaiting_workflow_ids & set(flows))
    choices = plan.job.url_secret_choices | dict.fromkeys(mine, str(use))
    if len(choices) > MOST_CHOICES:
        raise InvalidInput(
            f"A plan can have a choice for at most {MOST_CHOICES:,} flows. Change the setting of "
            "the environment, and plan again."
        )
    job = replace(plan.job, url_secret_choices=choices)
    kept = await services.tables.environment_jobs.replace(plan.kept, job)
    return replace(plan, kept=kept, items=apply_url_secret_choices(job, plan.items)).version
