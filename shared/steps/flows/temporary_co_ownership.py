"""Grant the service account co-ownership of a flow while a step needs it, and revoke it.

The row records each grant first, so that a later invocation continues after a crash and revokes
what the earlier one granted.
"""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from http import HTTPStatus

from shared.alerts import read_readable, send_alert
from shared.domain.flow import FlowPermission
from shared.domain.jobs.dependent_jobs import parse_job_reference
from shared.domain.jobs.flow_job import FlowJob
from shared.domain.jobs.replace_fields import replace
from shared.domain.plans.remediation import EnvironmentJob
from shared.domain.platform_errors import NO_CO_OWNER, find_error_code
from shared.errors import NotFound, PlatformError, ServiceUnavailable
from shared.reason import Reason
from shared.services import Services
from shared.steps.flows.effect import Write, perform, skip_if_gone
from shared.steps.flows.service_account_share import (
    ServiceAccountShare,
    find_share_to_revoke,
    find_useful_share,
)
from shared.steps.step_context import StepContext
from shared.steps.write_permission import require_write_allowed


async def call_as_co_owner[T](
    work: StepContext, flow_name: str, ask: Callable[[], Awaitable[T]], environment_id: str = ""
) -> T:
    """Return the result of a request that only a co-owner may send.

    The flow is in the job's environment unless `environment_id` names another. Grants the service
    account co-ownership if it has none; the grant is revoked at the end of the step. Raises the
    errors of the request and of the grant, and `ServiceUnavailable` while a new grant is
    propagating.
    """
    environment_id = environment_id or work.job.environment_id
    share = await find_useful_share(work, environment_id, flow_name)
    if not await _record_grant_if_needed(work, environment_id, flow_name, share):
        return await _call_with_existing_rights(work, environment_id, flow_name, share, ask)
    if share and await share.grant():
        try:
            answer = await ask()
        except PlatformError as err:
            if not is_grant_propagating(err):
                raise
            await share.remove_ineffective()
        else:
            work.shared_with_operator.add((environment_id, flow_name))
            return answer
    return await _grant_and_call(work, environment_id, flow_name, ask)


async def _grant_and_call[T](
    work: StepContext,
    environment_id: str,
    flow_name: str,
    ask: Callable[[], Awaitable[T]],
    *,
    has_grant: bool = False,
) -> T:
    """Grant co-ownership through the flow service, and send the request.

    `has_grant`: an earlier invocation may have granted a share too.
    """
    await work.services.request_budget.wait_for_requests()
    await _require_writes_allowed_elsewhere(work, environment_id)

    async def grant_co_ownership() -> None:
        is_one = await work.services.flow_access.grant(environment_id, flow_name)
        if is_one and not has_grant:
            work.made_co_owner.add((environment_id, flow_name))

    await perform(Write(permit=work.require_write_allowed, call=grant_co_ownership))
    return await _call_when_propagated(work, flow_name, ask)


async def _call_with_existing_rights[T](
    work: StepContext,
    environment_id: str,
    flow_name: str,
    share: ServiceAccountShare | None,
    ask: Callable[[], Awaitable[T]],
) -> T:
    """Send the request with the existing rights.

    If a share has no effect, grant co-ownership through the flow service.
    """
    name = _format_grant_name(work, environment_id, flow_name)
    has_grant = name in work.job.grants.active
    try:
        return await (ask() if has_grant else _call_when_propagated(work, flow_name, ask))
    except PlatformError as err:
        if err.status != HTTPStatus.FORBIDDEN or not (has_grant or share):
            raise
    if share and not has_grant:
        await share.record_ineffective()
        await _record_grant(work, environment_id, name)
    work.shared_with_operator.discard((environment_id, flow_name))
    return await _grant_and_call(work, environment_id, flow_name, ask, has_grant=has_grant)


async def _call_when_propagated[T](
    work: StepContext, flow_name: str, ask: Callable[[], Awaitable[T]]
) -> T:
    """Send the request. Raises `ServiceUnavailable` while the grant is propagating."""
    try:
        return await ask()
    except PlatformError as err:
        if (
            is_grant_propagating(err)
            and work.job.consecutive_failures < work.services.settings.backoff_max_attempts
        ):
            text = (
                f"The service account is co-owner of the flow {flow_name}, but the platform does "
                "not accept it yet."
            )
            raise ServiceUnavailable(text) from err
        raise


def _format_grant_name(work: StepContext, environment_id: str, flow_name: str) -> str:
    is_here = environment_id == work.job.environment_id
    return flow_name if is_here else f"{environment_id}/{flow_name}"


def is_grant_propagating(error: PlatformError) -> bool:
    """Return whether the error may be temporary because the new co-ownership has not yet
    propagated.
    """
    return find_error_code(error.code, error.detail).code == NO_CO_OWNER


async def is_co_owner(services: Services, environment_id: str, flow_name: str) -> bool:
    """Return whether the service account is a co-owner of a flow without a grant of the app.

    An owner counts. A flow whose grant was revoked does not, because a read may still list the
    grant (platform.md#reads-lag).
    """
    is_listed = await _is_listed_as_co_owner(services, environment_id, flow_name)
    return is_listed and not await may_have_been_granted(services, environment_id, flow_name)


async def _is_listed_as_co_owner(services: Services, environment_id: str, flow_name: str) -> bool:
    account_id = (await services.flow_access.read_account_id()).lower()
    return any(
        held.principal_id.lower() == account_id and held.is_co_owner
        for held in await services.flow_access.read_permissions(environment_id, flow_name)
    )


async def may_have_granted_co_ownership(work: StepContext) -> bool:
    """Return whether this job or its plan may have made the service account co-owner of the
    original.
    """
    job = work.job
    plans = await work.services.tables.environment_jobs.read_all(job.remediation_id)
    past = {name for plan in plans for name in plan.grants.past}
    return job.original.flow_name in {*job.grants.active, *job.grants.returned, *past}


async def may_have_been_granted(services: Services, environment_id: str, flow_name: str) -> bool:
    """Return whether a flow job or environment job may ever have granted access to a flow."""
    tables, flow = services.tables, (environment_id, flow_name)
    lenders: list[EnvironmentJob | FlowJob] = []
    lenders += [kept.item async for kept in read_readable(services, tables.environment_jobs.scan())]
    lenders += [kept.item async for kept in read_readable(services, tables.flow_jobs.scan())]
    return any(
        parse_job_reference(name, one.environment_id) == flow
        for one in lenders
        for name in one.grants.past
    )


async def _record_grant_if_needed(
    work: StepContext, environment_id: str, flow_name: str, share: ServiceAccountShare | None
) -> bool:
    """Return whether a grant is needed. If it is, first record it."""
    job, services = work.job, work.services
    name = _format_grant_name(work, environment_id, flow_name)
    if name in job.grants.active:
        return False
    # A copy whose original is not shared has no other co-owner.
    is_ours = name == job.copy.flow_name and not job.copy.shared_with
    if name not in job.grants.past and not is_ours:
        looked = (
            share.is_known_to_be_shared()
            if share
            else _is_listed_as_co_owner(services, environment_id, flow_name)
        )
        if await looked and not await may_have_been_granted(services, environment_id, flow_name):
            return False
    await _record_grant(work, environment_id, name)
    return True


async def _record_grant(work: StepContext, environment_id: str, name: str) -> None:
    await work.services.request_budget.wait_for_requests()
    await _require_writes_allowed_elsewhere(work, environment_id)

    def with_intent(job: FlowJob) -> FlowJob:
        return replace(job, grants=job.grants.add_active_grant(name))

    await work.save_intended_write(with_intent)


async def _require_writes_allowed_elsewhere(work: StepContext, environment_id: str) -> None:
    if environment_id != work.job.environment_id:
        await require_write_allowed(work.services, environment_id)


async def revoke_all_grants(work: StepContext) -> None:
    """Revoke every active grant of this job, even outside the maintenance window."""
    for grant in work.job.grants.active:
        await revoke_grant(work, grant)
        grants = work.job.grants.mark_revoked(grant, at=work.services.now)
        work.stage(replace(work.job, grants=grants))


async def revoke_remaining_grants(work: StepContext) -> None:
    """Revoke again the grants that the platform still shows. Send an alert about them.

    Does nothing while a read may be older than the revocation (platform.md#reads-lag).
    """
    services, at = work.services, work.job.grants.returned_at
    if at is None or services.now < at + services.settings.read_lag:
        return
    kept = []
    for name in work.job.grants.returned:
        if await _is_still_granted(work, name):
            kept.append(name)
            await revoke_grant(work, name)
    at = services.now if kept else None
    grants = replace(work.job.grants, returned=tuple(kept), returned_at=at)
    work.stage(replace(work.job, grants=grants))
    if kept:
        row = services.tables.flow_jobs.get_row_name(work.job)
        await send_alert(services, Reason.GRANT_NOT_REVOKED, row, format_grants_not_revoked(kept))


def format_grants_not_revoked(flows: Sequence[str]) -> str:
    """Return a text that says that the access to these flows was not revoked."""
    return (
        "The platform accepted the request to remove the service account as co-owner, but it is "
        f"still co-owner of {', '.join(flows)}. The app has tried again."
    )


async def _is_still_granted(work: StepContext, name: str) -> bool:
    environment_id, flow_name = parse_job_reference(name, work.job.environment_id)
    try:
        if share := await find_share_to_revoke(work, environment_id, flow_name):
            return await share.read_is_shared()
    except NotFound:  # the flow was deleted, with its co-ownership
        return False
    return await is_still_co_owner(work.services, environment_id, flow_name)


async def is_still_co_owner(services: Services, environment_id: str, flow_name: str) -> bool:
    """Return whether the flow service lists the service account as co-owner, but not as owner."""
    held = await _read_own_permissions(services, environment_id, flow_name)
    return any(one.is_co_owner and not one.is_owner for one in held)


async def _read_own_permissions(
    services: Services, environment_id: str, flow_name: str
) -> list[FlowPermission]:
    await services.request_budget.wait_for_requests(is_urgent=True)
    account_id = (await services.flow_access.read_account_id()).lower()
    try:
        permissions = await services.flow_access.read_permissions(environment_id, flow_name)
    except NotFound:
        return []
    return [one for one in permissions if one.principal_id.lower() == account_id]


async def revoke_grant(work: StepContext, name: str) -> None:
    """Revoke the service account's access to one flow.

    Removes the share in Dataverse or the co-ownership in the flow service, whichever this
    invocation granted. If an earlier one granted it, removes both.
    """
    flow = environment_id, flow_name = parse_job_reference(name, work.job.environment_id)
    is_shared, is_made = flow in work.shared_with_operator, flow in work.made_co_owner

    async def require_revocation_allowed() -> None:
        is_home = environment_id == work.job.environment_id
        settings = await work.read_settings() if is_home else None
        await require_write_allowed(work.services, environment_id, anytime=True, settings=settings)
        await work.require_lease()

    if not is_made and (share := await find_share_to_revoke(work, environment_id, flow_name)):
        await share.revoke(require_revocation_allowed)
    if not is_shared:
        await remove_co_ownership(work.services, flow, require_revocation_allowed, is_made=is_made)
    work.shared_with_operator.discard(flow)
    work.made_co_owner.discard(flow)


async def remove_co_ownership(
    services: Services,
    flow: tuple[str, str],
    permit: Callable[[], Awaitable[object]],
    *,
    is_made: bool = False,
) -> None:
    """Remove the service account's co-ownership of a flow.

    Does nothing if the service account owns the flow or the flow was deleted. `flow` contains the
    environment's id and the flow's name. `is_made`: co-ownership was granted a moment ago.
    """
    # The read and the write each wait for a request: a budget may allow one per minute.
    if not is_made and any(one.is_owner for one in await _read_own_permissions(services, *flow)):
        return
    await services.request_budget.wait_for_requests(is_urgent=True)
    remove = partial(services.flow_access.revoke, *flow)
    await perform(Write(permit=permit, call=remove, on_refusal=skip_if_gone))
