"""What waits for a person, grouped by cause, and what goes on by itself: pure rules over rows."""

import shlex
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from shared.domain.alert import Alert
from shared.domain.ids import hash_key
from shared.domain.jobs.environment_states import EnvironmentJobState
from shared.domain.jobs.flow_job import FlowJob
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.plans.remediation import EnvironmentJob
from shared.reason import Reason

#: Of the flows that one cause holds up, so many are named.
NAMED = 5


class PendingActionKind(StrEnum):
    """What makes something wait for a person; what cannot wait stands first."""

    BOTH_OFF = "both_off"
    KILL_SWITCH_ON = "kill_switch_on"  #: it stops every write
    FLOWS_BLOCKED = "flows_blocked"  #: flows that are blocked or failed
    ENVIRONMENT_BLOCKED = "environment_blocked"  #: an environment whose work is blocked or failed
    PLAN_AWAITING_APPROVAL = "plan_awaiting_approval"  #: a plan that nobody has approved yet
    LATE_CALLER = "late_caller"  #: somebody still calls originals whose callers have moved
    NEEDS_CHANGES = "needs_changes"  #: flows that a person has to change before a new remediation
    ALERT = "alert"  #: rows that people were told of
    UNPROCESSED_MESSAGES = "unprocessed_messages"  #: parked, or given up by the broker
    CHANNEL_FAILING = "channel_failing"  #: notifications that a channel has not taken
    WAKE_UP = "wake_up"  #: overdue rows that the timer does not look at
    DAILY_CHECK_MISSING = "daily_check_missing"  #: the daily look has not come to its end
    # What people are told of, and what is no item of its own to whoever looks:
    PLAN_EXPIRES_SOON = (
        "plan_expires_soon"  #: a plan that nobody has approved, a day before it lapses
    )
    REMEDIATION_COMPLETED = "remediation_completed"  #: an environment's work has ended
    DIGEST = "digest"  #: more causes at once than are sent one by one


#: With these codes a job goes on trying by itself, and needs a person all the same.
GO_ON_TRYING: Mapping[str, PendingActionKind] = {
    Reason.BOTH_OFF: PendingActionKind.BOTH_OFF,
    Reason.LATE_CALLER: PendingActionKind.LATE_CALLER,
}


#: The options follow from the settings of the deployment.
OPERATOR_SIGN_IN = "cmkflow service-account sign-in"


#: The next command, where it is no retry and no look at health.
_NEXT: Mapping[str, str] = {
    Reason.LATE_CALLER: "cmkflow remediation show {}",
    Reason.KEY_PROBLEM: "cmkflow key check",
    Reason.KEY_WARNING: "cmkflow key check",
    Reason.ADDRESS_RANGES_CHANGED: "cmkflow network tag-changes",
    Reason.ADDRESS_RANGES_OUTDATED: "cmkflow network tag-changes",
    Reason.FIREWALL_FIX_UNFINISHED: "cmkflow network fix",
    Reason.SERVICE_ACCOUNT_SIGNED_OUT: OPERATOR_SIGN_IN,
}


_TITLES: Mapping[PendingActionKind, str] = {
    PendingActionKind.BOTH_OFF: "NEITHER IS ON: {flows}{at}",
    PendingActionKind.FLOWS_BLOCKED: "{flows} {state}{at} ({code})",
    PendingActionKind.ENVIRONMENT_BLOCKED: "The work{at} {has_stopped} ({code})",
    PendingActionKind.PLAN_AWAITING_APPROVAL: "A plan of {flows}{at} waits for approval",
    PendingActionKind.LATE_CALLER: "{flows} still called at the old URL{at}",
    PendingActionKind.NEEDS_CHANGES: "{flows} {needs} changes first{at}",
    PendingActionKind.ALERT: "{notice} ({code}): {rows}",
    PendingActionKind.UNPROCESSED_MESSAGES: "{messages} given up",
    PendingActionKind.CHANNEL_FAILING: (
        "The notification channel {code} accepts nothing ({count} waiting)"
    ),
    PendingActionKind.KILL_SWITCH_ON: "The kill switch is on",
    PendingActionKind.WAKE_UP: "{rows} overdue, without a wake-up",
    PendingActionKind.DAILY_CHECK_MISSING: "The daily sweep is missing",
    PendingActionKind.PLAN_EXPIRES_SOON: "A plan of {flows}{at} lapses within a day",
    PendingActionKind.REMEDIATION_COMPLETED: "The work{at} has ended, {flows} left",
    PendingActionKind.DIGEST: "{count} more causes need a person",
}


#: What the rows of a notice are about.
_NOTICES: Mapping[str, str] = {
    Reason.KEY_PROBLEM: "A key cannot do its work, or will not be able to",
    Reason.KEY_WARNING: "Something may go wrong with a key",
    Reason.ADDRESS_RANGES_CHANGED: "Microsoft's address ranges have changed",
    Reason.ADDRESS_RANGES_OUTDATED: "Microsoft's address ranges are not looked at",
    Reason.OUTBOUND_CALL_BLOCKED: "Calls of copies do not get through",
    Reason.FIREWALL_FIX_UNFINISHED: "A change of a firewall was begun and not ended",
    Reason.SERVICE_ACCOUNT_SIGNED_OUT: "The operator is not signed in any more",
    Reason.RETIRED_ORIGINAL_ON: "Retired originals are on again",
    Reason.RETIRED_ORIGINALS_NOT_CHECKED: "The daily sweep did not look at some flows",
    Reason.UNREADABLE_ROW: "Rows cannot be read by this version of the app",
    Reason.REQUEST_BUDGET_RESET: "A call budget was reset",
    Reason.INTERNAL_ERROR: "Jobs have failed",
    Reason.SERVICE_OUTAGE: "A service gives no answer",
    Reason.THROTTLED: "The flow service refuses calls for long",
    Reason.STALE_WRITE: "Older values were put back at a caller",
    Reason.ORPHANED_COPY: "Copies of jobs that are undone",
    Reason.GRANT_NOT_REVOKED: "The operator is still co-owner of a flow",
    Reason.ROW_SKIPPED: "A timer stumbles over rows",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingAction:
    """One cause, however many flows it holds up."""

    cause: PendingActionKind
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
    expires_at: datetime | None = None
    #: `blocked`, or `failed` where all of it failed.
    state: str = "blocked"

    @property
    def id(self) -> str:
        """Return what is the same as long as the cause is, however many flows it holds up."""
        if (
            self.cause is PendingActionKind.NEEDS_CHANGES
        ):  # each new remediation finds the same flows again
            return hash_key(self.cause, self.environment_id)
        return hash_key(self.cause, self.environment_id, self.remediation_id, self.code)

    @property
    def title(self) -> str:
        """Return what waits, in one line for people."""
        where = self.environment_name or self.environment_id
        at = f" in {where}" if where else ""
        words = _TITLES[self.cause]
        if self.cause is PendingActionKind.CHANNEL_FAILING and not self.count:
            words = "The notification channel {code} accepts nothing"
        if self.cause is PendingActionKind.REMEDIATION_COMPLETED and not self.count:
            words = "The work{at} has ended, nothing of it is left"
        return words.format(
            at=at,
            flows=counted(self.count, "flow"),
            rows=counted(self.count, "row"),
            messages=counted(self.count, "message"),
            count=self.count,
            code=self.code,
            state=self.state,
            has_stopped="has failed" if self.state == "failed" else "is blocked",
            needs="needs" if self.count == 1 else "need",
            notice=_NOTICES.get(self.code, "Something needs a person"),
        )


def pending_flow_actions(jobs: Iterable[FlowJob], names: Mapping[str, str]) -> list[PendingAction]:
    """Return what holds these flows up, once for each cause, environment and remediation.

    `names` has the environments' names by id.
    """
    groups: dict[tuple[str, str, str], list[FlowJob]] = defaultdict(list)
    for job in jobs:
        if job.needs_action or job.code in GO_ON_TRYING:
            groups[job.environment_id, job.remediation_id, job.code].append(job)
    environments = Counter((remediation_id, code) for _, remediation_id, code in groups)
    waiting = []
    for (environment_id, remediation_id, code), group in groups.items():
        group.sort(key=lambda job: job.display_name)
        waiting.append(
            PendingAction(
                cause=GO_ON_TRYING.get(code, PendingActionKind.FLOWS_BLOCKED),
                code=code,
                count=len(group),
                environment_id=environment_id,
                environment_name=names.get(environment_id, ""),
                remediation_id=remediation_id,
                flows=tuple(job.display_name for job in group[:NAMED]),
                reason=group[0].reason,
                instruction=_instruction(code, group),
                command=_NEXT[code].format(remediation_id)
                if code in _NEXT
                else _retry(
                    remediation_id,
                    code,
                    environment_id if environments[remediation_id, code] > 1 else "",
                ),
                state="failed"
                if all(job.state is FlowJobState.FAILED for job in group)
                else "blocked",
            )
        )
    return waiting


def _instruction(code: str, group: Sequence[FlowJob]) -> str:
    """Return what to do for these flows; whoever does it for the first has not done it for all."""
    if code == Reason.LATE_CALLER:
        return Reason.LATE_CALLER.instruction
    first = group[0]
    if all(job.instruction == first.instruction for job in group):
        return first.instruction
    show = f"cmkflow remediation show {first.remediation_id}"
    return f"Not the same for each: see {show}. For {first.display_name}: {first.instruction}"


def _retry(remediation_id: str, code: str, environment_id: str = "") -> str:
    """Return the command that retries what has this code, and nothing else."""
    words = ["cmkflow", "retry", remediation_id]
    words += ["--code", code] if code else []
    words += ["--environment", environment_id] if environment_id else []
    return shlex.join(words)


def pending_alerts(notices: Iterable[Alert]) -> list[PendingAction]:
    """Return what people were told of rows, once for each code, but what flows tell themselves."""
    groups: dict[str, list[Alert]] = defaultdict(list)
    for notice in notices:
        if notice.code != Reason.BOTH_OFF:
            groups[notice.code].append(notice)
    return [
        PendingAction(
            cause=PendingActionKind.ALERT,
            code=code,
            count=len(group),
            reason=" ".join(sorted({one.message for one in group})[:NAMED]),
            instruction=" ".join(sorted({one.instruction for one in group} - {""})[:NAMED])
            or _standing_instruction(code)
            or f"Report it: this version has no reason {code}.",
            command=_NEXT.get(code, "cmkflow health"),
        )
        for code, group in sorted(groups.items())
    ]


def pending_environment_actions(environment_jobs: Iterable[EnvironmentJob]) -> list[PendingAction]:
    """Return the environments whose work a person has to decide on, or to help."""
    environment_jobs = list(environment_jobs)
    asked = Counter(one.remediation_id for one in environment_jobs if one.awaits_approval)
    codes = Counter((one.remediation_id, one.code) for one in environment_jobs if one.needs_action)
    plans = [
        _about(
            one,
            cause=PendingActionKind.PLAN_AWAITING_APPROVAL,
            count=one.awaiting,
            reason="Nothing is written before somebody has approved it.",
            instruction="Look at the plan, then approve the version that it shows.",
            command=f"cmkflow approve {one.remediation_id}"
            + (f" --environment {one.environment_id}" if asked[one.remediation_id] > 1 else ""),
            lapses=one.expires,
        )
        for one in environment_jobs
        if one.awaits_approval
    ]
    return plans + [
        _about(
            one,
            cause=PendingActionKind.ENVIRONMENT_BLOCKED,
            code=one.code,
            instruction=one.instruction,
            command=_retry(
                one.remediation_id,
                one.code,
                one.environment_id if codes[one.remediation_id, one.code] > 1 else "",
            ),
            state="failed" if one.state is EnvironmentJobState.FAILED else "blocked",
        )
        for one in environment_jobs
        if one.needs_action
    ]


def most_urgent_first(waiting: Iterable[PendingAction]) -> tuple[PendingAction, ...]:
    """Return causes in the order in which a person should look at them."""
    order = list(PendingActionKind)
    return tuple(
        sorted(waiting, key=lambda one: (order.index(one.cause), -one.count, one.remediation_id))
    )


def _about(
    job: EnvironmentJob,
    *,
    cause: PendingActionKind,
    instruction: str,
    command: str,
    reason: str = "",
    count: int = 1,
    code: str = "",
    lapses: datetime | None = None,
    state: str = "blocked",
) -> PendingAction:
    return PendingAction(
        cause=cause,
        code=code,
        count=count,
        environment_id=job.environment_id,
        environment_name=job.environment_name,
        remediation_id=job.remediation_id,
        reason=reason or job.reason,
        instruction=instruction,
        command=command,
        expires_at=lapses,
        state=state,
    )


def counted(number: int, noun: str) -> str:
    return f"1 {noun}" if number == 1 else f"{number} {noun}s"


def _standing_instruction(code: str) -> str:
    return next((reason.instruction for reason in Reason if reason == code), "")
