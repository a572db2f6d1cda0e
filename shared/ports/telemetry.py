"""The port for traces and metrics."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

type Attributes = Mapping[str, str | int | float | bool]


class Span(Protocol):
    """One operation of a trace."""

    @property
    def traceparent(self) -> str:
        """Return the W3C traceparent of the span, or "" without telemetry."""

    @property
    def trace_id(self) -> str:
        """Return the id of the span's trace, as 32 hexadecimal digits, or "" without telemetry."""

    def set_attributes(self, attributes: Attributes) -> None:
        """Add attributes. They must contain no secret."""

    def fail(self, reason: str) -> None:
        """Mark the operation as failed, with a short reason without secrets."""


class Telemetry(Protocol):
    """Record traces and metrics. No method raises, whatever happens to the recordings."""

    @property
    def is_recorded(self) -> bool:
        """Return whether traces and metrics are recorded."""

    def span(
        self,
        name: str,
        *,
        is_request: bool = False,
        parent: str | None = None,
        link: str = "",
        attributes: Attributes | None = None,
    ) -> AbstractContextManager[Span]:
        """Record the block as an operation. An exception marks it as failed.

        `is_request` is True for a request to another service. `parent` is a traceparent. If it is
        None, the current span is the parent. If it is empty or malformed, a new trace begins.
        `link` is the traceparent of another trace that this operation belongs to.
        """

    def current_traceparent(self) -> str:
        """Return the traceparent of the current span, or "" if there is none."""

    def count(self, name: str, attributes: Attributes) -> None:
        """Add one to a counter."""

    def measure(self, name: str, value: float, attributes: Attributes) -> None:
        """Add a value to a distribution. The name ends with the unit of the value."""

    def report(self, name: str, value: float, attributes: Attributes) -> None:
        """Record the current value of a gauge.

        The name ends with the unit, if the value has one.
        """


class NoSpan:
    """A span that is not recorded."""

    traceparent = ""
    trace_id = ""

    def set_attributes(self, attributes: Attributes) -> None:
        """Do nothing."""

    def fail(self, reason: str) -> None:
        """Do nothing."""


class NoTelemetry:
    """A telemetry that records nothing."""

    is_recorded = False

    @contextmanager
    def span(
        self,
        name: str,  # noqa: ARG002
        *,
        is_request: bool = False,  # noqa: ARG002
        parent: str | None = None,  # noqa: ARG002
        link: str = "",  # noqa: ARG002
        attributes: Attributes | None = None,  # noqa: ARG002
    ) -> Iterator[Span]:
        """Run the block without recording it."""
        yield NoSpan()

    def current_traceparent(self) -> str:
        """Return an empty string."""
        return ""

    def count(self, name: str, attributes: Attributes) -> None:
        """Do nothing."""

    def measure(self, name: str, value: float, attributes: Attributes) -> None:
        """Do nothing."""

    def report(self, name: str, value: float, attributes: Attributes) -> None:
        """Do nothing."""
