import pytest

from tests.performance.costs import (
    PAGE,
    TIMERS,
    Assumed,
    Counts,
    Price,
    compute_units,
    count_operations,
    count_runs,
    with_table,
)
from tests.unit.deployed import ROOT


async def test_table_of_costs_is_computed_from_counted_operations() -> None:
    """If this fails, `python -m tests.performance.costs` writes the table again."""
    text = PAGE.read_text()

    assert text == with_table(text, await count_operations())


def test_every_timer_is_counted() -> None:
    source = (ROOT / "functions" / "timers.py").read_text()

    assert {name: source.count(f"%{name}%") for name in TIMERS} == {
        name: len(timers) for name, timers in TIMERS.items()
    }
    assert source.count(".timer_trigger(") == sum(map(len, TIMERS.values()))


@pytest.mark.parametrize(
    ("schedule", "runs"),
    [("30 * * * * *", 43_200), ("0 */5 * * * *", 8_640), ("0 0 2 * * *", 30)],
)
def test_runs_of_a_schedule_are_counted(schedule: str, runs: int) -> None:
    assert count_runs(schedule) == runs


def test_schedule_that_is_not_for_each_day_is_rejected() -> None:
    """`count_runs` would count the runs of such a schedule wrongly."""
    with pytest.raises(ValueError, match="not counted"):
        count_runs("0 0 2 * * 1")


def test_free_units_cost_nothing() -> None:
    price = Price(dollars=2, units=10, free=100)

    assert (price.compute_dollars(90), price.compute_dollars(150)) == (0, 10)


def test_units_grow_with_the_flows() -> None:
    counts = Counts(
        timer_runs=100, timer_table_operations=400, flow_messages=10, flow_table_operations=130,
        log_rules=8, metric_rules=2,
    )  # fmt: skip

    month = compute_units(counts, 5, Assumed(seconds=2, gigabytes=2))

    assert month["executions"] == 150
    assert month["gigabyte_seconds"] == 600
    assert month["table_operations"] == 1_050
    assert (month["alert_rules_of_logs"], month["service_bus_base"]) == (8, 1)
