"""Choose, for a flow in a plan, which callers refer to its URL secret."""

from collections.abc import Iterable
from dataclasses import replace

from shared.domain.environment import UrlSecretUse
from shared.domain.plans.plan_item import UNKNOWN_READERS, PlanItem, PlannedCaller
from shared.domain.plans.planned_changes import list_planned_changes
from shared.domain.plans.remediation import EnvironmentJob
from shared.domain.plans.unknowns import READERS_OF_APP_CONFIGURATION


def choose_url_secret(item: PlanItem, use: UrlSecretUse) -> PlanItem:
    """Return the plan item in which `use` decides which callers refer to the flow's URL secret.

    The planned changes and unknowns of the item are computed again.
    """
    callers = tuple(
        replace(caller, by_value_reason=_find_reason_against_reference(caller, use))
        for caller in item.callers
    )
    is_used = any(caller.is_to_refer_to_secret for caller in callers)
    is_risky = any(one.is_to_refer_to_secret and one.has_unknown_readers for one in callers)
    risk = READERS_OF_APP_CONFIGURATION.text
    unknowns = [text for text in item.unknowns if text != risk]
    item = replace(
        item,
        callers=callers,
        url_secret=item.possible_url_secret if is_used else "",
        unknowns=(*unknowns, risk) if is_risky else tuple(unknowns),
        url_secret_use=use if item.possible_url_secret else None,
    )
    return replace(item, planned_changes=tuple(one.text for one in list_planned_changes(item)))


def apply_url_secret_choices(job: EnvironmentJob, items: Iterable[PlanItem]) -> list[PlanItem]:
    """Return the items of a plan with the approvers' choices of URL secrets.

    The choices are in the environment job's row.
    """
    choices = job.url_secret_choices
    return [
        choose_url_secret(item, UrlSecretUse(choices[item.workflow_id]))
        if item.workflow_id in choices and item.can_choose_url_secret
        else item
        for item in items
    ]


def _find_reason_against_reference(caller: PlannedCaller, use: UrlSecretUse) -> str | None:
    if use is UrlSecretUse.NONE:
        return None
    if caller.has_unknown_readers and use is not UrlSecretUse.WITH_APP_CONFIGURATION:
        return f"{UNKNOWN_READERS} {caller.reader_evidence}".rstrip()
    return caller.reference_obstacle
