"""Read a trigger URL as a co-owner. The URL is a secret and is never stored."""

from shared.domain.trigger_urls.signatures import find_signatures
from shared.domain.trigger_urls.trigger_url import TriggerUrl, parse_trigger_url
from shared.errors import JobBlocked
from shared.reason import Reason
from shared.steps.flows.temporary_co_ownership import call_as_co_owner
from shared.steps.step_context import StepContext


async def read_trigger_url(
    work: StepContext, flow_name: str, trigger: str, environment_id: str = ""
) -> str:
    """Return the trigger URL of a flow. The flow is in the job's environment unless
    `environment_id` names another.

    An invocation reads each URL once. Raises the errors of `call_as_co_owner`.
    """
    access, home = work.services.flow_access, environment_id or work.job.environment_id
    known, flow = work.trigger_urls, (home, flow_name)
    if flow not in known:
        known[flow] = await call_as_co_owner(
            work, flow_name, lambda: access.read_trigger_url(home, flow_name, trigger), home
        )
    return known[flow]


def parse_platform_url(url: str, title: str) -> TriggerUrl:
    """Return the parts of a trigger URL from the platform.

    Raises `JobBlocked` if its format is unknown.
    """
    found = parse_trigger_url(url)
    if found is None:
        raise JobBlocked(
            f"The platform returned a trigger URL in an unknown format for {title}.",
            code=Reason.TRIGGER_URL_FORMAT_UNKNOWN,
        )
    return found


async def read_original_signatures(work: StepContext) -> dict[str, str]:
    """Return the current signature in the original's trigger URL, by its SHA-256."""
    return find_signatures(
        await read_trigger_url(work, work.job.original.flow_name, work.job.original.trigger_name)
    )
