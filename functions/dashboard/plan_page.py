"""Build the page on which people read and approve a plan."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from urllib.parse import urlencode

from functions.dashboard.environment_actions import build_approval_policy_action
from functions.dashboard.kill_switch import adapt_action_to_kill_switch, build_stop_banner
from functions.dashboard.owner_lists import get_owner_name
from functions.dashboard.page_actions import PageAction, build_approval_action
from functions.dashboard.page_layout import PageContext, render_page
from functions.dashboard.plan_form import PlanForm
from functions.dashboard.plan_groups import RowGroup, group_plan_rows, split_groups_into_pages
from functions.dashboard.plan_left_out import decode_left_out, encode_left_out
from functions.dashboard.plan_rows import PlanRow
from functions.dashboard.plan_summary import PlanSummary
from shared.domain.environment import ApprovalPolicy
from shared.domain.flow_owner import is_owned_by
from shared.domain.plans.display_text import URL_SECRET_WORDS
from shared.domain.plans.plan_item import PlanItem
from shared.domain.plans.plan_outlook import FlowOutlook, build_outlooks
from shared.domain.plans.remediation import EnvironmentJob
from shared.html_pages import read_style
from shared.use_cases.show_remediation import PlanView


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanChoice:
    """Which flows of a plan the page shows, and which the approver leaves out."""

    #: An outlook, a planned action, `awaiting` or `changed`; empty: all.
    filter: str = ""
    #: Part of a flow's name, id, callers, owner or risk.
    search: str = ""
    #: Part of an owner's name, id or status.
    owner: str = ""
    #: Number of the page, from 1.
    page: int = 1
    #: From `encode_left_out`.
    leave_out: str = ""

    def matches_row(self, row: PlanRow) -> bool:
        if self.filter == "awaiting":
            is_kind = row.awaits_approval
        elif self.filter == "changed":
            is_kind = bool(row.item.changed_since_approval)
        else:
            is_kind = self.filter in ("", row.outlook.outlook, row.item.action)
        if self.owner and not is_owned_by(row.item.owner, self.owner):
            return False
        return is_kind and (not self.search or self.search.strip().lower() in row.search_text)


@dataclass(frozen=True, kw_only=True)
class ShownPlan:
    """The plan of one environment as its page shows it to one reader."""

    view: PageContext
    remediation_id: str
    plan: PlanView
    choice: PlanChoice
    is_file: bool = False

    @property
    def job(self) -> EnvironmentJob:
        return self.plan.environment_job

    @property
    def title(self) -> str:
        """Return the name of the environment."""
        return self.job.environment_name or self.job.environment_id

    @cached_property
    def version(self) -> str:
        return self.plan.version

    @cached_property
    def awaiting_items(self) -> tuple[PlanItem, ...]:
        if not self.job.awaits_approval:
            return ()
        return tuple(item for item in self.plan.items if item.awaits_approval)

    @cached_property
    def _left_out_ids(self) -> tuple[str, ...] | None:
        ids = (item.workflow_id for item in self.awaiting_items)
        return decode_left_out(self.choice.leave_out, self.version, ids)

    @cached_property
    def _encoded_left_out(self) -> str:
        return self._encode_left_out_ids(self._left_out_ids or ())

    def _encode_left_out_ids(self, left_out: Collection[str]) -> str:
        ids = (item.workflow_id for item in self.awaiting_items)
        return encode_left_out(self.version, ids, left_out)

    @property
    def has_lost_choice(self) -> bool:
        """Return whether the approver left flows out of an earlier version of the plan."""
        return self.is_offered and self._left_out_ids is None

    def build_query(self, *, left_out: Collection[str] | None = None, **changes: object) -> str:
        """Return the URL query for the current choice. `changes` replace single parameters.

        Without `page`, the query leads to the first page. `left_out` contains the workflow ids to
        leave out; None keeps the current ones.
        """
        kept = self._encoded_left_out if left_out is None else self._encode_left_out_ids(left_out)
        values = {
            "filter": self.choice.filter,
            "search": self.choice.search,
            "owner": self.choice.owner,
            "leave_out": kept,
            "page": 1,
            **changes,
        }
        return urlencode({k: v for k, v in values.items() if v and (k, v) != ("page", 1)})

    def compute_left_out_ids(self, included: Collection[str], offered: Collection[str]) -> set[str]:
        """Return the ids of the flows that the approver leaves out after sending a form with the
        `included` flows.

        `offered` contains the flows that the form offers. If it is empty, the form offers all flows
        of the plan.
        """
        choices = {*(offered or (item.workflow_id for item in self.awaiting_items))}
        return (choices | {*(self._left_out_ids or ())}) - {*included}

    @cached_property
    def outlooks(self) -> Mapping[str, FlowOutlook]:
        return build_outlooks(self.job, self.plan.items)

    @cached_property
    def _all_groups(self) -> list[RowGroup]:
        awaiting = frozenset(item.workflow_id for item in self.awaiting_items)
        return group_plan_rows(self.plan.items, self.outlooks, awaiting)

    @cached_property
    def groups(self) -> list[RowGroup]:
        """Return the rows that the filter selects, in their groups."""
        matching = (
            RowGroup(rows=tuple(filter(self.choice.matches_row, group.rows)), size=group.size)
            for group in self._all_groups
        )
        return [group for group in matching if group.rows]

    @cached_property
    def pages(self) -> list[list[RowGroup]]:
        return [self.groups] if self.is_file else split_groups_into_pages(self.groups)

    @cached_property
    def page(self) -> int:
        return min(self.choice.page, len(self.pages))

    @cached_property
    def rows(self) -> list[PlanRow]:
        return [row for group in self.pages[self.page - 1] for row in group.rows]

    @property
    def owner(self) -> str:
        """Return the name of the owner by whom the page filters, or the text that the reader
        entered.
        """
        return get_owner_name((row.item.owner for row in self.rows), self.choice.owner)

    @cached_property
    def matching_count(self) -> int:
        return sum(len(group.rows) for group in self.groups)

    @cached_property
    def approve_action(self) -> PageAction:
        """Return the action that approves this version, or the reason why the reader cannot."""
        why_not = self.view.may_not_approve
        expires = self.job.approval_expires_at
        if expires and expires <= self.view.now:
            why_not = "This plan has expired. Start a new remediation."
        elif self.plan.approval_policy is None:
            why_not = "The app cannot read the settings of the environment."
        elif self.is_read_only:
            why_not = f"{self.title} is read-only. {why_not}".strip()
        return adapt_action_to_kill_switch(
            build_approval_action(self.remediation_id, self.version, self.view.principal, why_not),
            self.view,
        )

    @property
    def is_read_only(self) -> bool:
        """Return whether the plan cannot be approved because its environment is read-only."""
        is_read_only = self.plan.approval_policy is ApprovalPolicy.READ_ONLY
        return is_read_only and bool(self.awaiting_items) and not self.is_file

    @cached_property
    def permit_action(self) -> PageAction:
        """Return the action that lets the app change the environment after approvals."""
        action = build_approval_policy_action(
            self.job.environment_id, self.title, self.view.principal, ApprovalPolicy.REQUIRED
        )
        return replace(action, title=f"Permit changes in {self.title}")

    @property
    def is_offered(self) -> bool:
        """Return whether this reader can approve the plan on this page."""
        return (
            bool(self.awaiting_items)
            and not self.is_file
            and not self.approve_action.unavailable_reason
        )

    @cached_property
    def form(self) -> PlanForm:
        return PlanForm(
            awaiting=self.awaiting_items,
            rows=self.rows,
            groups=self._all_groups,
            left_out=self._left_out_ids or (),
        )

    @cached_property
    def included_items(self) -> Sequence[PlanItem]:
        """Return the plan items that the approval includes, or all that the plan changes if it
        awaits no approval.
        """
        if self.job.awaits_approval:
            return self.form.selection.included_items
        return [item for item in self.plan.items if item.action.is_work]

    @property
    def change_count(self) -> int:
        return sum(len(item.planned_changes) for item in self.included_items)

    @cached_property
    def summary(self) -> PlanSummary:
        return PlanSummary(
            job=self.job,
            items=self.plan.items,
            included=self.included_items,
            outlooks=self.outlooks,
            now=self.view.now,
            is_file=self.is_file,
        )

    def build_bar_parts(self, here: str) -> list[tuple[str, int, str, str, str]]:
        """Return the parts of the plan's bar: CSS class, number, words, link and icon.

        The numbers add up to all flows of the plan.
        """
        return [
            (
                look,
                number,
                words,
                "" if self.is_file else f"{here}{self.build_query(filter=outlook)}#flows",
                icon,
            )
            for outlook, look, number, words, icon in self.summary.parts
        ]


def build_plan_page(
    view: PageContext,
    remediation_id: str,
    plans: Sequence[PlanView],
    choice: PlanChoice,
    *,
    environment_id: str = "",
    is_file: bool = False,
) -> str:
    """Return the page of a plan with each flow and its planned changes. If a remediation has
    several plans, the page lists them with links, unless `environment_id` selects one. `is_file`
    returns a self-contained page without buttons.
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
        url_secret_words=URL_SECRET_WORDS,
        stopped=build_stop_banner(view),
        style=read_style() if is_file else "",
    )
