"""Describe a plan before its approval: what it does, where it pauses, and what is unknown."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from functions.dashboard.owner_lists import AbsentOwners, count_absent_owners
from functions.dashboard.titles import compute_natural_sort_key
from shared.domain.callers.caller import RESTARTING_KINDS
from shared.domain.jobs.environment_states import EnvironmentJobState
from shared.domain.jobs.flow_job import MigrationMethod
from shared.domain.plans.display_text import describe_why_not_migrated
from shared.domain.plans.plan_item import NotMigratedReason, PlanItem, PlannedAction
from shared.domain.plans.plan_outlook import FlowOutlook, Outlook
from shared.domain.plans.remediation import EnvironmentJob, FirewallIssueSummary
from shared.domain.plans.unknowns import find_unknown_by_text

#: Maximum number of findings and of flow names of one line on a page; a file has all.
_MOST_FINDINGS, _NAMED, _NAMED_BY_FIREWALL = 20, 8, 3
_AWAITING = ("wait", "plan", "Awaiting approval")


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptedUnknowns:
    """Unknowns that concern the same flows and have the same consequence."""

    titles: tuple[str, ...]
    consequence: str
    flow_count: int
    #: The first of them, in natural order.
    flow_names: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class PlanSummary:
    """What the page of a plan says about the plan as a whole."""

    job: EnvironmentJob
    items: Sequence[PlanItem]
    #: The items that the plan changes: those that an approval includes, or all.
    included: Sequence[PlanItem]
    outlooks: Mapping[str, FlowOutlook]
    now: datetime
    is_file: bool = False

    @cached_property
    def counts(self) -> Mapping[Outlook, int]:
        """Return the number of flows by outlook."""
        return Counter(one.outlook for one in self.outlooks.values())

    @cached_property
    def blocking_issues(self) -> list[FirewallIssueSummary]:
        """Return the firewall issues at which flows are expected to pause."""
        blocked = {
            issue.name
            for one in self.outlooks.values()
            if one.outlook is Outlook.FIREWALL
            for issue in one.firewall_issues
            if not issue.fix_by_app
        }
        return [issue for issue in self.job.firewall_issues if issue.name in blocked]

    @property
    def parts(self) -> list[tuple[Outlook, str, int, str, str]]:
        """Return the parts of the plan's bar, one for each outlook: its CSS class, number, words
        and icon.
        """
        walls = len(self.blocking_issues)
        firewalls = "a firewall" if walls == 1 else f"{walls} firewalls"
        said = (
            (Outlook.NO_PAUSE, "work", "go", "migrates", "migrate", "without a known pause"),
            (Outlook.FIREWALL, "wait", "pause", "pauses", "pause", f"at {firewalls}"),
            (
                Outlook.OWNER,
                "wait",
                "person",
                "pauses",
                "pause",
                "until a person changes the owner",
            ),
            (
                Outlook.PERSON,
                "wait",
                "person",
                "pauses",
                "pause",
                "until a person changes a caller",
            ),
            (Outlook.HAS_JOB, "work", "go", "already has", "already have", "a job"),
            (Outlook.NOT_INCLUDED, "over", "idle", "is", "are", "not included"),
        )
        return [
            (outlook, look, number, f"{singular if number == 1 else plural} {rest}", icon)
            for outlook, look, icon, singular, plural, rest in said
            if (number := self.counts.get(outlook, 0))
        ]

    @property
    def not_included_count(self) -> int:
        return self.counts.get(Outlook.NOT_INCLUDED, 0)

    @cached_property
    def continued_count(self) -> int:
        """Return the number of flows that another remediation migrates."""
        return sum(item.action is PlannedAction.CONTINUE_EXISTING_JOB for item in self.items)

    @cached_property
    def not_included_reasons(self) -> list[tuple[int, str, str]]:
        """Return the reasons why flows are not included, each with the number of flows and what to
        do.
        """
        found = Counter[str]()
        for item in self.items:
            if item.needs_changes:
                found[NotMigratedReason.NEEDS_CHANGES] += 1
            elif not item.action.has_job:
                found[item.not_migrated_reason or ""] += 1
        return [(number, *_describe_not_included(why, number)) for why, number in found.items()]

    @cached_property
    def unknowns(self) -> list[AcceptedUnknowns]:
        """Return the unknowns of the included flows.

        Unknowns of the same flows with the same consequence are one item.
        """
        by_texts: dict[tuple[str, ...], list[str]] = {}
        for item in self.included:
            by_texts.setdefault(item.unknowns, []).append(item.display_name)
        flows: dict[str, list[str]] = {}
        for texts, names in by_texts.items():
            for text in texts:
                flows.setdefault(text, []).extend(names)
        alike: dict[tuple[str, tuple[str, ...]], list[str]] = {}
        for text, names in flows.items():
            alike.setdefault((find_unknown_by_text(text).consequence, tuple(names)), []).append(
                text
            )
        return [
            AcceptedUnknowns(
                titles=tuple(find_unknown_by_text(text).title for text in texts),
                consequence=consequence,
                flow_count=len(names),
                flow_names=tuple(sorted(names, key=compute_natural_sort_key)[:_NAMED]),
            )
            for (consequence, names), texts in alike.items()
        ]

    @cached_property
    def firewalls(self) -> list[tuple[FirewallIssueSummary, list[str], int]]:
        """Return each firewall issue with the names of some of its flows, and their number."""
        names = {item.workflow_id: item.display_name for item in self.items}
        return [
            (
                issue,
                [names.get(flow, flow) for flow in issue.workflow_ids[:_NAMED_BY_FIREWALL]],
                max(issue.flow_count, len(issue.workflow_ids)),
            )
            for issue in sorted(self.job.firewall_issues, key=lambda one: bool(one.fix_by_app))
        ]

    @property
    def absent_owners(self) -> Sequence[AbsentOwners]:
        """Return how many of the copied flows have a disabled owner, and how many have one who is
        not found.
        """
        return count_absent_owners(one.owner for one in self.included if one.action.is_copy)

    @property
    def findings(self) -> Sequence[str]:
        """Return the first findings of the plan, or all of them for a file."""
        return self.job.findings if self.is_file else self.job.findings[:_MOST_FINDINGS]

    @cached_property
    def effects(self) -> Mapping[str, int]:
        """Return the number of flows and callers for each effect of the plan, such as copies and
        cutovers.
        """
        kinds = Counter(
            (item.action, item.migration_method, item.has_trigger_url) for item in self.included
        )

        def count_flows(takes: Callable[[PlannedAction, MigrationMethod, bool], bool]) -> int:
            return sum(number for kind, number in kinds.items() if takes(*kind))

        def has_callers_to_update(
            action: PlannedAction, method: MigrationMethod, _: bool = True
        ) -> bool:
            return action.is_copy and method is MigrationMethod.UPDATE_CALLERS

        planned = [
            caller
            for item in self.included
            if item.callers and has_callers_to_update(item.action, item.migration_method)
            for caller in item.callers
            if not caller.manual_reason and caller.kind != "more"
        ]
        callers = {(caller.kind, caller.label): caller.is_copied for caller in planned}
        updated = [kind for (kind, _), is_copied in callers.items() if not is_copied]
        return {
            "copies": count_flows(lambda action, *_: action.is_copy),
            "new_urls": count_flows(lambda *kind: has_callers_to_update(*kind) and kind[2]),
            "callers": len(updated),
            "copied_callers": len(callers) - len(updated),
            "secrets": len({item.url_secret for item in self.included} - {""}),
            "referring": len({one.label for one in planned if one.is_to_refer_to_secret}),
            "holding": len({one.label for one in planned if one.by_value_reason}),
            "restarts": sum(kind in RESTARTING_KINDS for kind in updated),
            "kept_on": count_flows(has_callers_to_update),
            "cut_over": count_flows(lambda action, *_: action is PlannedAction.CUT_OVER),
            "in_place": count_flows(lambda action, *_: action.is_work and not action.is_copy),
        }

    @property
    def state(self) -> tuple[str, str, str]:
        """Return the plan's state: CSS class, icon and words."""
        job = self.job
        has_expired = bool(job.approval_expires_at and job.approval_expires_at <= self.now)
        if self.job.awaits_approval:
            return ("over", "clock", "Expired") if has_expired else _AWAITING
        if job.state is EnvironmentJobState.CANCELLED:
            never = job.awaiting_approval_count and job.has_expired
            return "over", "idle", "Expired" if never else "Cancelled"
        if job.needs_action:
            return "person", "stop", str(job.state).replace("_", " ").capitalize()
        if not job.mode.writes:
            return "over", "plan", "Dry run"
        if job.approved_by:
            return "done", "ok", "Approved"
        return "work", "go", str(job.state).replace("_", " ").capitalize()


def _describe_not_included(why: str, number: int) -> tuple[str, str]:
    if not why:
        return "migrated already", ""
    words, then = describe_why_not_migrated(why, number)
    if why == NotMigratedReason.NEEDS_CHANGES:
        words = f"{'it' if number == 1 else 'they'} {words}"
    return words, then
