"""Times as a person says them."""

from datetime import UTC, datetime

_HOUR, _DAY = 3600, 86400


def now() -> datetime:
    """Return the current time. Tests replace it."""
    return datetime.now(UTC)


def minute(moment: str | None) -> str:
    """Return a time of an answer to the minute; nothing for none."""
    return (moment or "")[:16].replace("T", " ")


def until(moment: str | None) -> str:
    """Return how long it is until a time: such as `in 5 min`; nothing for none."""
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


def when(moment: str | None) -> str:
    """Return how long it is until a time, and the hour or the day of it (UTC)."""
    words = until(moment)
    if words.endswith(" h"):
        return f"{words} ({minute(moment)[11:]})"
    return f"{words} ({minute(moment)[:10]})" if words.endswith(" days") else words
