import json

import pytest

from functions.endpoints import list_endpoints
from shared.domain.audit_text import (
    AuditResult,
    TargetKind,
    describe_operation,
    describe_principal,
    find_audit_result,
    find_audit_target,
    format_changes,
    map_operations_to_phrases,
    replace_known_ids,
)


def test_every_recorded_route_has_an_operation_text() -> None:
    recorded = {one.name for one in list_endpoints().values() if one.is_recorded}

    # Nobody signs in to confirm by a link, so the endpoint records the caller's owner itself.
    assert recorded | {"confirm_by_link"} == map_operations_to_phrases().keys()


def test_each_choice_of_the_audit_filter_has_other_words() -> None:
    words = map_operations_to_phrases().values()

    assert len(set(words)) == len(words)


@pytest.mark.parametrize(
    ("status", "result", "words"),
    [
        (202, AuditResult.DONE, "Approved the plan"),
        (409, AuditResult.REJECTED, "Tried to approve the plan"),
        (503, AuditResult.FAILED, "Tried to approve the plan"),
        (None, AuditResult.UNKNOWN, "Requested to approve the plan"),
    ],
)
def test_words_do_not_claim_more_than_the_result(
    status: int | None, result: AuditResult, words: str
) -> None:
    assert find_audit_result(status) is result
    assert describe_operation("approve_remediation", status) == words


def test_operation_of_a_read_only_route_is_described_by_its_name() -> None:
    assert describe_operation("show_health", 403) == "Tried to show health"
    assert describe_operation("former_route", 200) == "Requested former route"


def test_principal_name_from_a_function_key_is_marked() -> None:
    assert describe_principal("user", "anna") == "anna"
    assert describe_principal("function_key", "anna") == "function key (anna)"
    assert describe_principal("function_key", "") == "function key"


@pytest.mark.parametrize(
    ("path", "after", "kind", "identity"),
    [
        ("/api/remediations/r-1/retry", {}, TargetKind.REMEDIATION, "r-1"),
        ("/api/remediations", {"remediation": "r-2"}, TargetKind.REMEDIATION, "r-2"),
        ("/api/remediations", {}, TargetKind.OTHER, "remediations"),
        ("/api/environments/e-1/settings", {}, TargetKind.ENVIRONMENT, "e-1"),
        ("/api/kill-switch/on", {}, TargetKind.OTHER, "kill-switch"),
        ("/other", {}, TargetKind.OTHER, "/other"),
    ],
)
def test_target_is_found_in_the_path_or_the_new_state(
    path: str, after: dict[str, str], kind: TargetKind, identity: str
) -> None:
    target = find_audit_target(path, json.dumps(after))

    assert (target.kind, target.id) == (kind, identity)


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ({"max_flows": 7}, {"max_flows": 9}, "max flows 7 → 9"),
        ({"is_on": True}, {"is_on": False}, "is on yes → no"),
        ({"excluded_flows": ["a"]}, {"excluded_flows": []}, "excluded flows a → none"),
        ({}, {"mode": "apply", "remediation": "r", "compare_all_flows": False}, "mode apply"),
        (
            {"flow_states": {"planned": 2}},
            {"flow_states": {"checking_for_calls": 1, "planned": 1}},
            "flow states 2 planned → 1 checking for calls, 1 planned",
        ),
        ({"e-1 approved": ""}, {"e-1 approved": "b11c"}, "e-1 approved version b11c"),
        ({"job": {"of": "Orders", "runs": 0}}, {}, "job of: Orders, runs: 0 → none"),
    ],
)
def test_changes_are_formatted_with_their_values(
    before: dict[str, object], after: dict[str, object], words: str
) -> None:
    assert format_changes(json.dumps(before), json.dumps(after)) == words


@pytest.mark.parametrize("text", ["", "[1]", '{"max_flows": [1, 2… (70000 characters'])
def test_incomplete_state_yields_no_changes(text: str) -> None:
    assert format_changes(text, text) == ""


def test_names_replace_ids() -> None:
    assert replace_known_ids("e-1 and e-2", {"e-1": "Contoso"}) == "Contoso and e-2"
