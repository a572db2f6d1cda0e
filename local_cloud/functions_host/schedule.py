"""Parse NCRONTAB schedules of timer functions, with the six fields of Azure Functions.

The fields are second, minute, hour, day, month and day of week (0 = Sunday). Unlike in cron, a day
must match both its day field and its day-of-week field, as in the NCrontab library.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

_FIELDS = (
    ("second", 0, 59),
    ("minute", 0, 59),
    ("hour", 0, 23),
    ("day", 1, 31),
    ("month", 1, 12),
    ("day of week", 0, 6),
)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
#: A leap day that must also be a given weekday comes round within 40 years.
_HORIZON = timedelta(days=40 * 366)


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    seconds: tuple[int, ...]
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]

    def find_next(self, moment: datetime) -> datetime:
        """Return the first occurrence after this time (aware, UTC).

        Raises `ValueError` for a schedule without occurrences, such as 30 February.
        """
        day = moment.date()
        last = day + _HORIZON
        while day <= last:
            if self._has_occurrence_on(day):
                for occurrence in self._list_times(day):
                    if occurrence > moment:
                        return occurrence
            day += timedelta(days=1)
        raise ValueError("the schedule has no next occurrence")

    def _has_occurrence_on(self, day: date) -> bool:
        weekday = day.isoweekday() % 7
        return day.month in self.months and day.day in self.days and weekday in self.weekdays

    def _list_times(self, day: date) -> Iterator[datetime]:
        for hour in self.hours:
            for minute in self.minutes:
                for second in self.seconds:
                    yield datetime.combine(day, time(hour, minute, second), tzinfo=UTC)


def parse_schedule(expression: str) -> Schedule:
    """Parse an NCRONTAB expression of six fields, or of five without seconds.

    Raises `ValueError` with the invalid field. A TimeSpan is rejected, because it requires a
    dedicated plan.
    """
    fields = expression.split()
    if len(fields) == 5:
        fields.insert(0, "0")
    if len(fields) != 6:
        raise ValueError(f"schedule {expression!r} must have six fields, seconds first")
    parsed = [
        _parse_field(text, bounds) for text, bounds in zip(fields, _FIELDS, strict=True)
    ]  # fmt: skip
    seconds, minutes, hours, days, months, weekdays = parsed
    return Schedule(
        seconds=tuple(sorted(seconds)),
        minutes=tuple(sorted(minutes)),
        hours=tuple(sorted(hours)),
        days=frozenset(days),
        months=frozenset(months),
        weekdays=frozenset(weekdays),
    )


def _parse_field(text: str, bounds: tuple[str, int, int]) -> set[int]:
    values: set[int] = set()
    for part in text.split(","):
        values.update(_parse_part(part, bounds))
    return values


def _parse_part(part: str, bounds: tuple[str, int, int]) -> range:
    """Parse `*`, `n` or `a-b`, each possibly with `/step`."""
    name, lowest, highest = bounds
    span, slash, step_text = part.partition("/")
    step = _parse_number(step_text, name) if slash else 1
    first_text, dash, last_text = span.partition("-")
    if span == "*":
        first, last = lowest, highest
    else:
        first = _parse_number(first_text, name)
        # `5/10` runs from 5 to the field's end, as in NCrontab.
        last = _parse_number(last_text, name) if dash else (highest if slash else first)
    if not (lowest <= first <= last <= highest) or step < 1:
        raise ValueError(f"{part!r} is not a {name} between {lowest} and {highest}")
    return range(first, last + 1, step)


def _parse_number(text: str, field: str) -> int:
    """Parse a number, or a name such as `Mon` if the field has names."""
    names = {"month": _MONTHS, "day of week": _DAYS}.get(field, ())
    short = text.lower()[:3]
    if short in names:
        return names.index(short) + (1 if field == "month" else 0)
    if not text.isdecimal():
        raise ValueError(f"{text!r} is not a {field}")
    return int(text)
