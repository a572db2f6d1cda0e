"""Build the notification of a report of failed runs."""

from datetime import datetime, timedelta

from shared.domain.failed_runs import FailedFlow, FailedRunReport
from shared.domain.plans.pending_actions import (
    NAMED,
    PendingAction,
    PendingActionKind,
    format_count,
)

#: How long the app tries to send a report: a channel may be down for days.
_SENT_FOR = timedelta(days=2)
#: Flows whose failures the text describes.
_DESCRIBED = 2


def build_failed_run_action(report: FailedRunReport, now: datetime) -> PendingAction | None:
    """Return the notification of a report, or None if no run failed or the report is old."""
    if not report.flows or now - report.created_at > _SENT_FOR:
        return None
    named = report.flows[:NAMED]
    described = "; ".join(map(_describe_failed_flow, report.flows[:_DESCRIBED]))
    return PendingAction(
        kind=PendingActionKind.FAILED_RUNS,
        reason_code=report.day,
        count=len(report.flows),
        environment_id=report.environment_id,
        environment_name=report.environment_name,
        flows=tuple(one.display_name for one in named),
        workflow_ids=tuple(one.workflow_id for one in named),
        message=f"{format_count(report.run_count, 'run')} failed: {described}.",
        fix=f"Open the runs of each flow in Power Automate. {report.unread_text}".rstrip(),
        next_command=f"cmkflow environment failed-runs {report.environment_id}",
        pending_since=report.created_at,
    )


def _describe_failed_flow(flow: FailedFlow) -> str:
    first, last = (f"{at:%H:%M}" for at in (flow.first_failed_at, flow.last_failed_at))
    is_one = flow.failed_count == 1
    times = f"once, {first}" if is_one else f"{flow.failed_count} times, {first} to {last}"
    more = "at least " if flow.has_more_runs else ""
    codes = f", {' or '.join(flow.error_codes)}" if flow.error_codes else ""
    return f"{flow.display_name} {more}{times} UTC{codes}"
