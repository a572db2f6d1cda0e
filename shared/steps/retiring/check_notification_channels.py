"""Keep a flow on while a setting of this app sends notifications to it."""

from shared.domain.callers.notification_channels import find_channels_using
from shared.domain.jobs.flow_job import FlowJob
from shared.errors import JobBlocked
from shared.reason import Reason
from shared.services import Services
from shared.steps.step_context import StepContext


def require_no_own_channel(work: StepContext) -> None:
    """Raise `JobBlocked` if a setting of this app contains the URL of the flow to turn off.

    That flow is the original, or the copy in a rollback.
    """
    if labels := find_channels_of_job(work.services, work.job):
        other = "original" if work.job.rollback_stage else "copy"
        raise JobBlocked(
            f"Notifications would be lost, because the URL of {work.job.display_name} is in the "
            f"{', '.join(labels)}.",
            fix=(
                f"Write the URL of the {other} there and deploy the app, then retry. The daily "
                "check retries too."
            ),
            code=Reason.NOTIFICATION_CHANNEL_USES_FLOW,
        )


def find_channels_of_job(services: Services, job: FlowJob) -> list[str]:
    """Return a label of each setting of the app that has the URL of the flow to turn off."""
    url_id = job.copy.url_id if job.rollback_stage else job.original.url_id
    return [label for _, label in find_channels_using(services.settings.channel_addresses, url_id)]
