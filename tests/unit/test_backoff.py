from datetime import timedelta

from shared.domain.jobs.backoff import add_jitter

MINUTE = timedelta(minutes=1)


def test_jitter_spreads_jobs_with_the_same_delay() -> None:
    waits = [add_jitter(MINUTE, f"job-{number}") for number in range(100)]

    assert waits == [add_jitter(MINUTE, f"job-{number}") for number in range(100)]
    assert len(set(waits)) == 100
    assert MINUTE <= min(waits) < MINUTE * 1.02
    assert MINUTE * 1.08 < max(waits) <= MINUTE * 1.1


def test_jitter_returns_at_least_two_seconds() -> None:
    assert add_jitter(timedelta(0), "job") >= timedelta(seconds=2)


def test_a_long_wait_is_spread_by_minutes() -> None:
    day = timedelta(days=1)

    assert day < max(add_jitter(day, f"job-{number}") for number in range(100)) <= day + 10 * MINUTE
