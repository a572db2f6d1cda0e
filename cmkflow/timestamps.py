"""Format times for people."""

from datetime import UTC, datetime

_HOUR, _DAY = 3600, 86400


def now() -> datetime:
    """Return the current time. Tests replace this function."""
    return datetime.now(UTC)


def format_minute(moment: str | None) -> str:
    """Return a time of an API answer to the minute, or an empty text for None."""
    return (moment or "")[:16].replace("T", " ")


def format_time_left(moment: str | None) -> str:
    """Return the time left, such as `in 5 min`, or an empty text for None."""
    if moment is None:
        return ""
    seconds = (datetime.fromisoformat(moment) - now()).total_seconds()
    if seconds < 0:
        return "now"
    if seconds < _HOUR:
        return f"in {max(1, round(seconds / 60))} min"
    if seconds < 2 * _DAY:
        return f"in {round(seconds / _HOUR)} h"
    return f"in {round(seconds / _DAY)} days"


def format_time_left_or_date(moment: str | None) -> str:
    """Return the time left, and its end in UTC if that is more than an hour away."""
    words = format_time_left(moment)
    if words.endswith(" h"):
        return f"{words} ({format_minute(moment)[11:]})"
    return f"{words} ({format_minute(moment)[:10]})" if words.endswith(" days") else words
