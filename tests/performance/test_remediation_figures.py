"""Test what a remediation of called flows needs at the default budgets.

The tenant accepts five flow service requests a minute and rejects the sixth.
"""

from tests.functional.wire.wire_scenario import WIDE
from tests.performance.many_flows import build_many_flows
from tests.performance.remediation_figures import measure_remediation

FLOWS = 20
FIVE_A_MINUTE = {"budgets": {"flow_service": {"calls": 5, "seconds": 60}}}
#: Of the calls that a small budget allows until the last caller has moved. The plan reads settings
#: and connection strings of each app first, and sends few calls to the flow service meanwhile.
LEAST_SHARE = 0.945
#: For each flow: calls of the flow service, messages, reads and writes of the store.
MOST_FLOW_SERVICE_CALLS, MOST_MESSAGES, MOST_READS, MOST_WRITES = 7, 8, 75, 44
#: For each flow: calls of all services, and where budgets hold up nobody; what Dataverse counts.
MOST_CALLS, MOST_CALLS_WIDE, MOST_DATAVERSE_REQUESTS = 34, 32, 25
#: Where the flow service itself has to lend.
MOST_FLOW_SERVICE_CALLS_TO_LEND, MOST_MESSAGES_TO_LEND = 12, 15
#: A small budget costs time, and next to no calls.
MOST_TIMES_WIDE = 1.1
#: Depth first: the first flow is through before the last has begun.
LONGEST_MINUTES_TO_FIRST_QUIET = 10


async def test_small_budget_needs_no_more_requests() -> None:
    tenant = build_many_flows(FLOWS)
    wide = await measure_remediation(tenant, WIDE)
    found = await measure_remediation(tenant | FIVE_A_MINUTE)

    assert found.calls["flow_service"] <= MOST_FLOW_SERVICE_CALLS, found
    assert sum(found.calls.values()) <= MOST_CALLS, found
    assert sum(wide.calls.values()) <= MOST_CALLS_WIDE, wide
    assert found.dataverse_requests <= MOST_DATAVERSE_REQUESTS, found
    assert sum(found.calls.values()) <= MOST_TIMES_WIDE * sum(wide.calls.values()), wide
    assert found.messages <= MOST_MESSAGES, found
    assert found.reads <= MOST_READS, found
    assert found.writes <= MOST_WRITES, found
    assert found.share >= LEAST_SHARE, found
    assert found.minutes_to_first_quiet <= LONGEST_MINUTES_TO_FIRST_QUIET, found
    # One that is refused teaches the budget; the others are never sent.
    assert found.throttled <= 1, found


async def test_100_flows_need_five_times_as_long_as_20() -> None:
    found = await measure_remediation(build_many_flows(5 * FLOWS) | FIVE_A_MINUTE)

    assert found.messages <= MOST_MESSAGES, found
    assert found.reads <= MOST_READS, found
    assert found.writes <= MOST_WRITES, found
    assert found.share >= LEAST_SHARE, found
    assert found.minutes_to_first_quiet <= LONGEST_MINUTES_TO_FIRST_QUIET, found


async def test_flows_need_twice_the_requests_if_shares_give_no_access() -> None:
    """The app makes the service account a co-owner in the flow service instead."""
    tenant = build_many_flows(FLOWS) | FIVE_A_MINUTE
    found = await measure_remediation(tenant | {"assumptions": {"shares_let_people_ask": False}})

    assert found.calls["flow_service"] <= MOST_FLOW_SERVICE_CALLS_TO_LEND, found
    assert found.messages <= MOST_MESSAGES_TO_LEND, found
    assert found.share >= LEAST_SHARE, found
    assert found.minutes_to_first_quiet <= LONGEST_MINUTES_TO_FIRST_QUIET, found
