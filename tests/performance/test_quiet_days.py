"""Test the cost of a quiet day of many retired flows, at the default budgets in simulated time."""

from local_cloud.tenant.environments.flow import SimulatedFlowState
from tests.performance.retired_flows import Day, retired_flows

#: Of the store, for a plan of a thousand retired flows: 25, and 21 for a hundred.
MOST_READS = 50


async def quiet_days(flows: int) -> list[Day]:
    """Return two days of an environment with this number of retired flows."""
    async with retired_flows(flows) as retired:
        return [await retired.day() for _ in range(2)]


async def test_the_last_of_1500_retired_flows_is_seen_when_it_is_on_again() -> None:
    """The next daily check finds it: three Dataverse requests cover a thousand flows."""
    async with retired_flows(1_500) as retired:
        ordered = sorted(retired.jobs, key=lambda job: job.id)
        on_again = [ordered[0], ordered[len(ordered) // 2], ordered[-1]]
        for job in on_again:
            retired.moved.scenario.flow(job.original_id).state = SimulatedFlowState.STARTED

        day = await retired.day()

    assert set(day.result.retired_originals_on) == {job.display_name for job in on_again}
    assert day.result.not_checked_count == 0
    assert day.sweep_calls["dataverse"] <= 6


async def test_a_quiet_day_costs_the_same_however_many_flows_are_retired() -> None:
    """There is no row and no query for each flow; only definitions need another page."""
    few, many = await quiet_days(100), await quiet_days(1_000)

    # Three pages of the report more, and one of definitions.
    assert many[1].plan_reads <= few[1].plan_reads + 4
    assert many[1].plan_reads <= MOST_READS
    assert many[1].rows - many[0].rows == few[1].rows - few[0].rows
    assert (many[1].rows - many[0].rows)["plans"] == 0
