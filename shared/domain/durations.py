"""Format durations for people."""

from datetime import timedelta

_UNITS = ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))


def format_duration(duration: timedelta) -> str:
    """Return a duration in at most two units, such as `7 days` or `1 hour 30 minutes`."""
    left, words = round(duration.total_seconds()), []
    for seconds, unit in _UNITS:
        number, left = divmod(left, seconds)
        if number:
            words.append(f"{number} {unit}" + ("s" if number > 1 else ""))
    return " ".join(words[:2]) or "less than a second"
