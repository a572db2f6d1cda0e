"""Verify a copy before any caller is updated."""

from collections.abc import Sequence
from functools import partial

from shared.concurrency import run_concurrently
from shared.domain.definitions.comparison import hash_definition
from shared.domain.flow import FlowState
from shared.domain.jobs.flow_job import FlowJob, MigrationMethod
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.jobs.replace_fields import replace
from shared.domain.jobs.transitions import move_to_state
from shared.domain.network.firewall_issue import FirewallIssue
from shared.errors import JobBlocked, NotFound
from shared.reason import Reason
from shared.steps.copying.microsoft_key_list import is_on_microsofts_key, wait_until_list_shows_copy
from shared.steps.flows.check_network import find_blocking_issues
from shared.steps.flows.firewall_fixes import FixAuthorization, apply_firewall_fix
from shared.steps.flows.read_back import read_back, wait_until_visible
from shared.steps.flows.read_trigger_url import parse_platform_url, read_trigger_url
from shared.steps.flows.service_account_share import ServiceAccountShare, find_useful_share
from shared.steps.flows.temporary_co_ownership import revoke_all_grants
from shared.steps.step_context import StepContext

#: In place of the hash if a URL has no signature (platform.md#trigger-authentication).
NO_SIGNATURE = "none"


async def verify_copy(work: StepContext) -> FlowJob:
    """Verify that the copy is as written, on or off as planned, under the customer-managed key, and
    can reach its hosts.

    Raises `JobBlocked` with the first problem.
    """
    wait_until_list_shows_copy(work.services, work.job)
    share = await _find_planned_share(work)
    async with run_concurrently() as reads:
        reads.create_task(_require_copy_as_written(work))
        if share:
            reads.create_task(share.is_known_to_be_shared())
    await _store_url_ids(work)
    await _require_customer_managed_key(work)
    await _apply_fixes_and_require_open_firewalls(work)
    text = "The copy is verified: it reads as written, is on your key, and no firewall denies it."
    return move_to_state(work.job, FlowJobState.VERIFIED, text, now=work.services.now)


async def _require_copy_as_written(work: StepContext) -> None:
    job = work.job
    expected = (
        FlowState.ON if job.migration_method is MigrationMethod.UPDATE_CALLERS else FlowState.OFF
    )
    read = partial(work.services.workflows.get, work.environment, job.copy.id)
    try:
        row = await read_back(
            work,
            f"The copy of {job.display_name}, written and turned {expected}",
            lambda: work.read_again("copy", read),
            lambda row: (
                row.state is expected and hash_definition(row.client_data) == job.copy.digest
            ),
        )
    except NotFound as err:
        raise JobBlocked(
            f"The copy of {job.display_name} was deleted.",
            fix="Cancel this job and start a new remediation for the flow.",
            code=Reason.COPY_CHANGED,
        ) from err
    if hash_definition(row.client_data) != job.copy.digest:
        raise JobBlocked(
            f"The copy of {job.display_name} was edited before it was verified.",
            fix=(
                "Make the same edit in the original, or roll this job back. Then start a new "
                "remediation for the flow."
            ),
            code=Reason.COPY_CHANGED,
        )
    if row.state is not expected:
        raise JobBlocked(
            f"The copy of {job.display_name} is {row.state}, not {expected}.",
            fix=f"Turn the copy {expected} in Power Automate, then retry.",
            code=Reason.FLOW_STATE_NOT_CHANGED,
        )


async def _require_customer_managed_key(work: StepContext) -> None:
    if await is_on_microsofts_key(work):
        raise JobBlocked(
            f"The copy of {work.job.display_name} is itself on Microsoft's key.",
            code=Reason.COPY_ON_MICROSOFT_KEY,
        )


async def _apply_fixes_and_require_open_firewalls(work: StepContext) -> None:
    job = work.job
    ignored = (await work.read_settings()).ignored_issues
    find_issues = partial(
        find_blocking_issues, work.services, work.environment, job.original.http_hosts, ignored
    )
    open_issues = await find_issues()
    if open_issues and await apply_planned_firewall_fixes(work, open_issues):
        open_issues = await find_issues()
        if open_issues:
            await wait_until_visible(work, "The changed firewalls")
    if open_issues:
        names = ", ".join(issue.firewall_name or issue.name for issue in open_issues)
        deny = "This firewall denies" if len(open_issues) == 1 else "These firewalls deny"
        raise JobBlocked(
            f"{deny} the copy of {job.display_name}: {names}.",
            fix=" ".join(issue.fix for issue in open_issues)
            + " Then retry. Or ignore the firewall; `cmkflow network fix` lists its name.",
            code=Reason.FIREWALL_DENIES,
        )


async def _find_planned_share(work: StepContext) -> ServiceAccountShare | None:
    job = work.job
    if (
        not _may_have_trigger_url(job)
        or job.original.signature_hash
        or job.original.flow_name in job.grants.past
    ):
        return None
    return await find_useful_share(work, job.environment_id, job.original.flow_name)


def _may_have_trigger_url(job: FlowJob) -> bool:
    return job.original.has_trigger_url and job.migration_method is not MigrationMethod.COPY_OFF


async def _store_url_ids(work: StepContext) -> None:
    """Store the ids of both trigger URLs, and a hash of the original's signature. Does not store
    the URLs.
    """
    job = work.job
    if not _may_have_trigger_url(job):
        return
    if not job.copy.url_id:
        new = parse_platform_url(
            await read_trigger_url(work, job.copy.flow_name, job.original.trigger_name), "the copy"
        )
        work.stage(
            replace(work.job, copy=replace(work.job.copy, url_id=new.trigger_url_id, host=new.host))
        )
        await revoke_all_grants(work)
    if not job.original.signature_hash:
        url = await read_trigger_url(work, job.original.flow_name, job.original.trigger_name)
        old = parse_platform_url(url, job.display_name)
        work.stage(
            replace(
                work.job,
                original=replace(
                    work.job.original,
                    url_id=old.trigger_url_id,
                    signature_hash=old.signature_hash or NO_SIGNATURE,
                ),
            )
        )
        await revoke_all_grants(work)
    if work.job.original.url_id == work.job.copy.url_id:
        raise JobBlocked(
            f"The platform gives the copy of {job.display_name} the original's trigger URL.",
            code=Reason.TRIGGER_URL_NOT_NEW,
        )


async def apply_planned_firewall_fixes(work: StepContext, issues: Sequence[FirewallIssue]) -> bool:
    """Apply the fixes that the plan shows for these issues. Return whether it shows any.

    Fixes that were allowed after the approval are not applied, because the plan did not show them.
    Raises the errors of `apply_firewall_fix`.
    """
    job, services = work.job, work.services
    kept = await services.tables.environment_jobs.get(job.remediation_id, job.environment_job_id)
    plan = kept.item if kept else None
    shown = (
        {finding.name for finding in plan.firewall_issues if finding.fix_by_app} if plan else set()
    )
    planned = [issue for issue in issues if issue.name in shown]
    authorization = FixAuthorization(
        requested_by=(plan and plan.approved_by) or "approval policy automatic",
        environment_ids=(job.environment_id,),
        holder=work,
        permit=work.require_write_allowed,
    )
    for issue in planned:
        await apply_firewall_fix(services, issue, authorization)
    return bool(planned)
