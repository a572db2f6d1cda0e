"""Test the delay after a failure, and how jobs that wait together are spread."""

from datetime import timedelta

from shared.domain.jobs.backoff import add_jitter

MINUTE = timedelta(minutes=1)


def test_jitter_spreads_jobs_with_the_same_delay() -> None:
    """A hundred jobs are spread over a tenth of the delay, each always at the same place."""
    waits = [add_jitter(MINUTE, f"job-{number}") for number in range(100)]

    assert waits == [add_jitter(MINUTE, f"job-{number}") for number in range(100)]
    assert len(set(waits)) == 100
    assert MINUTE <= min(waits) < MINUTE * 1.02
    assert MINUTE * 1.08 < max(waits) <= MINUTE * 1.1


def test_jitter_returns_at_least_two_seconds() -> None:
    """A message may arrive a second early, so the delay is never shorter."""
    assert add_jitter(timedelta(0), "job") >= timedelta(seconds=2)


def test_a_long_wait_is_spread_by_minutes() -> None:
    """A job that is due tomorrow runs tomorrow, and not hours later."""
    day = timedelta(days=1)

    assert day < max(add_jitter(day, f"job-{number}") for number in range(100)) <= day + 10 * MINUTE
