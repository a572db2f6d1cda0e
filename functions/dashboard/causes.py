"""Group the flows that require an action by their cause, so that each fix is shown once."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from functions.dashboard.flow_parts import PARTS
from functions.dashboard.flow_steps import shorten_text
from shared.domain.jobs.flow_job import FlowJob
from shared.domain.plans.denying_firewalls import list_denying_firewalls
from shared.domain.plans.pending_actions import find_pending_since
from shared.domain.plans.remediation import (
    MOST_PREFIXES_OF_ISSUE,
    EnvironmentJob,
    FirewallIssueSummary,
)
from shared.reason import Reason
from shared.use_cases.show_flow import FlowView

#: The cause of flows without a job that their makers have to change. No reason code has this name.
NEEDS_CHANGES = "needs_changes"
_REASONS: Mapping[str, Reason] = {reason.value: reason for reason in Reason}
#: Number of words of a cause's message; the page of each flow has the whole text.
_MOST_WORDS = 40
_TITLES: Mapping[str, str] = {
    NEEDS_CHANGES: "Needs changes first",
    Reason.BOTH_OFF: "Original and copy are both off",
    Reason.FIREWALL_DENIES: "Firewall",
    Reason.LATE_CALLER: "Original still called",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """A reason why flows require an action, with these flows and what a person has to do."""

    #: A reason code, the platform's error code, or `NEEDS_CHANGES`.
    code: str
    #: Who acts next, as a CSS class.
    look: str
    title: str
    message: str
    #: What a person does; the flows' own fixes differ if `has_one_fix` is False.
    fix: str
    has_one_fix: bool
    flows: Sequence[FlowView]
    #: Since when the first of the flows has had this cause; None: unknown.
    since: datetime | None
    #: The firewalls that deny the copies, with the id of their environment.
    firewalls: Sequence[tuple[str, FirewallIssueSummary]] = ()

    @property
    def firewall_count(self) -> int:
        """Return the number of firewalls. A firewall that denies flows of several environments
        counts once.
        """
        return len({issue.name for _, issue in self.firewalls})

    @property
    def jobs(self) -> list[FlowJob]:
        return [flow.job for flow in self.flows if flow.job]


def find_causes(
    flows: Iterable[tuple[FlowView, str]], environment_jobs: Sequence[EnvironmentJob]
) -> list[Cause]:
    """Return the causes for which flows require an action, the most urgent first.

    `flows` contains each flow with the key that `get_part_key` returns for it.
    """
    groups: dict[tuple[str, str], list[FlowView]] = {}
    for flow, part in flows:
        if PARTS[part].has_cause:
            groups.setdefault((part, find_cause_code(flow, part)), []).append(flow)
    issues = {job.environment_id: job.firewall_issues for job in environment_jobs}
    order = list(PARTS)
    found = sorted(groups.items(), key=lambda one: (order.index(one[0][0]), -len(one[1])))
    return [_build_cause(part, code, group, issues) for (part, code), group in found]


def find_cause_code(flow: FlowView, part: str) -> str:
    """Return the code of the cause for which a flow requires an action, or "" if there is none."""
    if part == NEEDS_CHANGES:
        return NEEDS_CHANGES
    return flow.job.reason_code if flow.job and PARTS[part].has_cause else ""


def get_cause_title(code: str) -> str:
    known = _TITLES.get(code) or (
        code.replace("_", " ").capitalize() if _REASONS.get(code) else code
    )
    return known or "No reason recorded"


def _build_cause(
    part: str,
    code: str,
    flows: Sequence[FlowView],
    issues: Mapping[str, Sequence[FirewallIssueSummary]],
) -> Cause:
    jobs = [flow.job for flow in flows if flow.job]
    reason, firewalls = _REASONS.get(code), _list_firewalls_of_jobs(jobs, issues)
    fixes = {job.fix for job in jobs}
    message = reason.meaning if reason else jobs[0].message if jobs else ""
    fix = reason.fix if reason else ""
    if len(fixes) == 1 and not firewalls:
        fix = fixes.pop() or fix
        if len({job.message for job in jobs}) == 1:
            message = jobs[0].message or message
        fixes = {fix}
    if code == NEEDS_CHANGES:
        is_one = len(flows) == 1
        message = f"This remediation does not change {'it' if is_one else 'them'}."
        whose = "its fix" if is_one else "the fix of each flow"
        fix = f"Follow {whose}, then start a new remediation for {'it' if is_one else 'them'}."
    if firewalls:
        message = _describe_firewalls(firewalls)
        fix = "Fix each firewall or ignore it, then retry the flows."
    return Cause(
        code=code,
        look=PARTS[part].look,
        title=get_cause_title(code),
        message=shorten_text(message, _MOST_WORDS),
        fix=fix,
        has_one_fix=bool(firewalls) or len(fixes) == 1,
        flows=flows,
        since=min(
            (at for flow in flows if (at := _find_start_of_required_action(flow))), default=None
        ),
        firewalls=firewalls,
    )


def _list_firewalls_of_jobs(
    jobs: Sequence[FlowJob], issues: Mapping[str, Sequence[FirewallIssueSummary]]
) -> list[tuple[str, FirewallIssueSummary]]:
    found = {
        (job.environment_id, issue.name): issue
        for job in jobs
        for issue in list_denying_firewalls(job, issues.get(job.environment_id, ()))
    }
    return [(environment_id, issue) for (environment_id, _), issue in found.items()]


def _describe_firewalls(firewalls: Sequence[tuple[str, FirewallIssueSummary]]) -> str:
    names = {issue.name for _, issue in firewalls}
    prefixes = {prefix for _, issue in firewalls for prefix in issue.missing_prefixes}
    which = "1 firewall denies" if len(names) == 1 else f"{len(names)} firewalls deny"
    if not prefixes:
        return f"{which} the addresses of the copies."
    least = any(len(issue.missing_prefixes) >= MOST_PREFIXES_OF_ISSUE for _, issue in firewalls)
    ranges = "1 address range" if len(prefixes) == 1 else f"{len(prefixes)} address ranges"
    return f"{which} {'at least ' if least else ''}{ranges} of the copies."


def _find_start_of_required_action(flow: FlowView) -> datetime | None:
    return find_pending_since(flow.job) if flow.job else flow.environment_job.planned_at
