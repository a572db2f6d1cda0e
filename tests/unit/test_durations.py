"""Test the words for durations."""

from datetime import timedelta

import pytest

from shared.domain.durations import format_duration


@pytest.mark.parametrize(
    ("duration", "words"),
    [
        (timedelta(days=7), "7 days"),
        (timedelta(days=1, hours=1, minutes=5), "1 day 1 hour"),
        (timedelta(minutes=90), "1 hour 30 minutes"),
        (timedelta(seconds=1), "1 second"),
        (timedelta(days=8, seconds=1), "8 days 1 second"),
        (timedelta(0), "0 seconds"),
    ],
)
def test_duration_is_formatted_in_its_two_largest_units(duration: timedelta, words: str) -> None:
    """A duration is not shown as `7 days, 0:00:00`."""
    assert format_duration(duration) == words
