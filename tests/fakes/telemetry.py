"""Fake of the port `Telemetry`, which keeps spans and metrics for a test."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from shared.ports.telemetry import Attributes, Span


@dataclass(slots=True, kw_only=True)
class RecordedSpan:
    name: str
    traceparent: str
    #: Name of the span that it was opened in, or that its `parent` names; empty: none.
    parent: str
    link: str
    attributes: dict[str, str | int | float | bool]
    failure: str = ""

    @property
    def trace_id(self) -> str:
        return self.traceparent.split("-")[1]

    def set_attributes(self, attributes: Attributes) -> None:
        self.attributes.update(attributes)

    def fail(self, reason: str) -> None:
        self.failure = reason


@dataclass(slots=True)
class RecordingTelemetry:
    is_recorded: bool = True
    spans: list[RecordedSpan] = field(default_factory=list)
    #: The last value by name and attributes.
    values: dict[tuple[str, frozenset[object]], float] = field(default_factory=dict)
    _current: ContextVar[str] = field(default_factory=lambda: ContextVar("current", default=""))

    @contextmanager
    def span(
        self,
        name: str,
        *,
        is_request: bool = False,
        parent: str | None = None,
        link: str = "",
        attributes: Attributes | None = None,
    ) -> Iterator[Span]:
        parent = self._current.get() if parent is None else parent
        number = len(self.spans) + 1
        trace_id = parent.split("-")[1] if parent else f"{number:032x}"
        opened = RecordedSpan(
            name=name,
            traceparent=f"00-{trace_id}-{number:016x}-01",
            parent=next((one.name for one in self.spans if one.traceparent == parent), ""),
            link=link,
            attributes=dict(attributes or {}),
        )
        self.spans.append(opened)
        token = self._current.set(opened.traceparent)
        try:
            yield opened
        finally:
            self._current.reset(token)

    def current_traceparent(self) -> str:
        return self._current.get()

    def count(self, name: str, attributes: Attributes) -> None:
        key = (name, frozenset(attributes.items()))
        self.values[key] = self.values.get(key, 0) + 1

    def measure(self, name: str, value: float, attributes: Attributes) -> None:
        self.values[name, frozenset(attributes.items())] = value

    def report(self, name: str, value: float, attributes: Attributes) -> None:
        self.values[name, frozenset(attributes.items())] = value

    def find_last_value(self, name: str, **attributes: str) -> float:
        """Return the last value of a metric. Raises `KeyError` if there is none."""
        return self.values[name, frozenset(attributes.items())]
