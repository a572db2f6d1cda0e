"""Keep on whatever flow this app itself tells people by: off, it would take nothing, silently."""

from shared.domain.callers.notification_channels import channels_using
from shared.domain.jobs.flow_job import FlowJob
from shared.errors import JobBlocked
from shared.reason import Reason
from shared.services import Services
from shared.steps.step_context import StepContext


def check_own_channels(work: StepContext) -> None:
    """Return if no setting of this app has the address of the flow that is to go off.

    That is the original; in a rollback, the copy. Raises `JobBlocked`.
    """
    if labels := channels_by(work.services, work.job):
        other = "original" if work.job.rollback_stage else "copy"
        raise JobBlocked(
            f"The {', '.join(labels)} has the address of {work.job.display_name}:"
            " people would not be told any more.",
            instruction=f"Put the address of the {other} there and deploy it, then retry; the daily"
            " sweep looks as well.",
            code=Reason.NOTIFICATION_CHANNEL_USES_FLOW,
        )


def channels_by(services: Services, job: FlowJob) -> list[str]:
    """Return the settings, in words, that have the address of what a job is to turn off."""
    url_id = job.copy_url_id if job.rollback_stage else job.original_url_id
    return [label for _, label in channels_using(services.settings.channel_addresses, url_id)]
