"""Register the functions that timers start. Their schedules are settings (docs/http-api.md).

The host logs a failed run, and the next run continues its work.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import azure.functions as func

from shared.logs.fields import get_product_log, log_with

if TYPE_CHECKING:
    from shared.services import Services

log = get_product_log(__name__)

blueprint = func.Blueprint()


@blueprint.timer_trigger(
    schedule="%CMK_POLICY_LINK_POLL_SCHEDULE%", arg_name="timer", run_on_startup=False
)
async def poll_environments(timer: func.TimerRequest) -> None:
    """Record metrics, and publish an event for each environment whose policy link has changed."""
    from shared.use_cases.poll_environments import poll_environments as poll
    from shared.use_cases.report_metrics import report_metrics

    with _open_services_in_span("poll_environments") as open_services:
        await report_metrics(open_services)
        changed = await poll(open_services)
    log.info("policy links polled", extra={"changed": changed, "past_due": timer.past_due})


@blueprint.timer_trigger(
    schedule="%CMK_DAILY_CHECK_SCHEDULE%", arg_name="timer", run_on_startup=False
)
async def run_daily_check(timer: func.TimerRequest) -> None:
    """Run all daily checks, and start remediations of linked environments."""
    from shared.use_cases.run_daily_check import run_daily_check as check

    with _open_services_in_span("run_daily_check") as open_services:
        result = await check(open_services, f"{open_services.now:%Y-%m-%d}")
    log.info("daily check completed", extra={"result": result, "past_due": timer.past_due})


@blueprint.timer_trigger(
    schedule="%CMK_DUE_MESSAGES_SCHEDULE%", arg_name="timer", run_on_startup=False
)
async def send_due_messages(timer: func.TimerRequest) -> None:
    """Send the queue message of every row that is due."""
    from shared.use_cases.send_due_and_overdue_messages import (
        send_due_and_overdue_messages as resend,
    )

    with _open_services_in_span("send_due_messages") as open_services:
        sent = await resend(open_services)
    log.info("due messages sent", extra={"count": sent, "past_due": timer.past_due})


@blueprint.timer_trigger(
    schedule="%CMK_DUE_MESSAGES_SCHEDULE%", arg_name="timer", run_on_startup=False
)
async def send_notifications(timer: func.TimerRequest) -> None:
    """Notify every configured channel of each new cause of a required action."""
    from shared.use_cases.notify import notify

    with _open_services_in_span("send_notifications") as open_services:
        result = await notify(open_services)
    log.info("notifications sent", extra={"result": result, "past_due": timer.past_due})


@blueprint.timer_trigger(schedule="%CMK_DELETION_SCHEDULE%", arg_name="timer", run_on_startup=False)
async def delete_originals(timer: func.TimerRequest) -> None:
    """Continue the deletion of every retired original whose date has come."""
    from shared.use_cases.delete_originals import delete_originals as delete

    with _open_services_in_span("delete_originals") as open_services:
        done = await delete(open_services)
    log.info("deletions checked", extra={"result": done, "past_due": timer.past_due})


@contextmanager
def _open_services_in_span(timer: str) -> Iterator["Services"]:
    from functions.message_handling import redact_exceptions
    from shared.bootstrap import services

    with redact_exceptions():
        open_services = services()
        with (
            open_services.telemetry.span(f"timer {timer}", parent="") as span,
            log_with(trace=span.trace_id),
        ):
            yield open_services
