"""Test how durations are written for people."""

from datetime import timedelta

import pytest

from shared.domain.durations import format_duration
from shared.html_pages import format_span


@pytest.mark.parametrize(
    ("duration", "words"),
    [
        (timedelta(days=7), "7 days"),
        (timedelta(days=1, hours=1, minutes=5), "1 day 1 hour"),
        (timedelta(minutes=90), "1 hour 30 minutes"),
        (timedelta(seconds=1), "1 second"),
        (timedelta(days=8, seconds=1), "8 days 1 second"),
        (timedelta(0), "less than a second"),
    ],
)
def test_duration_is_formatted_in_its_two_largest_units(duration: timedelta, words: str) -> None:
    assert format_duration(duration) == words


@pytest.mark.parametrize(
    ("time", "words"),
    [
        (timedelta(seconds=119), "119 s"),
        (timedelta(seconds=119.6), "2 min"),
        (timedelta(hours=47, minutes=29), "47 h"),
        (timedelta(hours=47, minutes=30, seconds=1), "2 days"),
        (timedelta(days=9), "9 days"),
    ],
)
def test_span_just_below_two_units_is_rounded_to_two(time: timedelta, words: str) -> None:
    assert format_span(time) == words
