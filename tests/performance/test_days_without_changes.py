from local_cloud.tenant.environments.flow import SimulatedFlowState
from tests.performance.retired_flows import Day, open_retired_tenant

#: Of the store, for a plan of a thousand retired flows: 25, and 21 for a hundred.
MOST_READS = 50


async def run_two_days(flows: int) -> list[Day]:
    async with open_retired_tenant(flows) as retired:
        return [await retired.run_day() for _ in range(2)]


async def test_daily_check_finds_retired_flows_that_are_on_among_1500() -> None:
    async with open_retired_tenant(1_500) as retired:
        ordered = sorted(retired.jobs, key=lambda job: job.id)
        on_again = [ordered[0], ordered[len(ordered) // 2], ordered[-1]]
        for job in on_again:
            retired.moved.scenario.find_flow(job.original.id).state = SimulatedFlowState.STARTED

        day = await retired.run_day()

    assert set(day.result.retired_originals_on) == {job.display_name for job in on_again}
    assert day.result.not_checked_count == 0
    assert day.sweep_calls["dataverse"] <= 6


async def test_cost_of_a_day_does_not_grow_with_the_retired_flows() -> None:
    few, many = await run_two_days(100), await run_two_days(1_000)

    # Three pages of the report more, and one of definitions.
    assert many[1].plan_reads <= few[1].plan_reads + 4
    assert many[1].plan_reads <= MOST_READS
    assert many[1].rows - many[0].rows == few[1].rows - few[0].rows
    assert (many[1].rows - many[0].rows)["plans"] == 0
