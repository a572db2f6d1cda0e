"""Show one flow of a plan as a row."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property

from functions.dashboard.titles import shorten_workflow_id
from shared.domain.flow_owner import format_owner
from shared.domain.jobs.flow_job import MigrationMethod
from shared.domain.plans.dependency_graph import DependencyGraph
from shared.domain.plans.display_text import ACTION_WORDS
from shared.domain.plans.plan_item import PlanItem, PlannedAction
from shared.domain.plans.plan_outlook import FlowOutlook, Outlook
from shared.domain.plans.unknowns import UNKNOWN_CALLERS, Unknown, find_unknown_by_text

#: Maximum number of callers and dependent flows that one row names.
_NAMED = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanGraph:
    """The flows of a plan, which of them run which, and which await approval."""

    items: Mapping[str, PlanItem]
    graph: DependencyGraph
    awaiting: frozenset[str]
    #: Titles that several flows have.
    equal_titles: frozenset[str]

    def format_names(self, flows: Collection[str]) -> tuple[str, ...]:
        """Return the names of the first of these flows, and the number of the remaining ones as
        text.
        """
        names = sorted(self.items[flow].display_name for flow in flows if flow in self.items)
        more = [f"{len(names) - _NAMED} more"] if len(names) > _NAMED else []
        return (*names[:_NAMED], *more)


@dataclass(frozen=True, kw_only=True)
class PlanRow:
    """A flow of a plan as the plan's page shows it."""

    item: PlanItem
    outlook: FlowOutlook
    #: Position among all flows of the plan, and those of the awaiting flows that it runs.
    position: int
    child_positions: tuple[int, ...] = ()
    plan: PlanGraph

    @property
    def short_id(self) -> str:
        """Return the beginning of the flow's id if other flows have the same title, or ""."""
        is_equal = self.item.display_name in self.plan.equal_titles
        return shorten_workflow_id(self.item.workflow_id) if is_equal else ""

    @property
    def awaits_approval(self) -> bool:
        return self.item.workflow_id in self.plan.awaiting

    @property
    def child_names(self) -> tuple[str, ...]:
        return self.plan.format_names(self.item.children)

    @property
    def parent_names(self) -> tuple[str, ...]:
        return self.plan.format_names(self.item.parents)

    @property
    def names_left_out_with_it(self) -> tuple[str, ...]:
        """Return the names of the flows that are left out with this flow, because they run it."""
        if not self.awaits_approval:
            return ()
        above = self.plan.graph.find_ancestors(self.item.workflow_id)
        return self.plan.format_names(above & self.plan.awaiting)

    @property
    def pausing_flow_name(self) -> str:
        """Return the name of the dependent flow whose pause also pauses this one, or "" if there is
        none.
        """
        cause = self.outlook.waits_for
        return self.plan.items[cause].display_name if cause else ""

    @property
    def action_words(self) -> str:
        item = self.item
        # The group of a row already says that it has dependent flows.
        is_plain = item.action is PlannedAction.COPY_WITH_DEPENDENT_FLOWS
        words = ACTION_WORDS.get(PlannedAction.COPY if is_plain else item.action, item.action)
        has_new_url = (
            item.action.is_copy
            and item.has_trigger_url
            and item.migration_method is MigrationMethod.UPDATE_CALLERS
        )
        return words[:1].upper() + words[1:] + (", new URL" if has_new_url else "")

    @property
    def owner(self) -> str:
        """Return the owner's name, and whether the owner has left."""
        return format_owner(self.item.owner)

    @property
    def callers(self) -> str:
        number = sum(1 for one in self.item.callers if one.kind != "more")
        if number:
            more = "+" if number < len(self.item.callers) else ""
            return "1 caller" if number == 1 else f"{number}{more} callers"
        is_called = self.item.action.is_work and self.item.migration_method not in {
            MigrationMethod.CUT_OVER
        }
        return "No known caller" if is_called else ""

    @property
    def risk(self) -> tuple[str, str, str]:
        """Return the most important risk: CSS class, icon and words.

        If no risk is known, the CSS class is empty.
        """
        if self.item.changed_since_approval:
            return "wait", "alert", "Changed since the approval"
        if self.pausing_flow_name:
            return "wait", "pause", f"Pauses with {self.pausing_flow_name}"
        match self.outlook.outlook:
            case Outlook.FIREWALL:
                return "wait", "pause", self._firewall_pause
            case Outlook.OWNER:
                return "wait", "person", f"Pauses: {self._absent_owner}"
            case Outlook.PERSON:
                callers = self.outlook.manual_callers
                what = callers[0].label if len(callers) == 1 else f"{len(callers)} callers"
                return "wait", "person", f"Pauses: a person changes {what}"
            case Outlook.NOT_INCLUDED:
                look = "wait" if self.item.needs_changes else "over"
                return look, "alert" if self.item.needs_changes else "idle", self.item.message
            case Outlook.HAS_JOB:
                is_continued = self.item.action is PlannedAction.CONTINUE_EXISTING_JOB
                where = "In another remediation" if is_continued else "Started before this approval"
                return "work", "go", where
            case Outlook.NO_PAUSE:
                return self._minor_risk

    @property
    def _absent_owner(self) -> str:
        owner = self.item.owner
        return f"owner {owner.status.replace('_', ' ')}" if owner else ""

    @property
    def _firewall_pause(self) -> str:
        issues = [one for one in self.outlook.firewall_issues if not one.fix_by_app]
        if len(issues) == 1:
            return f"Pauses: firewall {issues[0].firewall_name}"
        return f"Pauses: {len(issues)} firewalls"

    @property
    def _minor_risk(self) -> tuple[str, str, str]:
        if UNKNOWN_CALLERS.text in self.item.unknowns:
            return "unknown", "unknown", "Some callers may be unknown"
        if self.outlook.firewall_issues:
            name = self.outlook.firewall_issues[0].firewall_name
            return "work", "go", f"The app opens firewall {name}"
        if self.item.action is PlannedAction.CUT_OVER:
            return "over", "idle", "Off for a moment at the cutover"
        if self.item.action is PlannedAction.COPY_OFF:
            return "over", "idle", "Is off, stays off"
        return "", "", "No pause known"

    @cached_property
    def unknowns(self) -> tuple[Unknown, ...]:
        """Return the unknowns that the approver accepts."""
        return tuple(map(find_unknown_by_text, self.item.unknowns))

    @property
    def search_text(self) -> str:
        """Return the text that a search reads: name, id, callers, owner and risk, in lower case."""
        labels = " ".join(caller.label for caller in self.item.callers)
        item = self.item
        said = f"{item.display_name} {item.workflow_id} {labels} {self.owner} {self.risk[2]}"
        return said.lower()
