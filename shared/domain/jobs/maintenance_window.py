"""Parse maintenance windows and compute when one opens."""

import re
from datetime import UTC, datetime, time, timedelta

_WINDOW = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")


def is_valid_window(text: str) -> bool:
    """Return whether a text is a maintenance window: empty, or `HH:MM-HH:MM` in UTC.

    Its two times must differ.
    """
    return not text or (_WINDOW.fullmatch(text) is not None and text[:5] != text[6:])


def find_next_opening(window: str, now: datetime) -> datetime | None:
    """Return when the window opens next, or None if it is open or there is no window."""
    match = _WINDOW.fullmatch(window)
    if match is None:
        return None
    opening = time(int(match[1]), int(match[2]), tzinfo=UTC)
    closing = time(int(match[3]), int(match[4]), tzinfo=UTC)
    moment = now.astimezone(UTC).timetz()
    inside = (
        opening <= moment < closing if opening < closing else moment >= opening or moment < closing
    )
    if inside:
        return None
    today = datetime.combine(now.astimezone(UTC).date(), opening)
    return today if today > now else today + timedelta(days=1)
