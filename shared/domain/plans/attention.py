"""What waits for a person, grouped by cause, and what goes on by itself: pure rules over rows."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from shared.domain.callers.records import key_of
from shared.domain.jobs.flow_states import FLOW_STATES
from shared.domain.jobs.job import FlowJob
from shared.domain.plans.left import left_behind
from shared.domain.plans.plan_item import Left
from shared.domain.plans.remediation import EnvironmentJob
from shared.reason import Reason

#: Of the flows that one cause holds up, so many are named.
NAMED = 5


class Cause(StrEnum):
    """What makes something wait for a person; what cannot wait stands first."""

    NEITHER_ON = "neither_on"
    FLOW = "flow"  #: flows that are blocked or failed
    ENVIRONMENT = "environment"  #: an environment whose work is blocked or failed
    PLAN = "plan"  #: a plan that nobody has approved yet
    NOTICE = "notice"  #: rows that people were told of
    MESSAGES = "messages"  #: parked, or given up by the broker
    CHANNEL = "channel"  #: notifications that a channel has not taken
    KILL_SWITCH = "kill_switch"
    SWEEP = "sweep"  #: the daily look has not come to its end
    # What people are told of, and what is no item of its own to whoever looks:
    LAPSING = "lapsing"  #: a plan that nobody has approved, a day before it lapses
    FINISHED = "finished"  #: an environment's work has ended


_TITLES: Mapping[Cause, str] = {
    Cause.NEITHER_ON: "NEITHER IS ON: {flows}{at}",
    Cause.FLOW: "{flows} blocked{at} ({code})",
    Cause.ENVIRONMENT: "The work{at} is blocked ({code})",
    Cause.PLAN: "A plan of {flows}{at} waits for approval",
    Cause.NOTICE: "{count} rows need a person ({code})",
    Cause.MESSAGES: "{count} messages were given up",
    Cause.CHANNEL: "{count} notifications were not taken by {code}",
    Cause.KILL_SWITCH: "The kill switch is on",
    Cause.SWEEP: "The daily sweep is missing",
    Cause.LAPSING: "A plan of {flows}{at} lapses within a day",
    Cause.FINISHED: "The work{at} has ended, {flows} left",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """One cause, however many flows it holds up."""

    cause: Cause
    #: A `Reason`, or the code of what the platform refuses; the runbook has a row for it.
    code: str = ""
    count: int
    environment_id: str = ""
    environment_name: str = ""
    remediation_id: str = ""
    #: Titles of the first of the flows.
    flows: tuple[str, ...] = ()
    #: Why, and what a person has to do.
    reason: str
    instruction: str
    command: str
    #: When it ends without anybody, for the worse: a plan lapses.
    lapses: datetime | None = None

    @property
    def id(self) -> str:
        """Return what is the same as long as the cause is, however many flows it holds up."""
        return key_of(self.cause, self.environment_id, self.remediation_id, self.code)

    @property
    def title(self) -> str:
        """Return what waits, in one line for people."""
        where = self.environment_name or self.environment_id
        at = f" in {where}" if where else ""
        flows = "1 flow" if self.count == 1 else f"{self.count} flows"
        words = _TITLES[self.cause]
        if self.cause is Cause.FINISHED and not self.count:
            words = "All is done{at}"
        return words.format(at=at, flows=flows, count=self.count, code=self.code)


@dataclass(frozen=True, slots=True, kw_only=True)
class ByItself:
    """Flows of one environment that go on without anybody, by how far they got."""

    environment_id: str
    environment_name: str
    reached: str
    count: int
    #: When the first and the last of them are looked at next.
    first: datetime | None
    last: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentStanding:
    """How far one environment is: its last job that writes, else its last."""

    environment_id: str
    environment_name: str
    remediation_id: str
    state: str
    #: Its flows by state, blocked ones first.
    flows: Mapping[str, int]
    #: Flows that stay on Microsoft's key as far as it has come by now, by why.
    left: Mapping[Left, int]


def standings(
    environment_jobs: Iterable[EnvironmentJob], jobs: Iterable[FlowJob]
) -> list[EnvironmentStanding]:
    """Return how far each environment is; `environment_jobs` has the newest first."""
    newest: dict[str, EnvironmentJob] = {}
    for one in environment_jobs:
        known = newest.get(one.environment_id)
        if known is None or (one.mode.writes and not known.mode.writes):
            newest[one.environment_id] = one
    by_environment: dict[str, list[FlowJob]] = defaultdict(list)
    for job in jobs:
        by_environment[job.environment_id].append(job)
    return [
        EnvironmentStanding(
            environment_id=one.environment_id,
            environment_name=one.environment_name,
            remediation_id=one.remediation_id,
            state=one.state,
            flows=by_state(by_environment[one.environment_id]),
            # What an earlier job left undone, the plan of this one has counted.
            left=left_behind(
                [one],
                [
                    job
                    for job in by_environment[one.environment_id]
                    if job.is_stuck or job.environment_job_id == one.id
                ],
            ),
        )
        for one in newest.values()
    ]


def by_state(jobs: Iterable[FlowJob]) -> dict[str, int]:
    """Return how many jobs are in each state: those that need a person first, ends last."""
    count = Counter(job.state for job in jobs)
    order = sorted(
        count, key=lambda state: (not FLOW_STATES[state].is_stuck, FLOW_STATES[state].is_finished)
    )
    return {str(state): count[state] for state in order}


def waiting_flows(jobs: Iterable[FlowJob], names: Mapping[str, str]) -> list[Waiting]:
    """Return what holds these flows up, once for each cause, environment and remediation.

    `names` has the environments' names by id.
    """
    groups: dict[tuple[str, str, str], list[FlowJob]] = defaultdict(list)
    for job in jobs:
        if job.is_stuck or job.code == Reason.NEITHER_ON:
            groups[job.environment_id, job.remediation_id, job.code].append(job)
    return [
        Waiting(
            cause=Cause.NEITHER_ON if code == Reason.NEITHER_ON else Cause.FLOW,
            code=code,
            count=len(group),
            environment_id=environment_id,
            environment_name=names.get(environment_id, ""),
            remediation_id=remediation_id,
            flows=tuple(sorted(job.display_name for job in group)[:NAMED]),
            reason=group[0].reason,
            instruction=group[0].instruction,
            command=f"cmkflow remediation retry {remediation_id}",
        )
        for (environment_id, remediation_id, code), group in groups.items()
    ]


def waiting_environments(environment_jobs: Iterable[EnvironmentJob]) -> list[Waiting]:
    """Return the environments whose work a person has to decide on, or to help."""
    environment_jobs = list(environment_jobs)
    plans = [
        _about(
            one,
            cause=Cause.PLAN,
            count=one.awaiting,
            instruction="Look at the plan, then approve the version that it shows.",
            command=f"cmkflow plan approve {one.remediation_id}",
            lapses=one.expires,
        )
        for one in environment_jobs
        if one.awaits_approval
    ]
    return plans + [
        _about(
            one,
            cause=Cause.ENVIRONMENT,
            code=one.code,
            instruction=one.instruction,
            command=f"cmkflow remediation retry {one.remediation_id}",
        )
        for one in environment_jobs
        if one.is_stuck
    ]


def going_on(jobs: Iterable[FlowJob], names: Mapping[str, str]) -> list[ByItself]:
    """Return the flows that go on without anybody; what is looked at first stands first."""
    groups: dict[tuple[str, str], list[FlowJob]] = defaultdict(list)
    for job in jobs:
        if not job.is_finished:
            groups[job.environment_id, str(job.reached)].append(job)
    found = [
        ByItself(
            environment_id=environment_id,
            environment_name=names.get(environment_id, ""),
            reached=reached,
            count=len(group),
            first=min(_dues(group), default=None),
            last=max(_dues(group), default=None),
        )
        for (environment_id, reached), group in groups.items()
    ]
    return sorted(found, key=lambda one: (one.first is None, one.first or 0, one.reached))


def most_urgent_first(waiting: Iterable[Waiting]) -> tuple[Waiting, ...]:
    """Return causes in the order in which a person should look at them."""
    order = list(Cause)
    return tuple(
        sorted(waiting, key=lambda one: (order.index(one.cause), -one.count, one.remediation_id))
    )


def _about(
    job: EnvironmentJob,
    *,
    cause: Cause,
    instruction: str,
    command: str,
    count: int = 1,
    code: str = "",
    lapses: datetime | None = None,
) -> Waiting:
    return Waiting(
        cause=cause,
        code=code,
        count=count,
        environment_id=job.environment_id,
        environment_name=job.environment_name,
        remediation_id=job.remediation_id,
        reason=job.reason,
        instruction=instruction,
        command=command,
        lapses=lapses,
    )


def _dues(jobs: Sequence[FlowJob]) -> list[datetime]:
    return [job.due for job in jobs if job.due]
