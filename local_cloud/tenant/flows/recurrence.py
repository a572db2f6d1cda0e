"""Compute when flows with a recurrence trigger run (platform.md#recurrence-start)."""

from datetime import datetime, timedelta

from local_cloud.tenant.environments.flow import Flow

_SECONDS = {
    "second": 1,
    "minute": 60,
    "hour": 3600,
    "day": 86400,
    "week": 604800,
    "month": 2592000,
    "year": 31536000,
}


def parse_interval(flow: Flow) -> timedelta | None:
    """Return the interval of a recurrence trigger, or None for other triggers."""
    trigger = next(iter(flow.parse_properties()["definition"]["triggers"].values()))
    if str(trigger.get("type")).lower() != "recurrence":
        return None
    recurrence = trigger.get("recurrence") or {}
    seconds = _SECONDS.get(str(recurrence.get("frequency", "Day")).lower(), 86400)
    return timedelta(seconds=seconds * int(recurrence.get("interval", 1)))


def compute_first_due(flow: Flow, now: datetime, *, is_new: bool) -> datetime | None:
    """Return when a flow first runs after it was turned on or saved, or None without a recurrence.

    This is a future start time, or else the next slot. A new flow without a start time runs at
    once.
    """
    step = parse_interval(flow)
    if step is None:
        return None
    trigger = next(iter(flow.parse_properties()["definition"]["triggers"].values()))
    start = (trigger.get("recurrence") or {}).get("startTime")
    if start is None:
        return now if is_new else compute_next_due(flow.next_due or now, now, step)
    begins = datetime.fromisoformat(start)
    if begins.tzinfo is None:
        begins = begins.replace(tzinfo=now.tzinfo)
    return begins if begins > now else compute_next_due(begins, now, step)


def compute_next_due(last: datetime, now: datetime, step: timedelta) -> datetime:
    """Return the first slot after `now`, skipping slots that were missed."""
    if last > now:
        return last
    return last + step * ((now - last) // step + 1)
