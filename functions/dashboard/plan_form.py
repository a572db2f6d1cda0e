"""Build the form that approves a plan, with a checkbox for each flow of one page."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from functions.dashboard.plan_groups import RowGroup
from functions.dashboard.plan_rows import PlanRow
from shared.domain.plans.plan_item import PlanItem
from shared.domain.plans.plan_selection import PlanSelection


@dataclass(frozen=True, kw_only=True)
class PlanForm:
    """The form on one page of a plan, on which an approver ticks flows.

    The form names the ticked flows. If the page does not offer all flows, the form also names the
    flows that it offers, and the approval includes flows of other pages.
    """

    #: All items of the plan that await approval.
    awaiting: Sequence[PlanItem]
    #: The rows on the page, and those of all pages in their groups.
    rows: Sequence[PlanRow]
    groups: Sequence[RowGroup]
    #: Workflow ids that the approver leaves out on every page.
    left_out: Sequence[str]

    @cached_property
    def _ids_on_page(self) -> frozenset[str]:
        return frozenset(row.item.workflow_id for row in self.rows)

    @cached_property
    def ids_left_out_elsewhere(self) -> list[str]:
        known = {item.workflow_id for item in self.awaiting} - self._ids_on_page
        return [flow for flow in self.left_out if flow in known]

    @cached_property
    def selection(self) -> PlanSelection:
        """Return what an approval includes if every checkbox on this page is ticked."""
        return PlanSelection(awaiting=self.awaiting, left_out=self.ids_left_out_elsewhere)

    @cached_property
    def excluded_ids(self) -> frozenset[str]:
        """Return the ids of the flows that the approver leaves out, and of flows that run them."""
        return PlanSelection(awaiting=self.awaiting, left_out=self.left_out).excluded_ids

    def has_checkbox(self, row: PlanRow) -> bool:
        """Return whether the approver can choose a flow: it runs no flow that another page leaves
        out.
        """
        return row.awaits_approval and row.item.workflow_id not in self.selection.excluded_ids

    @cached_property
    def rows_with_checkbox(self) -> list[PlanRow]:
        return [row for row in self.rows if self.has_checkbox(row)]

    @cached_property
    def items_included_elsewhere(self) -> list[PlanItem]:
        return [
            one for one in self.selection.included_items if one.workflow_id not in self._ids_on_page
        ]

    @cached_property
    def offered_ids_field(self) -> str:
        """Return the ids of the flows that the form offers as one text, or "" if it offers all."""
        if len(self.rows_with_checkbox) == len(self.awaiting):
            return ""
        shown = [row.item.workflow_id for row in self.rows_with_checkbox]
        return ",".join([*shown, *self.fallback_ids, *self.ids_left_out_elsewhere])

    @property
    def fallback_ids(self) -> list[str]:
        """Return the id of one included flow on another page, if this page has no checkbox.

        The form has to name at least one flow.
        """
        return (
            []
            if self.rows_with_checkbox
            else [item.workflow_id for item in self.items_included_elsewhere[:1]]
        )

    @cached_property
    def dependent_flows_elsewhere(self) -> list[tuple[int, int, tuple[int, ...]]]:
        """Return the flows of other pages whose approval depends on the checkboxes of this page.

        The page's script reads them. Each has its position, its number of changes, and the
        positions of the flows that it runs.
        """
        elsewhere = {item.workflow_id for item in self.items_included_elsewhere}
        ticks = {row.position for row in self.rows_with_checkbox}
        found = []
        for group in self.groups:
            away = [row for row in group.rows if row.item.workflow_id in elsewhere]
            if away and any(row.position in ticks for row in group.rows):
                found += [
                    (row.position, len(row.item.planned_changes), row.child_positions)
                    for row in away
                ]
        return found
