"""What happens by the clock. Schedules are settings (six fields, UTC); see docs/http-api.md.

A run that fails is logged by the host and comes again with the next occurrence: each of the use
cases finds what an earlier run has left.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import azure.functions as func

from shared.log_fields import product_log

if TYPE_CHECKING:
    from shared.services import Services

log = product_log(__name__)

blueprint = func.Blueprint()


@blueprint.timer_trigger(
    schedule="%CMK_POLICY_LINK_POLL_SCHEDULE%", arg_name="timer", run_on_startup=False
)
async def poll_environments(timer: func.TimerRequest) -> None:
    """Publish an event for each environment whose link to a policy has changed."""
    from shared.use_cases.poll_environments import poll_environments as poll

    with _services() as open_services:
        changed = await poll(open_services)
    log.info("polled environments: %s changed", changed, extra={"past_due": timer.past_due})


@blueprint.timer_trigger(
    schedule="%CMK_DAILY_CHECK_SCHEDULE%", arg_name="timer", run_on_startup=False
)
async def run_daily_check(timer: func.TimerRequest) -> None:
    """Look at every environment under a policy, and at what got stuck."""
    from shared.use_cases.run_daily_check import run_daily_check as check

    with _services() as open_services:
        result = await check(open_services, f"{open_services.now:%Y-%m-%d}")
    log.info("swept: %s", result, extra={"past_due": timer.past_due})


@blueprint.timer_trigger(
    schedule="%CMK_DUE_MESSAGES_SCHEDULE%", arg_name="timer", run_on_startup=False
)
async def send_due_messages(timer: func.TimerRequest) -> None:
    """Send the message of every row that should have moved."""
    from shared.use_cases.resend_overdue import resend_overdue as resend

    with _services() as open_services:
        sent = await resend(open_services)
    log.info("sent overdue rows again: %s", sent, extra={"past_due": timer.past_due})


@blueprint.timer_trigger(
    schedule="%CMK_DUE_MESSAGES_SCHEDULE%", arg_name="timer", run_on_startup=False
)
async def send_notifications(timer: func.TimerRequest) -> None:
    """Tell people what waits for them, by every channel that is set up."""
    from shared.use_cases.notify import notify

    with _services() as open_services:
        told = await notify(open_services)
    log.info("told people: %s", told, extra={"past_due": timer.past_due})


@blueprint.timer_trigger(schedule="%CMK_DELETION_SCHEDULE%", arg_name="timer", run_on_startup=False)
async def delete_originals(timer: func.TimerRequest) -> None:
    """Go on with every delete of a retired original whose approved date has come."""
    from shared.use_cases.delete_originals import delete_originals as delete

    with _services() as open_services:
        done = await delete(open_services)
    log.info("looked at deletes: %s", done, extra={"past_due": timer.past_due})


@contextmanager
def _services() -> Iterator["Services"]:
    from functions.message_handling import without_secrets
    from shared.bootstrap import services

    with without_secrets():
        yield services()
