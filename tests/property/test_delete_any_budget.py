import asyncio
from collections import Counter
from datetime import timedelta
from itertools import accumulate

from hypothesis import example, given, settings
from hypothesis import strategies as st

from shared.adapters.state.request_ledger import BudgetLimit
from shared.domain.jobs.deletion_states import DeletionState
from shared.use_cases.delete_originals import delete_originals
from tests.functional.deleting.deletion_scenario import (
    DAY,
    MINUTE,
    Runs,
    add_runs,
    build_retired_scenario,
    find_original,
    list_deleted_flows,
    read_deletions,
    request_deletions,
)
from tests.functional.scenarios.request_meter import Meter, put_on_budget
from tests.property.examples import count_examples
from tests.property.test_lists_any_budget import MOST, Lists, expiries


@settings(max_examples=count_examples(25))
@given(
    runs=st.integers(0, MOST),
    page=st.integers(1, MOST),
    calls=st.integers(1, 6),
    goes_on_for=st.sampled_from([None, 1, 8]),
    expires=expiries,
)
@example(runs=MOST, page=1, calls=1, goes_on_for=8, expires=frozenset())
@example(runs=5, page=2, calls=4, goes_on_for=None, expires=frozenset())
def test_deletion_waits_for_the_oldest_run_and_completes(
    runs: int, page: int, calls: int, goes_on_for: int | None, expires: frozenset[int]
) -> None:
    """The oldest run may still be in progress, so the app reads all pages of runs."""

    async def play() -> None:
        scenario = await build_retired_scenario()
        orders = find_original(scenario, "Orders")
        scenario.world.run_page = page
        add_runs(scenario, orders, runs)
        await request_deletions(scenario)
        await scenario.run(DAY)
        if goes_on_for is not None:
            lasts = 12 * DAY + timedelta(hours=goes_on_for)
            add_runs(scenario, orders, 1, Runs(name="long", ago=12 * DAY, lasts=lasts))
        ends = scenario.world.clock.now() + timedelta(hours=goes_on_for or 0)
        lists, meter = Lists(expires), Meter()
        lists.install(scenario)
        put_on_budget(scenario, BudgetLimit(name="flow-service", calls=calls, window=MINUTE), meter)
        scenario.renew()

        for _ in range(40 * 60):
            await scenario.driver.call(delete_originals)
            if (await read_deletions(scenario))["Orders"].state is DeletionState.DELETED:
                break
            await scenario.run(MINUTE)

        assert (await read_deletions(scenario))["Orders"].state is DeletionState.DELETED
        assert list_deleted_flows(scenario) == [orders.workflow_id]
        assert scenario.world.clock.now() >= ends
        readings = accumulate(not cursor for _, cursor, _ in lists.given)
        pages = Counter(
            (reading, cursor)
            for reading, (_, cursor, size) in zip(readings, lists.given, strict=True)
            if cursor and size
        )
        again = [page for page, times in pages.items() if times > 1]
        assert len(again) <= 1 + lists.count_expired  # the page of the run that is waited for
        # The search reads the list once, and so does the archive.
        assert len({reading for reading, _ in pages}) <= 2 + lists.count_expired

    asyncio.run(play())
