from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from shared.domain.callers.call_headers import (
    NOT_LISTED,
    NOT_READ,
    NOT_SHOWN,
    CallerSource,
    CallTraits,
    has_matching_claims,
    parse_call_traits,
)
from shared.domain.callers.observed_caller import (
    MOST_LISTED,
    CallerNames,
    NamedCaller,
    ObservedCall,
    ObservedCaller,
    ObservedCallers,
    add_caller_names,
    add_calls,
)

NOW = datetime(2026, 11, 24, 8, 15, tzinfo=UTC)
HEX = "fb6f6ffe7cf84df7beee4b7a9f9036ac"
FLOW = "a3113776-3e4c-4662-9953-4299d7f2492f"
SUBSCRIPTION = "d95fa5d8-0b50-430c-8611-72318cf74228"
FLOW_HEADERS = {
    "User-Agent": f"azure-logic-apps/1.0,(workflow {HEX}; version 08586595368134558043)",
    "x-ms-client-tracking-id": "08586595201664692963773773294CU53",
    "x-ms-workflow-id": HEX.upper(),
    "x-ms-workflow-name": FLOW.upper(),
    "x-ms-workflow-resourcegroup-name": f"{'C' * 32}-{'2' * 32}",
    "x-ms-workflow-subscription-id": SUBSCRIPTION,
}
LOGIC_APP_HEADERS = {
    "x-ms-workflow-id": HEX,
    "x-ms-workflow-name": "Order-Scheduler",
    "x-ms-workflow-resourcegroup-name": "CLHC-RG-PROD",
    "x-ms-workflow-subscription-id": SUBSCRIPTION,
}
LOGIC_APP_ID = (
    f"/subscriptions/{SUBSCRIPTION}/resourcegroups/clhc-rg-prod"
    "/providers/microsoft.logic/workflows/order-scheduler"
)


@pytest.mark.parametrize(
    ("headers", "traits"),
    [
        (
            FLOW_HEADERS,
            CallTraits(source=CallerSource.FLOW, source_id=FLOW, workflow_url_id=HEX),
        ),
        (
            LOGIC_APP_HEADERS,
            CallTraits(source=CallerSource.LOGIC_APP, source_id=LOGIC_APP_ID, workflow_url_id=HEX),
        ),
        (
            {"user-agent": FLOW_HEADERS["User-Agent"]},
            CallTraits(source=CallerSource.WORKFLOW, workflow_url_id=HEX),
        ),
        (
            {"x-ms-client-tracking-id": "08586595201664692963773773294CU53"},
            CallTraits(source=CallerSource.WORKFLOW),
        ),
        (
            {"aeg-event-type": "Notification", "aeg-subscription-name": "SALES"},
            CallTraits(source=CallerSource.EVENT_GRID, source_id="sales"),
        ),
        ({"aeg-event-type": "Notification"}, CallTraits(source=CallerSource.EVENT_GRID)),
        (
            {"X-VSS-SubscriptionId": SUBSCRIPTION.upper()},
            CallTraits(source=CallerSource.AZURE_DEVOPS, source_id=SUBSCRIPTION),
        ),
        ({"x-ms-client-tracking-id": "order 17"}, CallTraits(source=CallerSource.OTHER)),
        ({}, CallTraits(source=CallerSource.OTHER)),
        (
            {"User-Agent": ["curl/8.5"], "X-Forwarded-For": 7},
            CallTraits(source=CallerSource.OTHER),
        ),
    ],
)
def test_source_is_read_from_headers(headers: dict[str, object], traits: CallTraits) -> None:
    assert parse_call_traits(headers) == traits


@pytest.mark.parametrize(
    ("agent", "product"),
    [
        ("curl/8.5.0", "curl/8.5"),
        ("python-requests/2.31.0", "python-requests/2.31"),
        ("Apache-HttpClient/4.5.14 (Java/17.0.9)", "Apache-HttpClient/4.5"),
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64)", "Mozilla/5.0"),
        ("Go-http-client/1.1", "Go-http-client/1.1"),
        ("PostmanRuntime/v7", "PostmanRuntime/7"),
        ("SAP NetWeaver Application Server", "SAP"),
        ("okhttp/4.9.3-SNAPSHOT", "okhttp/4.9"),
        ("AKIA1234567890EXAMPLEKEY", ""),
        ("sig=abcdef", ""),
        ("curl/8.5&sig=abcdef", ""),
        ("x" * 60, ""),
        ("", ""),
    ],
)
def test_only_the_first_product_of_a_user_agent_is_kept(agent: str, product: str) -> None:
    """A text that may be a key is not kept."""
    assert parse_call_traits({"User-Agent": agent}).user_agent == product


@pytest.mark.parametrize(
    ("forwarded", "network"),
    [
        ("203.0.113.7", "203.0.113.0/24"),
        ("203.0.113.7:51234", "203.0.113.0/24"),
        ("203.0.113.7, 10.1.2.3", "203.0.113.0/24"),
        ("2001:db8:1:2:3::4", "2001:db8:1::/48"),
        ("[2001:db8:1:2:3::4]:443, 10.1.2.3", "2001:db8:1::/48"),
        ("::ffff:203.0.113.7", "203.0.113.0/24"),
        ("fe80::1%eth0", ""),
        ("unknown, 203.0.113.7", ""),
        ("203.0.113.7/8", ""),
        ("", ""),
    ],
)
def test_forwarded_address_is_kept_as_a_network(forwarded: str, network: str) -> None:
    """Each proxy adds its address behind the caller's."""
    assert parse_call_traits({"X-Forwarded-For": forwarded}).network == network


@pytest.mark.parametrize(
    ("user_agent", "networks", "is_same"),
    [
        ("", (), False),
        ("curl", (), True),
        ("CURL/8.5", (), True),
        ("curl/8.4", (), False),
        ("cur", (), False),
        ("", ("203.0.113.7",), True),
        ("", ("203.0.0.0/16",), True),
        ("", ("203.0.114.0/24", "2001:db8::/32"), False),
        ("curl", ("198.51.100.0/24",), False),
        ("wget", ("203.0.113.0/24",), False),
        ("curl", ("198.51.100.0/24", "203.0.113.0/28"), True),
    ],
)
def test_caller_is_compared_with_what_was_declared(
    user_agent: str, networks: tuple[str, ...], *, is_same: bool
) -> None:
    caller = parse_call_traits({"User-Agent": "curl/8.5.0", "X-Forwarded-For": "203.0.113.99"})

    assert has_matching_claims(caller, user_agent, networks) is is_same
    assert not has_matching_claims(NOT_SHOWN, user_agent, networks)


def build_traits(number: int) -> CallTraits:
    return CallTraits(source=CallerSource.OTHER, user_agent=f"agent/{number}")


def build_row() -> ObservedCallers:
    return ObservedCallers(environment_id="e", job_id="j", read_until=NOW)


def build_call(minute: int, of: CallTraits) -> ObservedCall:
    """Return a call that began this many minutes after `NOW`."""
    return ObservedCall(started_at=NOW + timedelta(minutes=minute), traits=of)


def test_calls_are_grouped_by_caller_with_first_and_last_time() -> None:
    first = add_calls(
        build_row(),
        [
            build_call(1, build_traits(1)),
            build_call(2, build_traits(2)),
            build_call(3, build_traits(1)),
        ],
    )
    again = add_calls(first, [build_call(3, build_traits(1)), build_call(4, build_traits(1))])

    assert [(one.call_count, one.first_at, one.last_at) for one in again.callers] == [
        (3, NOW + timedelta(minutes=1), NOW + timedelta(minutes=4)),
        (1, NOW + timedelta(minutes=2), NOW + timedelta(minutes=2)),
    ]
    assert again.read_until == NOW + timedelta(minutes=4)


def test_a_row_lists_a_limited_number_of_callers() -> None:
    calls = [
        build_call(1, NOT_SHOWN),
        *(build_call(number, build_traits(number)) for number in range(2, 62)),
    ]

    counted = add_calls(build_row(), calls)

    assert len(counted.callers) == MOST_LISTED + 2
    assert sum(one.call_count for one in counted.callers) == len(calls)
    [rest] = [one for one in counted.callers if one.traits == NOT_LISTED]
    assert rest.call_count == 60 - MOST_LISTED


def test_unknown_callers_come_first() -> None:
    known = CallTraits(source=CallerSource.FLOW, source_id=FLOW, workflow_url_id=HEX)
    logic_app = replace(known, source=CallerSource.LOGIC_APP, source_id=LOGIC_APP_ID)
    calls = [
        build_call(1, NOT_READ),
        build_call(2, known),
        build_call(3, logic_app),
        build_call(4, build_traits(1)),
    ]
    calls += [build_call(5, build_traits(1))]
    names = CallerNames(flows={}, known={FLOW: "flow Billing"})

    named = add_caller_names(add_calls(build_row(), calls), names)

    assert [one.text for one in named] == [
        "Unknown caller, 2 calls since 2026-11-24 08:19 UTC, claims to be agent/1",
        (
            "Unknown caller: Logic App order-scheduler in clhc-rg-prod, 1 call since "
            "2026-11-24 08:18 UTC"
        ),
        "Flow Billing, 1 call since 2026-11-24 08:17 UTC",
        "Caller not read, at least 1 call since 2026-11-24 08:16 UTC",
    ]


@pytest.mark.parametrize("source", CallerSource)
def test_every_source_has_a_text(source: CallerSource) -> None:
    seen = ObservedCaller(traits=CallTraits(source=source), call_count=1, first_at=NOW, last_at=NOW)

    label = NamedCaller(name="", is_known=False, observed=seen).label

    assert label
    assert label == label.strip()
