import json
from dataclasses import replace
from typing import Any

import pytest

from local_cloud.demo.call_log import LoggedCall, TrafficCallLog
from local_cloud.demo.flow_results import (
    FlowResult,
    compare_ownership,
    find_differences,
    find_flows_left_off,
    find_unexplained_ends,
)
from local_cloud.demo.received_notifications import (
    PEOPLE,
    find_missing_notifications,
    has_plan_notification,
    list_notifications,
)
from local_cloud.demo.run import EXPECTED_ENDS
from local_cloud.demo.tenant import ENVIRONMENTS
from local_cloud.demo.traffic import USER_AGENT
from local_cloud.demo.unknown_caller import list_unknown_callers

RETIRED = FlowResult(
    action="copy",
    reasons=("http_trigger",),
    state="retired",
    code="",
    original="off",
    copy="on",
    is_protected=True,
    environment="Operations",
    title="Take orders",
)
BLOCKED = replace(
    RETIRED, state="blocked", code="environment_read_only", fix="Do this.", copy="none"
)


def test_expected_ends_contain_every_flow_of_the_demo() -> None:
    """Without an expected end in the table, a wrong end of a flow would pass."""
    table = json.loads(EXPECTED_ENDS.read_text())

    for environment in ENVIRONMENTS:
        titles = {flow.title for flow in environment.flows}
        assert table[environment.title].keys() == titles


def test_blocked_flow_with_another_expected_end_fails_the_demo() -> None:
    table = {"Operations": {"Take orders": json.loads(json.dumps(RETIRED.build_expectation()))}}

    assert find_differences([RETIRED], table) == []
    assert any("state is 'blocked'" in text for text in find_differences([BLOCKED], table))
    assert find_differences([], table) == ["Operations / Take orders: not there"]


def test_imported_flow_without_an_instruction_fails_the_demo() -> None:
    waiting = replace(RETIRED, state="waiting")

    assert find_unexplained_ends([RETIRED, BLOCKED]) == []
    assert len(find_unexplained_ends([replace(BLOCKED, fix=""), waiting])) == 2


def test_flow_with_both_off_at_the_end_fails_the_demo() -> None:
    off = replace(BLOCKED, was_on=True, original="off", copy="off")
    fine = [replace(off, original="on"), replace(off, copy="on"), replace(off, was_on=False)]

    assert find_flows_left_off([RETIRED, *fine]) == []
    assert find_flows_left_off([off]) == [
        "Operations / Take orders: Original and copy are both off. "
    ]
    assert find_flows_left_off([replace(off, original="deleted", copy="none")])


def test_copy_without_its_co_owners_or_solution_fails_the_demo() -> None:
    original = {"displayName": "Take orders", "owner": "maker", "description": "Orders"} | {
        "coOwners": {"colleague": "CanEdit"},
        "solutions": ["Default", "Shop"],
    }
    copy = original | {"solutions": ["Shop"]}

    assert compare_ownership(original, copy) == []
    [found] = compare_ownership(original, copy | {"coOwners": {}})
    assert "coOwners of its copy" in found


@pytest.mark.parametrize(
    ("status", "entries", "is_lost"),
    [
        pytest.param(202, [{}], False, id="accepted, one run"),
        pytest.param(400, [{}], True, id="refused"),
        pytest.param(0, [], True, id="no answer"),
        pytest.param(202, [], True, id="accepted, no run"),
        pytest.param(202, [{}, {}], True, id="two runs"),
        pytest.param(202, [{"runStatus": "Failed"}], True, id="its run failed"),
        pytest.param(
            202,
            [{}, {"by": "flow:x", "accepted": False, "code": "WorkflowNotFound"}],
            True,
            id="its run called a flow that is gone",
        ),
    ],
)
def test_call_is_lost_by_its_status_and_its_recorded_runs(
    status: int, entries: list[dict[str, Any]], is_lost: bool
) -> None:
    account, call = TrafficCallLog(), LoggedCall(tracking_id="1", caller="shop")
    account.record_call(call)
    call.status, call.is_over = status, True

    account.record_entries(
        [_build_entry(**entry) for entry in entries], len(entries), account.list_ended_calls()
    )

    assert bool(account.list_losses(USER_AGENT)) is is_lost


def test_call_in_progress_is_not_lost() -> None:
    account, call = TrafficCallLog(), LoggedCall(tracking_id="1", caller="shop")
    account.record_call(call)

    account.record_entries([], 0, account.list_ended_calls())

    assert account.list_losses(USER_AGENT) == []


def _build_entry(**changes: object) -> dict[str, Any]:
    entry = {
        "by": USER_AGENT,
        "cause": "url",
        "trackingId": "1",
        "accepted": True,
        "status": 202,
        "code": "",
        "runStatus": "Succeeded",
    }
    return entry | changes


def test_demo_without_notifications_fails() -> None:
    heard: list[dict[str, Any]] = [
        {
            "at": "2026-01-01T10:00:00Z",
            "receiver": receiver,
            "title": title,
            "is_repeated": receiver == "webhook",
            "refusal": "",
        }
        for receiver in PEOPLE
        for title in (
            "A plan for 3 flows in Operations awaits approval",
            "1 flow blocked in Operations: a firewall denies calls",
            "The remediation in Operations is complete: 9 flows not migrated",
        )
    ]
    log = "\n".join(
        json.dumps(
            {
                "time": "2026-01-01T09:59:00+00:00",
                "message": f"notification rejected | {json.dumps({'channel': one, 'text': 'x'})}",
            }
        )
        for one in PEOPLE
    )

    assert has_plan_notification(heard)
    assert not has_plan_notification(heard[1:])
    assert not has_plan_notification([one | {"is_repeated": False} for one in heard])
    assert find_missing_notifications(heard, list_notifications(heard, log)) == []
    assert [one.why for one in list_notifications(heard, log)][:3] == ["x"] * 3
    assert find_missing_notifications(heard[1:], list_notifications(heard[1:], log)) == [
        f"{PEOPLE[heard[0]['receiver']]}: no notification 'A plan for '"
    ]
    assert len(find_missing_notifications(heard, list_notifications(heard, ""))) == 3
    refused = [*heard, heard[0] | {"refusal": "400 No card."}]
    assert find_missing_notifications(refused, list_notifications(refused, log)) == [
        "event_grid refused a message: 400 No card."
    ]


def test_only_a_caller_that_the_app_does_not_know_counts_as_unknown() -> None:
    unknown = {"label": "unknown caller", "claims": "curl/8.5", "is_known": False, "call_count": 3}
    known = unknown | {"label": "flow Billing", "is_known": True}
    hidden = unknown | {"label": "caller not shown by the platform", "claims": ""}
    original = {"display_name": "Take stock", "callers": [known, hidden, unknown]}

    found = list_unknown_callers([{"observed_callers": []}, {"observed_callers": [original]}])

    assert found == [
        {"flow": "Take stock", "label": "unknown caller", "claims": "curl/8.5", "call_count": 3}
    ]
