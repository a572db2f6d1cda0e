from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from shared.domain.alert import Alert
from shared.domain.jobs.flow_job import FlowJob, Observation
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.jobs.transitions import resume, stop_with_reason, wait_until
from shared.domain.plans.notification import build_first_delivery, mark_delivery_accepted
from shared.domain.plans.pending_actions import (
    PendingAction,
    PendingActionKind,
    list_pending_alerts,
    list_pending_flow_actions,
    sort_most_urgent_first,
)
from shared.reason import Reason
from tests.unit.flow_rows import FLOW_JOB

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
DAY = timedelta(days=1)
NAMES = {"environment": "Operations"}


def build_blocked_job(
    now: datetime, code: str = Reason.FIREWALL_DENIES, fix: str = "Open it."
) -> FlowJob:
    return stop_with_reason(
        FLOW_JOB, FlowJobState.BLOCKED, "A firewall denies calls.", fix, code=code, now=now
    )


def test_title_contains_cause_and_environment_without_a_code() -> None:
    (one,) = list_pending_flow_actions([build_blocked_job(NOW), build_blocked_job(NOW)], NAMES)

    assert one.title == "2 flows blocked in Operations: a firewall denies calls"
    assert one.short_title == "2 flows blocked: a firewall denies calls"


def test_unknown_cause_is_shown_as_the_words_of_its_code() -> None:
    """Codes of the platform or of a later version have no text of their own."""
    (one,) = list_pending_flow_actions([build_blocked_job(NOW, "sharing_rejected")], NAMES)
    (alert,) = list_pending_alerts(
        [Alert(reason_code="a_newer_code", row=("t", "p", "k"), message="m", raised_at=NOW)]
    )

    assert one.short_title == "1 flow blocked: sharing rejected"
    assert alert.title == "Action required: a newer code"


def test_flows_are_pending_since_the_first_of_them_was_blocked() -> None:
    retried = stop_with_reason(
        resume(build_blocked_job(NOW - 5 * DAY), "Retried.", now=NOW - 2 * DAY),
        FlowJobState.BLOCKED, "A firewall denies calls.", "Open it.",
        code=Reason.FIREWALL_DENIES, now=NOW - 2 * DAY,
    )  # fmt: skip

    (one,) = list_pending_flow_actions([build_blocked_job(NOW), retried], NAMES)

    assert one.pending_since == NOW - 2 * DAY


def test_late_caller_action_is_pending_since_the_callers_were_updated() -> None:
    observed = replace(FLOW_JOB, observation=Observation(started_at=NOW - 3 * DAY))
    waiting = wait_until(observed, "Called.", until=NOW, now=NOW, code=Reason.LATE_CALLER)

    (one,) = list_pending_flow_actions([waiting], NAMES)

    assert (one.kind, one.pending_since) == (PendingActionKind.LATE_CALLER, NOW - 3 * DAY)


def test_late_callers_are_notified_once_a_day_at_most() -> None:
    called = wait_until(FLOW_JOB, "Called.", until=NOW, now=NOW, code=Reason.LATE_CALLER)
    (late,) = list_pending_flow_actions([called], NAMES)
    (blocked,) = list_pending_flow_actions([build_blocked_job(NOW)], NAMES)
    soon, later = NOW + timedelta(hours=5), NOW + DAY

    sent = {
        one.kind: mark_delivery_accepted(
            build_first_delivery(one, "teams", NOW, timedelta(0)), replace(one, count=1), NOW
        )
        for one in (late, blocked)
    }

    assert not sent[late.kind].is_due(replace(late, count=9), soon)
    assert sent[late.kind].is_due(replace(late, count=9), later)
    assert sent[blocked.kind].is_due(replace(blocked, count=9), soon)


def test_alerts_are_pending_since_the_first_was_raised() -> None:
    alerts = [
        Alert(reason_code=Reason.KEY_WARNING, row=("t", "p", key), message=key, raised_at=at)
        for key, at in (("a", NOW), ("b", NOW - DAY))
    ]

    (one,) = list_pending_alerts(alerts)

    assert one.pending_since == NOW - DAY
    assert one.title == "A key may stop working (2)"


def test_message_names_each_firewall_once_without_address_ranges() -> None:
    """The address ranges are on the remediation's page."""
    jobs = [
        replace(
            build_blocked_job(NOW, fix="Allow 10.0.0.0/8, 10.1.0.0/16."),
            message=f"These firewalls deny the copy of {flow}: {names}.",
        )
        for flow, names in (("Orders", "erp, sql.contoso"), ("Stock: all", "erp"))
    ]

    (one,) = list_pending_flow_actions(jobs, NAMES)

    assert one.message == "2 firewalls deny the addresses of the copies: erp, sql.contoso."
    assert "10." not in one.fix


def test_message_for_different_flows_is_the_meaning_of_the_reason() -> None:
    """The message of one flow would be wrong for the others."""
    jobs = [
        replace(
            build_blocked_job(NOW, Reason.OWNER_UNAVAILABLE),
            message=f"The owner of {flow} has left.",
        )
        for flow in ("Orders", "Stock")
    ]

    (first,) = list_pending_flow_actions(jobs[:1], NAMES)
    (both,) = list_pending_flow_actions(jobs, NAMES)

    assert first.message == "The owner of Orders has left."
    assert both.message == Reason.OWNER_UNAVAILABLE.meaning


def test_fix_for_different_flows_names_one_flow_without_an_id() -> None:
    code = Reason.OWNER_UNAVAILABLE
    jobs = [build_blocked_job(NOW, code), build_blocked_job(NOW, code, fix="Open another.")]

    (one,) = list_pending_flow_actions(jobs, NAMES)

    assert one.fix == "The flows need different fixes. For Orders: Open it."


@pytest.mark.parametrize(
    ("kind", "code", "actor"),
    [
        (PendingActionKind.PLAN_AWAITING_APPROVAL, "", "approver"),
        (PendingActionKind.NEEDS_CHANGES, "", "maker of the flow"),
        (PendingActionKind.FLOWS_BLOCKED, Reason.FIREWALL_DENIES, "network administrator"),
        (PendingActionKind.ALERT, Reason.KEY_PROBLEM, "administrator of the keys"),
        (PendingActionKind.FLOWS_BLOCKED, "a_newer_code", "operator"),
    ],
)
def test_each_action_has_an_actor(kind: PendingActionKind, code: str, actor: str) -> None:
    one = PendingAction(
        kind=kind, reason_code=code, count=1, message="", fix="", next_command="cmkflow status"
    )

    assert one.actor == actor


def test_key_that_does_not_work_comes_before_what_it_blocks() -> None:
    """An action about flows whose original and copy are both off is still more urgent."""

    def build(kind: PendingActionKind, code: str) -> PendingAction:
        return PendingAction(
            kind=kind, reason_code=code, count=9, message="", fix="", next_command=""
        )

    actions = [
        build(PendingActionKind.ALERT, Reason.KEY_WARNING),
        build(PendingActionKind.FLOWS_BLOCKED, Reason.FIREWALL_DENIES),
        build(PendingActionKind.ALERT, Reason.KEY_PROBLEM),
        build(PendingActionKind.BOTH_OFF, Reason.BOTH_OFF),
    ]

    assert [one.reason_code for one in sort_most_urgent_first(actions)] == [
        Reason.BOTH_OFF,
        Reason.KEY_PROBLEM,
        Reason.FIREWALL_DENIES,
        Reason.KEY_WARNING,
    ]
