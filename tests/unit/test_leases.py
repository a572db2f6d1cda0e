import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from shared.domain.jobs.durable_job import UNDER_WAY, bump_fencing_token, mark_write_in_flight
from shared.domain.plans.remediation import EnvironmentJob, RemediationMode
from shared.settings import Settings

SETTLES_AFTER: timedelta = Settings.model_fields["in_flight_timeout"].default
HOST = Path(__file__).parents[2] / "host.json"
NOW = datetime(2026, 3, 9, 9, 0, tzinfo=UTC)


def build_job(lease_until: datetime | None) -> EnvironmentJob:
    return EnvironmentJob(
        id="job",
        remediation_id="remediation",
        environment_id="environment",
        mode=RemediationMode.APPLY,
        fencing_token=4,
        leased_until=lease_until,
    )


def test_function_timeout_is_within_the_settling_period() -> None:
    """The host stops a function at its timeout, when its last write may still be in flight."""
    hours, minutes, seconds = map(int, json.loads(HOST.read_text())["functionTimeout"].split(":"))

    longest = timedelta(hours=hours, minutes=minutes, seconds=seconds)
    assert longest + UNDER_WAY <= SETTLES_AFTER


def test_unreleased_lease_leaves_a_write_in_flight() -> None:
    """The invocation may have died during a write."""
    row = bump_fencing_token(build_job(NOW), settles_after=SETTLES_AFTER)

    assert (row.fencing_token, row.leased_until) == (5, None)
    assert row.in_flight_until == NOW + SETTLES_AFTER
    assert row.has_write_in_flight(NOW + SETTLES_AFTER - timedelta(seconds=1))
    assert not row.has_write_in_flight(NOW + SETTLES_AFTER)


def test_released_lease_leaves_no_write_in_flight() -> None:
    assert bump_fencing_token(build_job(None), settles_after=SETTLES_AFTER).in_flight_until is None


def test_later_end_of_a_write_in_flight_is_kept() -> None:
    row = mark_write_in_flight(mark_write_in_flight(build_job(None), NOW + UNDER_WAY), NOW)

    assert row.in_flight_until == NOW + UNDER_WAY
