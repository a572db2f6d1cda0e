"""What happens by the clock. Schedules are settings (six fields, UTC); see docs/http-api.md.

A run that fails is logged by the host and comes again with the next occurrence: each of the use
cases finds what an earlier run has left.
"""

import azure.functions as func

from functions.outcomes import without_secrets
from shared.bootstrap import services
from shared.log_fields import product_log
from shared.use_cases.delete_originals import delete_originals as delete
from shared.use_cases.notify import notify
from shared.use_cases.poll_environments import poll_environments as poll
from shared.use_cases.resend_overdue import resend_overdue as resend
from shared.use_cases.sweep import sweep

log = product_log(__name__)

blueprint = func.Blueprint()


@blueprint.timer_trigger(schedule="%CMK_POLL_SCHEDULE%", arg_name="timer", run_on_startup=False)
async def poll_environments(timer: func.TimerRequest) -> None:
    """Publish an event for each environment whose link to a policy has changed."""
    with without_secrets():
        changed = await poll(services())
    log.info("polled environments: %s changed", changed, extra={"past_due": timer.past_due})


@blueprint.timer_trigger(schedule="%CMK_SWEEP_SCHEDULE%", arg_name="timer", run_on_startup=False)
async def sweep_environments(timer: func.TimerRequest) -> None:
    """Look at every environment under a policy, and at what got stuck."""
    open_services = services()
    with without_secrets():
        result = await sweep(open_services, f"{open_services.now:%Y-%m-%d}")
    log.info("swept: %s", result, extra={"past_due": timer.past_due})


@blueprint.timer_trigger(schedule="%CMK_RESEND_SCHEDULE%", arg_name="timer", run_on_startup=False)
async def resend_overdue(timer: func.TimerRequest) -> None:
    """Send the message of every row that should have moved."""
    with without_secrets():
        sent = await resend(services())
    log.info("sent overdue rows again: %s", sent, extra={"past_due": timer.past_due})


@blueprint.timer_trigger(schedule="%CMK_RESEND_SCHEDULE%", arg_name="timer", run_on_startup=False)
async def notify_people(timer: func.TimerRequest) -> None:
    """Tell people what waits for them, by every channel that is set up."""
    with without_secrets():
        told = await notify(services())
    log.info("told people: %s", told, extra={"past_due": timer.past_due})


@blueprint.timer_trigger(schedule="%CMK_DELETE_SCHEDULE%", arg_name="timer", run_on_startup=False)
async def delete_originals(timer: func.TimerRequest) -> None:
    """Go on with every delete of a retired original whose approved date has come."""
    with without_secrets():
        done = await delete(services())
    log.info("looked at deletes: %s", done, extra={"past_due": timer.past_due})
