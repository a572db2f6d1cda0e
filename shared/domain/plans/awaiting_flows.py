"""Record in an environment job which flows of its plan await an approval."""

from collections.abc import Collection
from dataclasses import replace

from shared.domain.plans.pending_actions import NAMED
from shared.domain.plans.plan_item import PlanItem
from shared.domain.plans.remediation import EnvironmentJob, NamedFlow


def with_awaiting_flows(job: EnvironmentJob, items: Collection[PlanItem]) -> EnvironmentJob:
    """Return the job with the number of these items, and the names of the first ones.

    Messages are sent every minute, so they do not read the plan.
    """
    first = sorted(items, key=lambda item: (item.display_name.casefold(), item.workflow_id))[:NAMED]
    return replace(
        job,
        awaiting_approval_count=len(items),
        first_awaiting_flows=tuple(
            NamedFlow(workflow_id=item.workflow_id, display_name=item.display_name)
            for item in first
        ),
    )
