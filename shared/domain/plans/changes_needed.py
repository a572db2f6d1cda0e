"""List the flows that a person has to change before the app can migrate them."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from shared.domain.plans.current_plan import CurrentPlan
from shared.domain.plans.pending_actions import (
    NAMED,
    PendingAction,
    PendingActionKind,
    format_count,
)
from shared.domain.plans.plan_item import PlanItem


def list_pending_flow_changes(plans: Iterable[CurrentPlan]) -> list[PendingAction]:
    """Return a pending action for each environment with flows that need changes first."""
    return [_build_pending_action(plan) for plan in plans if plan.needs_changes]


def _build_pending_action(plan: CurrentPlan) -> PendingAction:
    job, _ = plan.needs_changes[0]
    items = sorted((item for _, item in plan.needs_changes), key=lambda item: item.display_name)
    reasons = {item.message for item in items}
    command = f"cmkflow plan show {job.remediation_id} --needs-changes"
    return PendingAction(
        kind=PendingActionKind.NEEDS_CHANGES,
        count=len(items),
        environment_id=job.environment_id,
        environment_name=job.environment_name,
        remediation_id=job.remediation_id,
        flows=tuple(item.display_name for item in items[:NAMED]),
        workflow_ids=tuple(item.workflow_id for item in items[:NAMED]),
        message=items[0].message
        if len(reasons) == 1
        else "The app cannot migrate these flows as they are.",
        fix=format_needed_changes(items, "the plan"),
        next_command=command,
        pending_since=min(
            (one.planned_at for one, _ in plan.needs_changes if one.planned_at), default=None
        ),
    )


def format_needed_changes(items: Sequence[PlanItem], where: str) -> str:
    """Return what to change in each flow. Flows with the same fix are named together.

    Only the first fixes are in the text, which refers to `where` for the other flows.
    """
    alike: dict[str, list[str]] = defaultdict(list)
    for item in items:
        alike[item.fix].append(item.display_name)
    if len(alike) == 1:
        return items[0].fix
    first = list(alike.items())[:NAMED]
    lines = [f"{', '.join(titles)}: {fix}" for fix, titles in first]
    if more := len(items) - sum(len(titles) for _, titles in first):
        lines.append(f"For {format_count(more, 'more flow')} see {where}.")
    return " ".join(lines)
