"""Find out what an approval of a plan includes when the approver leaves out some flows."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property

from shared.domain.plans.plan_approval import add_parent_flows
from shared.domain.plans.plan_item import PlanItem


@dataclass(frozen=True, kw_only=True)
class PlanSelection:
    """The flows of a plan that await approval, and those of them that the approver leaves out."""

    #: All items of the plan that await approval.
    awaiting: Sequence[PlanItem]
    #: Workflow ids that the approver leaves out; the flows that run them are left out as well.
    left_out: Collection[str] = ()

    @cached_property
    def excluded_ids(self) -> frozenset[str]:
        """Return the workflow ids of the flows that are left out, and of all flows that run
        them.
        """
        children = {item.workflow_id: item.children for item in self.awaiting}
        return frozenset(add_parent_flows(children.keys() & set(self.left_out), children))

    @cached_property
    def included_items(self) -> tuple[PlanItem, ...]:
        return tuple(item for item in self.awaiting if item.workflow_id not in self.excluded_ids)

    @cached_property
    def change_count(self) -> int:
        """Return the number of planned changes of the included flows."""
        return sum(len(item.planned_changes) for item in self.included_items)
