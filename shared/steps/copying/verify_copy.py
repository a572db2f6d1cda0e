"""Prove a copy before any caller moves to it."""

from functools import partial

from shared.concurrency import run_concurrently
from shared.domain.definitions.comparison import definition_digest
from shared.domain.flow import FlowState
from shared.domain.jobs.flow_job import FlowJob, MigrationMethod
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.jobs.replace_fields import replace
from shared.domain.jobs.transitions import move_to_state
from shared.errors import JobBlocked, NotFound
from shared.reason import Reason
from shared.steps.copying.apply_planned_fixes import apply_planned_fixes
from shared.steps.copying.microsoft_key_list import is_on_microsofts_key, wait_until_shown
from shared.steps.flows.check_network import required_gaps
from shared.steps.flows.read_back import read_back, wait_until_visible
from shared.steps.flows.read_trigger_url import parsed, read_trigger_url
from shared.steps.flows.service_account_share import ServiceAccountShare, useful_share
from shared.steps.flows.temporary_co_ownership import revoke_all_grants
from shared.steps.step_context import StepContext

#: Stands for the hash of a URL that carries no signature (platform.md#trigger-authentication).
NO_SIGNATURE = "none"


async def verify_copy(work: StepContext) -> FlowJob:
    """Prove that the copy reads as copied, runs, is under the key, is known and can reach out.

    Raises `JobBlocked` with what is missing.
    """
    wait_until_shown(work.services, work.job)
    share = await _share_to_come(work)
    async with run_concurrently() as reads:
        reads.create_task(_check_copy(work))
        if share:
            reads.create_task(share.is_there())
    await _read_urls(work)
    await _check_key(work)
    await _check_network(work)
    text = "The copy is proven: read back equal, under the key, its network open."
    return move_to_state(work.job, FlowJobState.VERIFIED, text, now=work.services.now)


async def _check_copy(work: StepContext) -> None:
    job = work.job
    expected = FlowState.ON if job.pattern is MigrationMethod.UPDATE_CALLERS else FlowState.OFF
    read = partial(work.services.workflows.get, work.environment, job.copy_id)
    try:
        row = await read_back(
            work,
            f"The copy of {job.display_name}, written and turned {expected}",
            lambda: work.refresh("copy", read),
            lambda row: (
                row.state is expected and definition_digest(row.client_data) == job.copy_digest
            ),
        )
    except NotFound as err:
        raise JobBlocked(
            f"The copy of {job.display_name} was deleted.",
            instruction="Cancel this job and start a new remediation for the flow.",
            code=Reason.COPY_CHANGED,
        ) from err
    if definition_digest(row.client_data) != job.copy_digest:
        raise JobBlocked(
            f"The copy of {job.display_name} was edited before it was proven.",
            instruction="Keep the edit and make it in the original too, or roll this job back; "
            "then start a new remediation for the flow.",
            code=Reason.COPY_CHANGED,
        )
    if row.state is not expected:
        raise JobBlocked(
            f"The copy of {job.display_name} is {row.state}, not {expected}.",
            instruction=f"Turn the copy {expected} in Power Automate, then retry.",
            code=Reason.FLOW_STATE_NOT_CHANGED,
        )


async def _check_key(work: StepContext) -> None:
    """The full list is the authority: a copy that stands there is not under the key."""
    if await is_on_microsofts_key(work):
        raise JobBlocked(
            f"The copy of {work.job.display_name} is itself on Microsoft's key.",
            code=Reason.COPY_ON_MICROSOFT_KEY,
        )


async def _check_network(work: StepContext) -> None:
    job = work.job
    waived = (await work.read_settings()).ignored_issues
    open_gaps = await required_gaps(work.services, work.environment, job.http_hosts, waived)
    if open_gaps and await apply_planned_fixes(work, open_gaps):
        open_gaps = await required_gaps(work.services, work.environment, job.http_hosts, waived)
        if open_gaps:
            await wait_until_visible(work, "The firewalls that were opened")
    if open_gaps:
        names = ", ".join(gap.name for gap in open_gaps)
        raise JobBlocked(
            f"The copy of {job.display_name} would be refused by: {names}",
            instruction=" ".join(gap.instruction for gap in open_gaps)
            + " Then retry; or waive the gap by its name.",
            code=Reason.FIREWALL_DENIES,
        )


async def _share_to_come(work: StepContext) -> ServiceAccountShare | None:
    """Return the share that is to lend the original; None: its URL is known, or not to be asked.

    Whether the operator has a right of its own there is read with the copy, and anew before the
    loan if that is more than ten seconds ago.
    """
    job = work.job
    if not _has_url(job) or job.signature_hash or job.flow_name in job.past_grants:
        return None
    return await useful_share(work, job.environment_id, job.flow_name)


def _has_url(job: FlowJob) -> bool:
    return job.has_trigger_url and job.pattern is not MigrationMethod.COPY_OFF


async def _read_urls(work: StepContext) -> None:
    """Learn both trigger URLs and keep what identifies them, not the URLs.

    What was learnt is kept, however the step ends: the flow service's budget may be small.
    """
    job = work.job
    if not _has_url(job):
        return
    if not job.copy_url_id:
        new = parsed(await read_trigger_url(work, job.copy_flow_name, job.trigger_name), "the copy")
        work.remember(replace(work.job, copy_url_id=new.workflow_id, copy_host=new.host))
        await revoke_all_grants(work)
    if not job.signature_hash:
        url = await read_trigger_url(work, job.flow_name, job.trigger_name)
        old = parsed(url, job.display_name)
        work.remember(
            replace(
                work.job,
                original_url_id=old.workflow_id,
                signature_hash=old.signature_hash or NO_SIGNATURE,
            )
        )
        await revoke_all_grants(work)
    if work.job.original_url_id == work.job.copy_url_id:
        raise JobBlocked(
            f"The platform gives the copy of {job.display_name} the original's trigger URL.",
            code=Reason.TRIGGER_URL_NOT_NEW,
        )
