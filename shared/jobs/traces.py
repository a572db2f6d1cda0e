"""Choose the trace of a job and of its messages (docs/adr/0026-one-trace-for-a-remediation.md)."""

from datetime import datetime, timedelta
from typing import Any

from shared.domain.jobs.durable_job import DurableJob, TraceOrigin
from shared.queues import TRACE_LINK, TRACEPARENT
from shared.services import Services

#: A later invocation of a job begins a new trace, which links to the trace of the job.
_LONGEST = timedelta(days=1)


def get_trace_for_new_job(services: Services) -> TraceOrigin | None:
    """Return the current trace as the trace of a new job, or None without telemetry."""
    return _build_trace_origin(services, services.telemetry.current_traceparent())


def start_linked_trace(services: Services, job: DurableJob[Any]) -> TraceOrigin | None:
    """Return a new trace for a new job, with a link to the current trace."""
    current = services.telemetry.current_traceparent()
    attributes = {"cmk.environment": job.environment_id}
    with services.telemetry.span(
        "start flow job", parent="", link=current, attributes=attributes
    ) as span:
        return _build_trace_origin(services, span.traceparent)


def build_trace_properties(job: DurableJob[Any], now: datetime) -> dict[str, str]:
    """Return the message properties that connect an invocation with the trace of its job."""
    if job.trace is None:
        return {}
    is_long = now - job.trace.began_at > _LONGEST
    return {TRACE_LINK if is_long else TRACEPARENT: job.trace.traceparent}


def _build_trace_origin(services: Services, traceparent: str) -> TraceOrigin | None:
    return TraceOrigin(traceparent=traceparent, began_at=services.now) if traceparent else None
