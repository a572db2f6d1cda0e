"""How long a delivery that did not end may still change something."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from shared.domain.jobs.durable_job import UNDER_WAY, bump_fencing_token, mark_write_in_flight
from shared.domain.plans.remediation import EnvironmentJob, RemediationMode
from shared.settings import Settings

SETTLES_AFTER: timedelta = Settings.model_fields["in_flight_timeout"].default
HOST = Path(__file__).parents[2] / "host.json"
NOW = datetime(2026, 3, 9, 9, 0, tzinfo=UTC)


def job_of(lease_until: datetime | None) -> EnvironmentJob:
    """Return a row that a delivery has, or had, until then."""
    return EnvironmentJob(
        id="job",
        remediation_id="remediation",
        environment_id="environment",
        mode=RemediationMode.APPLY,
        fencing_token=4,
        leased_until=lease_until,
    )


def test_no_function_runs_for_longer_than_is_waited_for() -> None:
    """The host ends it then, frozen or not; a write of it may be under way for a while."""
    hours, minutes, seconds = map(int, json.loads(HOST.read_text())["functionTimeout"].split(":"))

    longest = timedelta(hours=hours, minutes=minutes, seconds=seconds)
    assert longest + UNDER_WAY <= SETTLES_AFTER


def test_a_lease_that_was_not_given_back_leaves_the_row_unsettled() -> None:
    """It counts from the end of the lease: the delivery was alive before that."""
    row = bump_fencing_token(job_of(NOW), settles_after=SETTLES_AFTER)

    assert (row.fencing_token, row.leased_until) == (5, None)
    assert row.in_flight_until == NOW + SETTLES_AFTER
    assert row.has_write_in_flight(NOW + SETTLES_AFTER - timedelta(seconds=1))
    assert not row.has_write_in_flight(NOW + SETTLES_AFTER)


def test_a_lease_that_was_given_back_leaves_nothing_to_wait_for() -> None:
    """Its delivery has ended."""
    assert bump_fencing_token(job_of(None), settles_after=SETTLES_AFTER).in_flight_until is None


def test_what_is_open_for_longer_counts() -> None:
    """A write under way does not shorten what a frozen delivery has left."""
    row = mark_write_in_flight(mark_write_in_flight(job_of(None), NOW + UNDER_WAY), NOW)

    assert row.in_flight_until == NOW + UNDER_WAY
