"""Build the page on which a plan is read and approved."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import urlencode

from functions.dashboard.page_actions import PageAction, approval
from functions.dashboard.page_layout import PageContext, render_page
from functions.dashboard.plan_rows import (
    PlanRow,
    RowGroup,
    natural_key,
    plan_rows,
    split_pages,
)
from shared.domain.jobs.environment_states import EnvironmentJobState
from shared.domain.jobs.flow_job import MigrationMethod
from shared.domain.plans.display_text import LEFT_WORDS
from shared.domain.plans.plan_item import NotMigratedReason, PlanItem, PlannedAction
from shared.domain.plans.plan_outlook import FlowOutlook, Outlook, outlooks_of
from shared.domain.plans.plan_selection import PlanSelection
from shared.domain.plans.remediation import EnvironmentJob, FirewallIssueSummary
from shared.domain.plans.unknowns import unknown_of
from shared.html_pages import pages_style
from shared.use_cases.show_remediation import PlanView

#: Maximum number of findings and of flow names of one line on a page; a file has all.
_MOST_FINDINGS, _NAMED, _NAMED_BY_FIREWALL = 20, 8, 3


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanChoice:
    """Which flows of a plan to show, and which the approver leaves out."""

    #: An outlook, a planned action, `awaiting` or `changed`; empty: all.
    filter: str = ""
    #: Part of a flow's name, id, callers or risk.
    search: str = ""
    #: Number of the page, from 1.
    page: int = 1
    #: Workflow ids.
    left_out: tuple[str, ...] = ()

    def takes(self, row: PlanRow) -> bool:
        """Return whether a row matches."""
        if self.filter == "awaiting":
            is_kind = row.awaits
        elif self.filter == "changed":
            is_kind = bool(row.item.changed_since_approval)
        else:
            is_kind = self.filter in ("", row.outlook.outlook, row.item.action)
        return is_kind and (not self.search or self.search.strip().lower() in row.text)

    def query(self, **changes: object) -> str:
        """Return the query of a link that keeps the choice, with some changes."""
        values = {
            "filter": self.filter,
            "search": self.search,
            "leave_out": ".".join(self.left_out),
            "page": 1,
            **changes,
        }
        return urlencode({k: v for k, v in values.items() if v and (k, v) != ("page", 1)})


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptedUnknowns:
    """Unknowns of the same flows with the same consequence."""

    titles: tuple[str, ...]
    consequence: str
    flow_count: int
    #: The first of them, in natural order.
    flow_names: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ShownPlan:
    """The plan of one environment, with everything that its page shows."""

    view: PageContext
    remediation_id: str
    plan: PlanView
    choice: PlanChoice
    is_file: bool = False

    @property
    def job(self) -> EnvironmentJob:
        """Return the environment job."""
        return self.plan.environment_job

    @property
    def title(self) -> str:
        """Return the name of the environment."""
        return self.job.environment_name or self.job.environment_id

    @cached_property
    def version(self) -> str:
        """Return the plan version."""
        return self.plan.version

    @cached_property
    def awaiting(self) -> tuple[PlanItem, ...]:
        """Return the items that await approval."""
        if not self.job.awaits_approval:
            return ()
        return tuple(item for item in self.plan.items if item.awaits_approval)

    @cached_property
    def outlooks(self) -> Mapping[str, FlowOutlook]:
        """Return the outlook of each flow."""
        return outlooks_of(self.job, self.plan.items)

    @cached_property
    def counts(self) -> Mapping[Outlook, int]:
        """Return the number of flows by outlook."""
        return Counter(one.outlook for one in self.outlooks.values())

    @cached_property
    def _all_groups(self) -> list[RowGroup]:
        awaiting = frozenset(item.workflow_id for item in self.awaiting)
        return plan_rows(self.plan.items, self.outlooks, awaiting)

    @cached_property
    def groups(self) -> list[RowGroup]:
        """Return the rows that match, in their groups."""
        matching = (
            RowGroup(rows=tuple(filter(self.choice.takes, group.rows)), size=group.size)
            for group in self._all_groups
        )
        return [group for group in matching if group.rows]

    @cached_property
    def pages(self) -> list[list[RowGroup]]:
        """Return the matching rows by page."""
        return [self.groups] if self.is_file else split_pages(self.groups)

    @cached_property
    def page(self) -> int:
        """Return the number of the shown page, from 1."""
        return min(self.choice.page, len(self.pages))

    @cached_property
    def rows(self) -> list[PlanRow]:
        """Return the rows on this page."""
        return [row for group in self.pages[self.page - 1] for row in group.rows]

    @cached_property
    def matching_count(self) -> int:
        """Return the number of rows on all pages."""
        return sum(len(group.rows) for group in self.groups)

    # --- the approval -----------------------------------------------------------------------------

    @cached_property
    def approval(self) -> PageAction:
        """Return the approval of this version."""
        why_not = self.view.may_not_approve
        expires = self.job.approval_expires_at
        if expires and expires <= self.view.now:
            why_not = "This plan has expired. Start a new remediation."
        return approval(self.remediation_id, self.version, self.view.principal, why_not)

    @property
    def is_offered(self) -> bool:
        """Return whether this reader can approve the plan on this page."""
        return bool(self.awaiting) and not self.is_file and not self.approval.refusal

    @cached_property
    def _shown_ids(self) -> frozenset[str]:
        return frozenset(row.item.workflow_id for row in self.rows)

    @cached_property
    def selection(self) -> PlanSelection:
        """Return what an approval with every tick of this page includes."""
        return PlanSelection(awaiting=self.awaiting, left_out=self.left_out_elsewhere)

    @cached_property
    def excluded(self) -> frozenset[str]:
        """Return the flows that the choice leaves out, with all flows that run them."""
        selection = PlanSelection(awaiting=self.awaiting, left_out=self.choice.left_out)
        return selection.excluded

    def can_tick(self, row: PlanRow) -> bool:
        """Return whether a row has a tick: its approval does not depend on another page."""
        return row.awaits and row.item.workflow_id not in self.selection.excluded

    @cached_property
    def ticks(self) -> list[PlanRow]:
        """Return the rows with a tick."""
        return [row for row in self.rows if self.can_tick(row)]

    def left_out_with(self, row: PlanRow) -> str:
        """Return the query of the link that leaves a flow out on every page, or includes it."""
        flow, left_out = row.item.workflow_id, self.choice.left_out
        changed = [one for one in left_out if one != flow]
        if flow not in left_out:
            changed.append(flow)
        return self.choice.query(leave_out=".".join(changed), page=self.page)

    @cached_property
    def elsewhere(self) -> list[PlanItem]:
        """Return the included flows that are not on this page."""
        return [one for one in self.selection.included if one.workflow_id not in self._shown_ids]

    @cached_property
    def offered(self) -> str:
        """Return the ids of the flows to choose from; empty if the page offers all flows."""
        if len(self.ticks) == len(self.awaiting):
            return ""
        shown = [row.item.workflow_id for row in self.ticks]
        return ",".join([*shown, *self.without_choice, *self.left_out_elsewhere])

    @property
    def without_choice(self) -> list[str]:
        """Return a flow that a page without ticks includes, because a form names at least one."""
        return [] if self.ticks else [item.workflow_id for item in self.elsewhere[:1]]

    @cached_property
    def left_out_elsewhere(self) -> list[str]:
        """Return the flows of the choice that are left out and not on this page."""
        known = {item.workflow_id for item in self.awaiting} - self._shown_ids
        return [flow for flow in self.choice.left_out if flow in known]

    @cached_property
    def far(self) -> list[tuple[int, int, tuple[int, ...]]]:
        """Return the included flows elsewhere that depend on flows of this page, for the script.

        Of each flow: its position, its number of changes, the positions of the flows that it runs.
        """
        elsewhere = {item.workflow_id for item in self.elsewhere}
        ticks = {row.position for row in self.ticks}
        found = []
        for group in self._all_groups:
            away = [row for row in group.rows if row.item.workflow_id in elsewhere]
            if away and any(row.position in ticks for row in group.rows):
                found += [
                    (row.position, len(row.item.planned_changes), row.child_positions)
                    for row in away
                ]
        return found

    # --- what is said of it -----------------------------------------------------------------------

    @cached_property
    def included(self) -> Sequence[PlanItem]:
        """Return the items that the plan changes: those that await approval, or all with a job."""
        if self.job.awaits_approval:
            return self.selection.included
        return [item for item in self.plan.items if item.action.has_job]

    @property
    def change_count(self) -> int:
        """Return the number of planned changes of the included flows."""
        return sum(len(item.planned_changes) for item in self.included)

    def parts(self, here: str) -> list[tuple[str, int, str, str, str]]:
        """Return look, number, words, link and icon of each outlook; the numbers add up."""
        walls = sum(not issue.fix_by_app for issue in self.job.firewall_issues)
        firewalls = "a firewall" if walls == 1 else f"{walls} firewalls"
        said = (
            (Outlook.NO_PAUSE, "work", "go", "migrates", "migrate", "without a known pause"),
            (Outlook.FIREWALL, "wait", "pause", "pauses", "pause", f"at {firewalls}"),
            (
                Outlook.PERSON,
                "wait",
                "person",
                "pauses",
                "pause",
                "until a person changes a caller",
            ),
            (Outlook.HAS_JOB, "work", "go", "was", "were", "started before this approval"),
            (Outlook.NOT_INCLUDED, "over", "idle", "is", "are", "not included"),
        )
        return [
            (
                look,
                number,
                f"{singular if number == 1 else plural} {rest}",
                "" if self.is_file else f"{here}{self.choice.query(filter=outlook)}#flows",
                icon,
            )
            for outlook, look, icon, singular, plural, rest in said
            if (number := self.counts.get(outlook, 0))
        ]

    @property
    def not_included_count(self) -> int:
        """Return the number of flows that the plan does not change."""
        return self.counts.get(Outlook.NOT_INCLUDED, 0)

    @cached_property
    def not_included(self) -> list[tuple[int, str, str]]:
        """Return how many flows are not included, with the reason and what to do about it."""
        found = Counter[str]()
        for item in self.plan.items:
            if item.needs_changes:
                found[NotMigratedReason.NEEDS_CHANGES] += 1
            elif not item.action.has_job:
                found[item.not_migrated_reason or ""] += 1
        words = {**LEFT_WORDS, "": ("migrated already", "")}
        return [(number, *words.get(why, (why, ""))) for why, number in found.items()]

    @cached_property
    def unknowns(self) -> list[AcceptedUnknowns]:
        """Return the unknowns of the included flows, those with equal consequences together."""
        by_texts: dict[tuple[str, ...], list[str]] = {}
        for item in self.included:
            by_texts.setdefault(item.unknowns, []).append(item.display_name)
        flows: dict[str, list[str]] = {}
        for texts, names in by_texts.items():
            for text in texts:
                flows.setdefault(text, []).extend(names)
        alike: dict[tuple[str, tuple[str, ...]], list[str]] = {}
        for text, names in flows.items():
            alike.setdefault((unknown_of(text).consequence, tuple(names)), []).append(text)
        return [
            AcceptedUnknowns(
                titles=tuple(unknown_of(text).title for text in texts),
                consequence=consequence,
                flow_count=len(names),
                flow_names=tuple(sorted(names, key=natural_key)[:_NAMED]),
            )
            for (consequence, names), texts in alike.items()
        ]

    @cached_property
    def firewalls(self) -> list[tuple[FirewallIssueSummary, list[str], int]]:
        """Return each firewall issue with the first names of its flows and their number."""
        names = {item.workflow_id: item.display_name for item in self.plan.items}
        return [
            (
                issue,
                [names.get(flow, flow) for flow in issue.workflow_ids[:_NAMED_BY_FIREWALL]],
                max(issue.flow_count, len(issue.workflow_ids)),
            )
            for issue in sorted(self.job.firewall_issues, key=lambda one: bool(one.fix_by_app))
        ]

    @property
    def findings(self) -> Sequence[str]:
        """Return the findings that the page shows."""
        return self.job.findings if self.is_file else self.job.findings[:_MOST_FINDINGS]

    @cached_property
    def effects(self) -> Mapping[str, int]:
        """Return how many included flows are copied, cut over, changed in place, and the rest."""
        kinds = Counter(
            (item.action, item.migration_method, item.has_trigger_url) for item in self.included
        )

        def count(takes: Callable[[PlannedAction, MigrationMethod, bool], bool]) -> int:
            return sum(number for kind, number in kinds.items() if takes(*kind))

        def is_updated(action: PlannedAction, method: MigrationMethod, _: bool = True) -> bool:
            return action.is_copy and method is MigrationMethod.UPDATE_CALLERS

        callers = {
            (caller.kind, caller.label)
            for item in self.included
            if item.callers and is_updated(item.action, item.migration_method)
            for caller in item.callers
            if not caller.manual_reason and caller.kind != "more"
        }
        return {
            "copies": count(lambda action, *_: action.is_copy),
            "new_urls": count(lambda *kind: is_updated(*kind) and kind[2]),
            "callers": len(callers),
            "restarts": sum(kind == "app_setting" for kind, _ in callers),
            "kept_on": count(is_updated),
            "cut_over": count(lambda action, *_: action is PlannedAction.CUT_OVER),
            "in_place": count(lambda action, *_: action.is_work and not action.is_copy),
            "continued": count(lambda action, *_: not action.is_work),
        }

    @property
    def state(self) -> tuple[str, str, str]:
        """Return look, icon and words of the plan's state."""
        job = self.job
        has_expired = bool(job.approval_expires_at and job.approval_expires_at <= self.view.now)
        if self.awaiting:
            return ("over", "clock", "Expired") if has_expired else _AWAITING
        if job.state is EnvironmentJobState.CANCELLED:
            never = job.awaiting_approval_count and has_expired
            return "over", "idle", "Expired" if never else "Cancelled"
        if job.needs_action:
            return "person", "stop", str(job.state).replace("_", " ").capitalize()
        if not job.mode.writes:
            return "over", "plan", "Dry run"
        if job.approved_by:
            return "done", "ok", "Approved"
        return "work", "go", str(job.state).replace("_", " ").capitalize()


_AWAITING = ("wait", "plan", "Awaiting approval")


def plan_page(
    view: PageContext,
    remediation_id: str,
    plans: Sequence[PlanView],
    choice: PlanChoice,
    *,
    environment_id: str = "",
    is_file: bool = False,
) -> str:
    """Return the plan page with each flow and its planned changes.

    Of several plans, the page lists each with a link, unless `environment_id` selects one.
    `is_file`: return a self-contained page of all plans, without buttons.
    """
    chosen = [plan for plan in plans if environment_id in ("", plan.environment_job.environment_id)]
    shown = [
        ShownPlan(
            view=view, remediation_id=remediation_id, plan=plan, choice=choice, is_file=is_file
        )
        for plan in chosen
    ]
    there = f"/api/dashboard/remediations/{remediation_id}"
    is_list = len(shown) != 1 and not is_file
    asked = {"environment": environment_id} if environment_id else {}
    return render_page(
        "plans" if is_list else "plan",
        view,
        section="Remediations",
        remediation_id=remediation_id,
        there=there,
        shown=shown,
        here=f"{there}/plan?{urlencode(asked)}" + ("&" if asked else ""),
        environment_id=environment_id,
        has_others=len(plans) > 1,
        choice=choice,
        outlooks=Outlook,
        style=pages_style() if is_file else "",
    )
