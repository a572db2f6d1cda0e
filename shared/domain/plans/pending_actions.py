"""Group what only a person can do into pending actions, one for each reason."""

import shlex
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from shared.domain.alert import Alert
from shared.domain.ids import hash_key
from shared.domain.jobs.deletion import Deletion
from shared.domain.jobs.environment_states import EnvironmentJobState
from shared.domain.jobs.flow_job import FlowJob
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.jobs.transitions import fill_in_environment
from shared.domain.plans.denying_firewalls import list_denying_firewall_names
from shared.domain.plans.remediation import EnvironmentJob
from shared.reason import Reason

#: Most flows that a pending action names.
NAMED = 5


class PendingActionKind(StrEnum):
    """What kind of action a person has to do. The most urgent kind comes first."""

    BOTH_OFF = "both_off"
    KILL_SWITCH_ON = "kill_switch_on"  #: the kill switch stops the app's writes
    FLOWS_BLOCKED = "flows_blocked"  #: flows that are blocked or failed
    ENVIRONMENT_BLOCKED = "environment_blocked"  #: an environment job that is blocked or failed
    PLAN_AWAITING_APPROVAL = "plan_awaiting_approval"  #: a plan that awaits approval
    DELETION_BLOCKED = "deletion_blocked"  #: deletions of retired originals that are blocked
    LATE_CALLER = "late_caller"  #: originals still receive calls after their callers were updated
    NEEDS_CHANGES = "needs_changes"  #: flows that a person has to change before a new remediation
    ALERT = "alert"  #: rows with an alert
    #: Messages in the poison queue or the dead-letter queue.
    UNPROCESSED_MESSAGES = "unprocessed_messages"
    CHANNEL_FAILING = "channel_failing"  #: notifications that a channel has not accepted
    WAKE_UP = "wake_up"  #: overdue rows without a wake-up
    DAILY_CHECK_MISSING = "daily_check_missing"  #: the daily check has not completed
    SUPPORT_REQUEST = "support_request"  #: a request to Microsoft's support that nobody filed
    # Only for notifications, not part of the status:
    #: Flows that wait until the owner of a declared caller has confirmed a change.
    CALLER_UNCONFIRMED = "caller_unconfirmed"
    PLAN_EXPIRES_SOON = "plan_expires_soon"  #: a plan that expires within a day
    #: A support request whose support window closes within a week.
    SUPPORT_WINDOW_CLOSES = "support_window_closes"
    FAILED_RUNS = "failed_runs"  #: runs of an environment that failed yesterday
    REMEDIATION_COMPLETED = "remediation_completed"  #: an environment job has completed
    DIGEST = "digest"  #: more pending actions than are sent one by one


#: Reason codes with which a job continues to try, although a person has to act.
GO_ON_TRYING: Mapping[str, PendingActionKind] = {
    Reason.BOTH_OFF: PendingActionKind.BOTH_OFF,
    Reason.LATE_CALLER: PendingActionKind.LATE_CALLER,
}


#: Its options depend on the settings of the deployment.
OPERATOR_SIGN_IN = "cmkflow service-account sign-in"


#: The next command for reason codes where it is not a retry or the health.
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
    PendingActionKind.BOTH_OFF: "Original and copy are both off: {flows}{at}",
    PendingActionKind.FLOWS_BLOCKED: "{flows} {state}{at}{why}",
    PendingActionKind.ENVIRONMENT_BLOCKED: "The remediation{at} {has_stopped}{why}",
    PendingActionKind.PLAN_AWAITING_APPROVAL: "A plan for {flows}{at} awaits approval",
    PendingActionKind.DELETION_BLOCKED: "{deletions} of retired originals blocked{why}",
    PendingActionKind.LATE_CALLER: "Calls still reach the original's URL: {flows}{at}",
    PendingActionKind.NEEDS_CHANGES: "{flows} {needs} changes first{at}",
    PendingActionKind.ALERT: "{alert}",
    PendingActionKind.UNPROCESSED_MESSAGES: "{messages} could not be processed",
    PendingActionKind.CHANNEL_FAILING: (
        "The notification channel {code} accepts nothing ({notifications} waiting)"
    ),
    PendingActionKind.KILL_SWITCH_ON: "The kill switch is on",
    PendingActionKind.WAKE_UP: "{rows} overdue and without a wake-up",
    PendingActionKind.DAILY_CHECK_MISSING: "The daily check has not completed",
    PendingActionKind.SUPPORT_REQUEST: "Support request not filed{at}{why}",
    PendingActionKind.SUPPORT_WINDOW_CLOSES: (
        "Support request not filed{at}{why}; its support window closes within a week"
    ),
    PendingActionKind.FAILED_RUNS: "Runs of {flows} failed{at} on {code}",
    PendingActionKind.CALLER_UNCONFIRMED: "The update of {caller} is not confirmed for {flows}{at}",
    PendingActionKind.PLAN_EXPIRES_SOON: "A plan for {flows}{at} expires within a day",
    PendingActionKind.REMEDIATION_COMPLETED: ("The remediation{at} {ending}: {flows} not migrated"),
    PendingActionKind.DIGEST: "{count} more actions required",
}


#: What the rows of an alert are about.
_ALERT_TITLES: Mapping[str, str] = {
    Reason.KEY_PROBLEM: "A key does not work, or will stop working",
    Reason.KEY_WARNING: "A key may stop working",
    Reason.ADDRESS_RANGES_CHANGED: "Microsoft's address ranges have changed",
    Reason.ADDRESS_RANGES_OUTDATED: "Microsoft's address ranges are not up to date",
    Reason.OUTBOUND_CALL_BLOCKED: "Calls by copies are, or may be, denied",
    Reason.FIREWALL_FIX_UNFINISHED: "A change of a firewall is not completed",
    Reason.SOLUTION_SETTING_UNFINISHED: "A change of a solution setting is not completed",
    Reason.SERVICE_ACCOUNT_SIGNED_OUT: "The service account is no longer signed in",
    Reason.RETIRED_ORIGINAL_ON: "Retired originals are on again",
    Reason.RETIRED_ORIGINALS_NOT_CHECKED: "The daily check did not check some flows",
    Reason.UNREADABLE_ROW: "This version of the app cannot read some rows",
    Reason.REQUEST_BUDGET_RESET: "A request budget was reset",
    Reason.INTERNAL_ERROR: "Jobs have failed",
    Reason.SERVICE_OUTAGE: "A service does not answer",
    Reason.ENVIRONMENT_DISABLED: "An environment is disabled",
    Reason.THROTTLED: "The flow service has rejected requests for a long time",
    Reason.STALE_WRITE: "A late write restored older values of a caller",
    Reason.ORPHANED_COPY: "Copies of cancelled or rolled-back jobs remain",
    Reason.GRANT_NOT_REVOKED: "The service account is still co-owner of a flow",
    Reason.ROW_SKIPPED: "A timer cannot process some rows",
}


#: Why flows or a remediation are blocked, where the words of the code do not say it.
_CAUSES: Mapping[str, str] = {
    Reason.FIREWALL_DENIES: "a firewall denies calls",
    Reason.MANUAL_CALLER: "a person must change a caller",
    Reason.OWNER_UNAVAILABLE: "the owner is not available",
    Reason.ORIGINAL_EDITED: "the original was edited",
    Reason.SERVICE_ACCOUNT_SIGNED_OUT: "the service account is signed out",
    Reason.CALLER_SEARCH_INCOMPLETE: "the app cannot read every place that may contain callers",
    Reason.ENVIRONMENT_READ_ONLY: "the environment is read-only",
    Reason.RETIRED_ORIGINAL_ON: "an original is on again",
    Reason.PLATFORM_MIGRATION_STALLED: "the platform does not move the environment's flows",
}


_FLOW_OWNER = "owner of the flow"
_CALLER_OWNER = "owner of the caller"
_NETWORK = "network administrator"
_KEYS = "administrator of the keys"
_MAKER = "maker of the flow"
#: Who has to act, by kind and by reason code; anything else is for an operator of the app.
_ACTORS: Mapping[str, str] = {
    PendingActionKind.PLAN_AWAITING_APPROVAL: "approver",
    PendingActionKind.PLAN_EXPIRES_SOON: "approver",
    PendingActionKind.NEEDS_CHANGES: _MAKER,
    PendingActionKind.LATE_CALLER: _CALLER_OWNER,
    PendingActionKind.CALLER_UNCONFIRMED: _CALLER_OWNER,
    PendingActionKind.BOTH_OFF: _FLOW_OWNER,
    PendingActionKind.FAILED_RUNS: _FLOW_OWNER,
    Reason.FIREWALL_DENIES: _NETWORK,
    Reason.OUTBOUND_CALL_BLOCKED: _NETWORK,
    Reason.ADDRESS_RANGES_CHANGED: _NETWORK,
    Reason.MANUAL_CALLER: _CALLER_OWNER,
    Reason.CALLER_WRITE_LOST: _CALLER_OWNER,
    Reason.ORIGINAL_EDITED: _FLOW_OWNER,
    Reason.DEFINITION_UNREADABLE: _FLOW_OWNER,
    Reason.CONNECTION_REFERENCE_MISMATCH: _FLOW_OWNER,
    Reason.CONNECTION_REFERENCES_LOST: _FLOW_OWNER,
    Reason.FLOW_STATE_NOT_CHANGED: _FLOW_OWNER,
    Reason.KEY_PROBLEM: _KEYS,
    Reason.KEY_WARNING: _KEYS,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingAction:
    """Something that only a person can do, grouped by reason."""

    kind: PendingActionKind
    #: A `Reason` or the platform's error code, both listed in the runbook.
    reason_code: str = ""
    count: int
    environment_id: str = ""
    environment_name: str = ""
    remediation_id: str = ""
    #: Name of the declared caller that it is about; empty: it is about none.
    caller: str = ""
    #: Names of the first flows, and their workflow ids.
    flows: tuple[str, ...] = ()
    workflow_ids: tuple[str, ...] = ()
    #: Why, and what a person has to do.
    message: str
    fix: str
    next_command: str
    #: Since when a person has to act; None: not known.
    pending_since: datetime | None = None
    #: When it ends because nobody acts: the time when a plan expires.
    expires_at: datetime | None = None
    #: `blocked`, or `failed` if all of it failed; at the end `completed`,
    #: `prepared` or `cancelled`.
    state: str = "blocked"

    @property
    def id(self) -> str:
        """Return an id that stays the same while the reason exists, however many flows have it."""
        # Each new remediation finds the same flows.
        if self.kind is PendingActionKind.NEEDS_CHANGES:
            return hash_key(self.kind, self.environment_id)
        about = (self.kind, self.environment_id, self.remediation_id, self.reason_code)
        return hash_key(*about, *filter(None, (self.caller,)))

    @property
    def title(self) -> str:
        """Return the action in one line for people, with its environment."""
        where = self.environment_name or self.environment_id
        return self._format_title(f" in {where}" if where else "")

    @property
    def short_title(self) -> str:
        """Return the title without the environment."""
        return self._format_title("")

    @property
    def actor(self) -> str:
        """Return who has to act, without an article, such as `operator`."""
        return _ACTORS.get(self.kind) or _ACTORS.get(self.reason_code, "operator")

    def _format_title(self, at: str) -> str:
        words = _TITLES[self.kind]
        if self.kind is PendingActionKind.CHANNEL_FAILING and not self.count:
            words = "The notification channel {code} accepts nothing"
        if self.kind is PendingActionKind.REMEDIATION_COMPLETED and not self.count:
            words = "The remediation{at} {ending}: every flow is {result}"
        code = self.reason_code
        why = _CAUSES.get(code) or code.replace("_", " ")
        return words.format(
            at=at,
            why=f": {why}" if why else "",
            flows=format_count(self.count, "flow"),
            rows=f"{format_count(self.count, 'row')} {'is' if self.count == 1 else 'are'}",
            messages=format_count(self.count, "queue message"),
            notifications=format_count(self.count, "notification"),
            deletions=format_count(self.count, "deletion"),
            count=self.count,
            code=code,
            caller=self.caller,
            state=self.state,
            has_stopped="has failed" if self.state == "failed" else "is blocked",
            ending="was cancelled" if self.state == "cancelled" else "is complete",
            result="prepared" if self.state == "prepared" else "migrated",
            needs="needs" if self.count == 1 else "need",
            alert=_ALERT_TITLES.get(code, f"Action required: {why}")
            + (f" ({self.count})" if self.count > 1 else ""),
        )


def list_pending_flow_actions(
    jobs: Iterable[FlowJob], names: Mapping[str, str]
) -> list[PendingAction]:
    """Return the pending actions of flow jobs, grouped by reason, environment and remediation.

    `names` contains the environments' names by id.
    """
    groups: dict[tuple[str, str, str], list[FlowJob]] = defaultdict(list)
    for job in jobs:
        if job.needs_action or job.reason_code in GO_ON_TRYING:
            groups[job.environment_id, job.remediation_id, job.reason_code].append(job)
    environments = Counter((remediation_id, code) for _, remediation_id, code in groups)
    pending = []
    for (environment_id, remediation_id, code), group in groups.items():
        group.sort(key=lambda job: job.display_name)
        pending.append(
            PendingAction(
                kind=GO_ON_TRYING.get(code, PendingActionKind.FLOWS_BLOCKED),
                reason_code=code,
                count=len(group),
                environment_id=environment_id,
                environment_name=names.get(environment_id, ""),
                remediation_id=remediation_id,
                flows=tuple(job.display_name for job in group[:NAMED]),
                workflow_ids=tuple(job.original.id for job in group[:NAMED]),
                message=_format_message(code, group),
                fix=_format_fix(code, group),
                pending_since=min(filter(None, map(find_pending_since, group)), default=None),
                next_command=_NEXT[code].format(remediation_id)
                if code in _NEXT
                else _format_retry_command(
                    remediation_id,
                    code,
                    environment_id if environments[remediation_id, code] > 1 else "",
                ),
                state="failed"
                if all(job.state is FlowJobState.FAILED for job in group)
                else "blocked",
            )
        )
    return pending


def _format_message(code: str, group: Sequence[FlowJob]) -> str:
    if code == Reason.FIREWALL_DENIES:
        return _format_denying_firewalls(group)
    return _choose_common_message(code, [job.message for job in group])


def _choose_common_message(code: str, messages: Sequence[str]) -> str:
    """Return the message if all are the same, otherwise the meaning of their reason code."""
    first = messages[0]
    if all(message == first for message in messages):
        return first
    return next((reason.meaning for reason in Reason if reason == code), first)


def _format_denying_firewalls(group: Sequence[FlowJob]) -> str:
    names = sorted({name for job in group for name in list_denying_firewall_names(job)})
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    deny = "firewall denies" if len(names) == 1 else "firewalls deny"
    shown = ", ".join(names[:NAMED])
    return f"{len(names)} {deny} the addresses of the copies: {shown}{more}."


def _format_fix(code: str, group: Sequence[FlowJob | Deletion]) -> str:
    if code == Reason.LATE_CALLER:
        return fill_in_environment(Reason.LATE_CALLER.fix, group[0].environment_id)
    if code == Reason.FIREWALL_DENIES:  # the fix of each firewall names its address ranges
        return "Fix each firewall that the remediation shows, or ignore it. Then retry the flows."
    first = group[0]
    if all(job.fix == first.fix for job in group):
        return first.fix
    return f"The flows need different fixes. For {first.display_name}: {first.fix}"


def list_pending_deletion_actions(deletions: Iterable[Deletion]) -> list[PendingAction]:
    """Return a pending action for each reason and remediation of these blocked deletions."""
    groups: dict[tuple[str, str], list[Deletion]] = defaultdict(list)
    for deletion in deletions:
        groups[deletion.remediation_id, deletion.reason_code].append(deletion)
    pending = []
    for (remediation_id, code), group in groups.items():
        group.sort(key=lambda deletion: deletion.display_name)
        pending.append(
            PendingAction(
                kind=PendingActionKind.DELETION_BLOCKED,
                reason_code=code,
                count=len(group),
                remediation_id=remediation_id,
                flows=tuple(one.display_name for one in group[:NAMED]),
                workflow_ids=tuple(one.original_id for one in group[:NAMED]),
                message=_choose_common_message(code, [one.message for one in group]),
                fix=_format_fix(code, group),
                pending_since=min(filter(None, (one.reason_since for one in group)), default=None),
                next_command=f"cmkflow deletion list {remediation_id}",
            )
        )
    return pending


def find_pending_since(job: FlowJob) -> datetime | None:
    """Return since when a person has to act on a flow job, or None if its row does not show it."""
    if job.reason_code == Reason.LATE_CALLER:  # its message changes with each call
        return job.observation.started_at
    return job.reason_since


def _format_retry_command(remediation_id: str, code: str, environment_id: str) -> str:
    words = ["cmkflow", "retry", remediation_id]
    words += ["--code", code] if code else []
    words += ["--environment", environment_id] if environment_id else []
    return shlex.join(words)


def list_pending_alerts(alerts: Iterable[Alert]) -> list[PendingAction]:
    """Return a pending action for each reason code of the alerts.

    Omits alerts that an original and its copy are both off, because their flow jobs show that.
    """
    groups: dict[str, list[Alert]] = defaultdict(list)
    for alert in alerts:
        if alert.reason_code != Reason.BOTH_OFF:
            groups[alert.reason_code].append(alert)
    return [
        PendingAction(
            kind=PendingActionKind.ALERT,
            reason_code=code,
            count=len(group),
            message=" ".join(sorted({one.message for one in group})[:NAMED]),
            fix=" ".join(sorted({one.fix for one in group} - {""})[:NAMED])
            or next((reason.fix for reason in Reason if reason == code), "")
            or f"Report the reason {code}, which this version of the app does not know.",
            next_command=_NEXT.get(code, "cmkflow health"),
            pending_since=min(one.raised_at for one in group),
        )
        for code, group in sorted(groups.items())
    ]


def list_pending_environment_actions(
    environment_jobs: Iterable[EnvironmentJob],
) -> list[PendingAction]:
    """Return the pending actions of environment jobs: plans to approve, and blocked or failed
    jobs.
    """
    environment_jobs = list(environment_jobs)
    asked = Counter(one.remediation_id for one in environment_jobs if one.awaits_approval)
    codes = Counter(
        (one.remediation_id, one.reason_code) for one in environment_jobs if one.needs_action
    )
    plans = [
        PendingAction(
            kind=PendingActionKind.PLAN_AWAITING_APPROVAL,
            count=one.awaiting_approval_count,
            environment_id=one.environment_id,
            environment_name=one.environment_name,
            remediation_id=one.remediation_id,
            message="The app writes nothing before an approver has approved the plan.",
            fix="Read the plan, then approve the version that it shows.",
            next_command=f"cmkflow approve {one.remediation_id}"
            + (f" --environment {one.environment_id}" if asked[one.remediation_id] > 1 else ""),
            pending_since=one.planned_at,
            expires_at=one.approval_expires_at,
        )
        for one in environment_jobs
        if one.awaits_approval
    ]
    return plans + [
        PendingAction(
            kind=PendingActionKind.ENVIRONMENT_BLOCKED,
            reason_code=one.reason_code,
            count=1,
            environment_id=one.environment_id,
            environment_name=one.environment_name,
            remediation_id=one.remediation_id,
            message=one.message,
            fix=one.fix,
            next_command=_format_retry_command(
                one.remediation_id,
                one.reason_code,
                one.environment_id if codes[one.remediation_id, one.reason_code] > 1 else "",
            ),
            pending_since=one.reason_since,
            state="failed" if one.state is EnvironmentJobState.FAILED else "blocked",
        )
        for one in environment_jobs
        if one.needs_action
    ]


def sort_most_urgent_first(pending: Iterable[PendingAction]) -> tuple[PendingAction, ...]:
    order = list(PendingActionKind)

    def rank_urgency(one: PendingAction) -> tuple[int, bool, int, str]:
        # A key that does not work stops whole environments: only flows that are off come first.
        is_key = one.reason_code == Reason.KEY_PROBLEM
        kind = PendingActionKind.BOTH_OFF if is_key else one.kind
        return order.index(kind), is_key, -one.count, one.remediation_id

    return tuple(sorted(pending, key=rank_urgency))


def format_count(number: int, noun: str) -> str:
    return f"1 {noun}" if number == 1 else f"{number:,} {noun}s"
