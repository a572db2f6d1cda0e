"""Record every call and every start of a flow. The demo checks its traffic with this record."""

from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from local_cloud.tenant.core.clock import format_time
from local_cloud.tenant.environments.flow import Run


class RunStartKind(StrEnum):
    #: A call of the trigger URL.
    URL = "url"
    #: A parent's child-flow action.
    PARENT = "parent"
    RECURRENCE = "recurrence"
    #: An event of a connector.
    EVENT = "event"
    #: A person, through the control API.
    MANUAL = "manual"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallHistoryEntry:
    """A call or start of a flow. It was accepted if it has a run."""

    at: datetime
    cause: RunStartKind
    #: Who called: the caller's User-Agent, or `flow:<name>`.
    by: str
    #: `x-ms-client-tracking-id` of the call.
    tracking_id: str
    environment: str
    #: Internal 32-hex id that was called.
    workflow_id: str
    #: Name of the flow, empty for an id that no flow has.
    flow: str
    status: int
    #: Error code of a refusal.
    code: str = ""
    run: Run | None = None


@dataclass(slots=True)
class CallHistory:
    entries: list[CallHistoryEntry] = field(default_factory=list)

    def to_json(self, since: int, now: datetime) -> list[dict[str, Any]]:
        """Return the entries from the position `since` on, with the current status of runs."""
        return [_build_entry(entry, now) for entry in self.entries[since:]]


def _build_entry(entry: CallHistoryEntry, now: datetime) -> dict[str, Any]:
    run = entry.run
    return {
        "at": format_time(entry.at),
        "cause": entry.cause,
        "by": entry.by,
        "trackingId": entry.tracking_id,
        "environment": entry.environment,
        "workflowId": entry.workflow_id,
        "flow": entry.flow,
        "accepted": run is not None,
        "status": entry.status,
        "code": entry.code,
        "run": run.name if run else None,
        "runStatus": run.compute_status(now) if run else None,
        "runError": run.error if run else None,
    }


def build_run_json(run: Run, now: datetime) -> dict[str, Any]:
    body = asdict(run) | {"status": run.compute_status(now)}
    del body["trigger_outputs"]  # holds what a caller sent
    return body | {"started": format_time(run.started), "ends": format_time(run.ends)}
