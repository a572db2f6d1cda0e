"""What a remediation of called flows takes at the default budgets, in moved time, with its bounds.

Each flow has a caller, an app of its own; the tenant takes five calls a minute of the flow service
and refuses the sixth. `remediation_figures.py`, run as a module, counts the same for more flows.
"""

from tests.functional.wire.wire_scenario import WIDE
from tests.performance.many_flows import many_flows
from tests.performance.remediation_figures import figures

FLOWS = 20
FIVE_A_MINUTE = {"budgets": {"flow_service": {"calls": 5, "seconds": 60}}}
#: Of the calls that a small budget allows until the last caller has moved. The plan reads settings
#: and connection strings of each app first, and sends few calls to the flow service meanwhile.
LEAST_SHARE = 0.945
#: For each flow: calls of the flow service, messages, reads and writes of the store.
MOST_FLOW_SERVICE_CALLS, MOST_MESSAGES, MOST_READS, MOST_WRITES = 7, 8, 75, 43
#: For each flow: calls of all services, and where budgets hold up nobody; what Dataverse counts.
MOST_CALLS, MOST_CALLS_WIDE, MOST_DATAVERSE_REQUESTS = 34, 32, 25
#: Where the flow service itself has to lend.
MOST_FLOW_SERVICE_CALLS_TO_LEND, MOST_MESSAGES_TO_LEND = 12, 15
#: A small budget costs time, and next to no calls.
MOST_TIMES_WIDE = 1.1
#: Depth first: the first flow is through before the last has begun.
LONGEST_MINUTES_TO_FIRST_QUIET = 10


async def test_a_small_budget_costs_time_only() -> None:
    """Twenty flows send the same requests at the default budgets and at unlimited budgets."""
    tenant = many_flows(FLOWS)
    wide = await figures(tenant, WIDE)
    found = await figures(tenant | FIVE_A_MINUTE)

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


async def test_five_times_as_many_flows_take_five_times_as_long() -> None:
    """A job far back in the request queue waits until its turn, and no request is lost by this."""
    found = await figures(many_flows(5 * FLOWS) | FIVE_A_MINUTE)

    assert found.messages <= MOST_MESSAGES, found
    assert found.reads <= MOST_READS, found
    assert found.writes <= MOST_WRITES, found
    assert found.share >= LEAST_SHARE, found
    assert found.minutes_to_first_quiet <= LONGEST_MINUTES_TO_FIRST_QUIET, found


async def test_where_only_the_flow_service_lends_its_calls_are_used() -> None:
    """With shares that give no access, twenty flows need twice the requests, and use the budget."""
    tenant = many_flows(FLOWS) | FIVE_A_MINUTE
    found = await figures(tenant | {"assumptions": {"shares_let_people_ask": False}})

    assert found.calls["flow_service"] <= MOST_FLOW_SERVICE_CALLS_TO_LEND, found
    assert found.messages <= MOST_MESSAGES_TO_LEND, found
    assert found.share >= LEAST_SHARE, found
    assert found.minutes_to_first_quiet <= LONGEST_MINUTES_TO_FIRST_QUIET, found
