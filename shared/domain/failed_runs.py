"""Report failed runs by flow, because the platform may send no e-mails under a key."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from shared.domain.flow import FlowListEntry, FlowRun

#: Error codes of a flow that the report names.
_MOST_CODES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedFlow:
    """The failed runs of a flow on one day, without inputs and outputs."""

    flow_name: str
    #: Id in Dataverse; empty: unknown.
    workflow_id: str
    display_name: str
    failed_count: int
    first_failed_at: datetime
    last_failed_at: datetime
    #: The most frequent error codes; empty: the platform shows none.
    error_codes: tuple[str, ...]
    #: Whether the flow had more runs than were read.
    has_more_runs: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedRunReport:
    """The failed runs of an environment on one day (UTC), and where the next report begins."""

    environment_id: str
    environment_name: str
    begins_at: datetime
    created_at: datetime
    #: The flows with failed runs, the most failures first.
    flows: tuple[FailedFlow, ...]
    #: Number of flows whose runs were read.
    read_count: int
    #: Names of flows whose runs the platform did not return.
    unread_flows: tuple[str, ...] = ()
    #: Why other flows were not read; empty: every flow that is on was read.
    unread_reason: str = ""
    #: Page of the flow list, and flow on it, from which the next report reads.
    cursor: str = ""
    next_flow_name: str = ""

    @property
    def day(self) -> str:
        """Return the day, such as `2026-03-01`."""
        return f"{self.begins_at:%Y-%m-%d}"

    @property
    def run_count(self) -> int:
        return sum(one.failed_count for one in self.flows)

    @property
    def unread_text(self) -> str:
        """Return sentences about what was not read, or "" if everything was read."""
        named = ", ".join(self.unread_flows)
        parts = (self.unread_reason, f"No answer about: {named}." if named else "")
        return " ".join(filter(None, parts))


def summarize_failed_runs(
    flow: FlowListEntry, runs: Sequence[FlowRun], *, has_more_runs: bool
) -> FailedFlow | None:
    """Return a summary of the failed runs of a flow, or None if no run failed."""
    failed = [run for run in runs if run.has_failed]
    if not failed:
        return None
    codes = Counter(run.error_code for run in failed if run.error_code)
    return FailedFlow(
        flow_name=flow.flow_name,
        workflow_id=flow.workflow_id or "",
        display_name=flow.display_name,
        failed_count=len(failed),
        first_failed_at=min(run.started_at for run in failed),
        last_failed_at=max(run.started_at for run in failed),
        error_codes=tuple(code for code, _ in codes.most_common(_MOST_CODES)),
        has_more_runs=has_more_runs,
    )
