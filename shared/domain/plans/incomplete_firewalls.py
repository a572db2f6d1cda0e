"""Find the tenant's firewalls that do not allow all addresses of copies."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import chain

from shared.domain.jobs.flow_job import FlowJob
from shared.domain.network.firewall_fix_record import FirewallFixRecord, FirewallFixState
from shared.domain.network.service_tag_list_version import ServiceTagListVersion
from shared.domain.plans.current_plan import find_newest_plans
from shared.domain.plans.denying_firewalls import (
    list_denying_firewall_names,
    select_open_firewall_issues,
)
from shared.domain.plans.remediation import (
    MOST_PREFIXES_OF_ISSUE,
    EnvironmentJob,
    FirewallIssueSummary,
)
from shared.reason import Reason

#: Kinds of issues of the service tag list itself.
_UNKNOWN_KINDS = ("geography", "service_tag")


class FirewallStatus(StrEnum):
    """What a firewall does to copies, according to stored rows.

    The most urgent status comes first.
    """

    BLOCKING = "blocking"  #: blocks flows
    INCOMPLETE = "incomplete"  #: denies, or may deny, addresses; blocks no flow now
    CHANGED = "changed"  #: the app has changed it since it was read
    IGNORED = "ignored"  #: ignored in each environment that it concerns


@dataclass(frozen=True, slots=True, kw_only=True)
class ConcernedEnvironment:
    """An environment with flows that call through a firewall."""

    environment_id: str
    environment_name: str
    remediation_id: str
    #: When the firewall was read for its plan; None: not known.
    read_at: datetime | None = None
    #: Number of flows that the firewall blocks now, and of flows of the plan that call through it;
    #: 0: not known.
    blocked_count: int = 0
    flow_count: int = 0
    fix: str = ""
    #: What the app changes in it once the plan is approved; empty: nothing.
    fix_by_app: str = ""
    #: Why the issue is ignored here; empty: it is not.
    ignored_because: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class IncompleteFirewall:
    """A firewall that does not allow all addresses of copies, or may not."""

    #: Name of the firewall issue; empty: known only from the message of a blocked flow.
    issue: str = ""
    kind: str = ""
    name: str
    status: FirewallStatus
    missing_prefixes: tuple[str, ...] = ()
    #: Whether more prefixes may be missing, because a plan stores only the first.
    has_more_prefixes: bool = False
    blocked_count: int
    environments: tuple[ConcernedEnvironment, ...] = ()
    #: Change numbers of the lists whose added ranges it does not allow.
    change_numbers: tuple[int, ...] = ()
    #: When it was last read, as far as known.
    read_at: datetime | None = None
    #: When the app last changed it; None: it has not.
    changed_at: datetime | None = None

    @property
    def is_firewall(self) -> bool:
        """Return whether this is a firewall, and not an issue of the service tag list."""
        return self.kind not in _UNKNOWN_KINDS


@dataclass(frozen=True, slots=True, kw_only=True)
class FirewallFacts:
    """The rows from which `find_incomplete_firewalls` computes its result."""

    environment_jobs: Sequence[EnvironmentJob]
    #: At least those that are blocked; without the other open ones, plans in progress are missed.
    flow_jobs: Sequence[FlowJob]
    #: Newest first.
    versions: Sequence[ServiceTagListVersion] = ()
    fixes: Sequence[FirewallFixRecord] = ()
    #: Names of ignored issues with the reasons, by environment.
    ignored: Mapping[str, Mapping[str, str]] | None = None


def find_incomplete_firewalls(facts: FirewallFacts) -> list[IncompleteFirewall]:
    """Return each incomplete firewall once. Those that block the most flows come first."""
    blocked = _count_blocked_flows(facts)
    places: dict[str, list[tuple[EnvironmentJob, FirewallIssueSummary]]] = defaultdict(list)
    for job, issue in _select_denying_issues(facts):
        known = {one.environment_id for one, _ in places[issue.name]}
        if job.environment_id not in known:
            places[issue.name].append((job, issue))
    new = _find_new_prefixes(facts.versions)
    names = {(job.environment_id, issue.firewall_name or issue.name)
             for one in places.values() for job, issue in one}  # fmt: skip
    found = [
        _build_incomplete_firewall(name, places.get(name, []), blocked, new.get(name, []), facts)
        for name in dict.fromkeys((*places, *new))
    ]
    unnamed = Counter[str]()
    for (environment_id, name), number in blocked.items():
        if (environment_id, name) not in names:
            unnamed[name] += number
    found += [
        IncompleteFirewall(name=name, status=FirewallStatus.BLOCKING, blocked_count=number)
        for name, number in unnamed.items()
    ]
    order = list(FirewallStatus)
    return sorted(
        found, key=lambda one: (order.index(one.status), -one.blocked_count, one.name, one.issue)
    )


def find_blocking_firewalls(facts: FirewallFacts) -> list[IncompleteFirewall]:
    return [
        one
        for one in find_incomplete_firewalls(facts)
        if one.is_firewall and one.status is FirewallStatus.BLOCKING
    ]


def select_firewalls(
    firewalls: Iterable[IncompleteFirewall], status: FirewallStatus | str, text: str
) -> list[IncompleteFirewall]:
    """Return the firewalls with this status and with this text in a name. "" selects all."""
    wanted = text.strip().casefold()
    return [
        one
        for one in firewalls
        if (not status or one.status == status)
        and any(wanted in each.casefold() for each in _list_searchable_names(one))
    ]


def _list_searchable_names(one: IncompleteFirewall) -> list[str]:
    names = [one.name, one.issue, one.kind.replace("_", " ")]
    for each in one.environments:
        names += [each.environment_name, each.environment_id]
    return names


def count_flows_blocked_by(
    firewalls: Iterable[IncompleteFirewall], flow_jobs: Iterable[FlowJob]
) -> int:
    """Return how many flows are blocked by at least one of these firewalls."""
    names = {one.name for one in firewalls if one.status is FirewallStatus.BLOCKING}
    return sum(
        job.reason_code == Reason.FIREWALL_DENIES and bool(names & list_denying_firewall_names(job))
        for job in flow_jobs
    )


def _count_blocked_flows(facts: FirewallFacts) -> Counter[tuple[str, str]]:
    """Return the number of blocked flows by environment id and name of the firewall."""
    return Counter(
        (job.environment_id, name)
        for job in facts.flow_jobs
        if job.reason_code == Reason.FIREWALL_DENIES
        for name in list_denying_firewall_names(job)
    )


def _select_denying_issues(
    facts: FirewallFacts,
) -> Iterator[tuple[EnvironmentJob, FirewallIssueSummary]]:
    """Yield the firewall issues that may still deny flows. Those of the newest plan come first."""
    flow_jobs: dict[str, list[FlowJob]] = defaultdict(list)
    for flow_job in facts.flow_jobs:
        flow_jobs[flow_job.environment_id].append(flow_job)
    current = {
        job.id for each in find_newest_plans(facts.environment_jobs).values() for job in each
    }
    for job in sorted(
        facts.environment_jobs, key=lambda one: str(one.planned_at or ""), reverse=True
    ):
        is_current = job.id in current
        for issue in select_open_firewall_issues(
            job, flow_jobs[job.environment_id], is_current=is_current
        ):
            yield job, issue


def _find_new_prefixes(
    versions: Iterable[ServiceTagListVersion],
) -> dict[str, list[tuple[ServiceTagListVersion, str, tuple[str, ...]]]]:
    """Return the prefixes that a firewall denies since the service tag list added them, by issue.

    Each entry has the version of the list, the firewall's name, and the denied prefixes.
    """
    found = defaultdict(list)
    for version in versions:
        if version.reason_code:
            for one in version.affected_firewalls:
                found[one.issue].append((version, one.name, one.missing_prefixes))
    return found


def _build_incomplete_firewall(
    issue: str,
    places: Sequence[tuple[EnvironmentJob, FirewallIssueSummary]],
    blocked: Mapping[tuple[str, str], int],
    new: Sequence[tuple[ServiceTagListVersion, str, tuple[str, ...]]],
    facts: FirewallFacts,
) -> IncompleteFirewall:
    environments = tuple(
        _build_concerned_environment(job, one, blocked, facts.ignored or {}) for job, one in places
    )
    if not environments:
        environments = _find_affected_environments(
            facts.environment_jobs, [version for version, _, _ in new]
        )
    prefixes = [one.missing_prefixes for _, one in places] + [ranges for _, _, ranges in new]
    read = [one.read_at for one in environments] + [
        max(version.last_checked_at for version in facts.versions) for _ in new[:1]
    ]
    read_at = max(filter(None, read), default=None)
    changed_at = max(
        (
            one.changed_at
            for one in facts.fixes
            if one.issue == issue and one.state is FirewallFixState.APPLIED
        ),
        default=None,
    )
    blocked_count = sum(one.blocked_count for one in environments)
    status = FirewallStatus.INCOMPLETE
    if blocked_count:
        status = FirewallStatus.BLOCKING
    elif changed_at and (read_at is None or changed_at > read_at):
        status = FirewallStatus.CHANGED
    elif places and all(one.ignored_because for one in environments) and not new:
        status = FirewallStatus.IGNORED
    names = [one.firewall_name for _, one in places] + [name for _, name, _ in new]
    return IncompleteFirewall(
        issue=issue,
        kind=issue.partition(":")[0],
        name=next(filter(None, names), issue),
        status=status,
        missing_prefixes=tuple(dict.fromkeys(chain.from_iterable(prefixes))),
        has_more_prefixes=any(
            len(one.missing_prefixes) >= MOST_PREFIXES_OF_ISSUE for _, one in places
        ),
        blocked_count=blocked_count,
        environments=environments,
        change_numbers=tuple(version.change_number for version, _, _ in new),
        read_at=read_at,
        changed_at=changed_at,
    )


def _build_concerned_environment(
    job: EnvironmentJob,
    issue: FirewallIssueSummary,
    blocked: Mapping[tuple[str, str], int],
    ignored: Mapping[str, Mapping[str, str]],
) -> ConcernedEnvironment:
    return ConcernedEnvironment(
        environment_id=job.environment_id,
        environment_name=job.environment_name,
        remediation_id=job.remediation_id,
        read_at=job.planned_at,
        blocked_count=blocked.get((job.environment_id, issue.firewall_name or issue.name), 0),
        flow_count=issue.flow_count or len(issue.workflow_ids),
        fix=issue.fix,
        fix_by_app=issue.fix_by_app,
        ignored_because=ignored.get(job.environment_id, {}).get(issue.name, ""),
    )


def _find_affected_environments(
    environment_jobs: Iterable[EnvironmentJob], versions: Iterable[ServiceTagListVersion]
) -> tuple[ConcernedEnvironment, ...]:
    affected = {one.remediation_id for version in versions for one in version.affected_remediations}
    return tuple(
        ConcernedEnvironment(
            environment_id=job.environment_id,
            environment_name=job.environment_name,
            remediation_id=job.remediation_id,
        )
        for job in environment_jobs
        if job.remediation_id in affected
    )
