"""The operator's co-ownership of a flow, for as long as a step has something to ask as one.

The row says so in between: a later delivery goes on where a dead or throttled one stopped, and
returns what that borrowed.
"""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from http import HTTPStatus

from shared.alerts import readable, tell
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
    share_to_return,
    useful_share,
)
from shared.steps.step_context import StepContext
from shared.steps.write_permission import check_write_allowed


async def call_as_co_owner[T](
    work: StepContext, flow_name: str, ask: Callable[[], Awaitable[T]], environment_id: str = ""
) -> T:
    """Return what only a co-owner of a flow is told; of this environment unless another is named.

    The operator is made co-owner unless it is one, and steps back at the end of the step. Raises
    `PlatformError`, `JobBlocked`; `ServiceUnavailable` while a new right is on its way.
    """
    environment_id = environment_id or work.job.environment_id
    share = await useful_share(work, environment_id, flow_name)
    if not await _note_loan(work, environment_id, flow_name, share):
        return await _as_it_is(work, environment_id, flow_name, share, ask)
    if share and await share.grant():
        try:
            answer = await ask()
        except PlatformError as err:
            if not is_grant_propagating(err):
                raise
            await share.abandon()
        else:
            work.shared_with_operator.add((environment_id, flow_name))
            return answer
    return await _as_made_co_owner(work, environment_id, flow_name, ask)


async def _as_made_co_owner[T](
    work: StepContext,
    environment_id: str,
    flow_name: str,
    ask: Callable[[], Awaitable[T]],
    *,
    is_lent: bool = False,
) -> T:
    """Ask once the flow service has made the operator co-owner, which the row says already.

    `is_lent`: perhaps by a share as well, of a delivery before; both are returned then.
    """
    await work.services.request_budget.wait_for()
    await _ask_its_own(work, environment_id)

    async def add() -> None:
        is_one = await work.services.flow_access.grant(environment_id, flow_name)
        if is_one and not is_lent:
            work.made_co_owner.add((environment_id, flow_name))

    await perform(Write(permit=work.check_write_allowed, call=add))
    return await _once_rights_are_there(work, flow_name, ask)


async def _as_it_is[T](
    work: StepContext,
    environment_id: str,
    flow_name: str,
    share: ServiceAccountShare | None,
    ask: Callable[[], Awaitable[T]],
) -> T:
    """Ask as the co-owner that the operator is, by this job's loan or by somebody else.

    Somebody else's is waited for: it may be new, or the list old, which a later look sees
    (platform.md#reads-lag). A share that stays of no use is the one case in which the flow service
    lends beside it.
    """
    name = _row_name(work, environment_id, flow_name)
    is_lent = name in work.job.active_grants
    try:
        return await (ask() if is_lent else _once_rights_are_there(work, flow_name, ask))
    except PlatformError as err:
        if err.status != HTTPStatus.FORBIDDEN or not (is_lent or share):
            raise
    if share and not is_lent:
        await share.record_ineffective()
        await _note(work, environment_id, name)
    work.shared_with_operator.discard((environment_id, flow_name))
    return await _as_made_co_owner(work, environment_id, flow_name, ask, is_lent=is_lent)


async def _once_rights_are_there[T](
    work: StepContext, flow_name: str, ask: Callable[[], Awaitable[T]]
) -> T:
    """Ask; rights take time to arrive, and stay while the job waits for them
    (`ServiceUnavailable`).
    """
    try:
        return await ask()
    except PlatformError as err:
        if (
            is_grant_propagating(err)
            and work.job.consecutive_failures < work.services.settings.backoff_max_attempts
        ):
            text = f"The operator is co-owner of the flow {flow_name} and may not ask yet."
            raise ServiceUnavailable(text) from err
        raise


def _row_name(work: StepContext, environment_id: str, flow_name: str) -> str:
    """Return what the row calls a flow that is lent."""
    is_here = environment_id == work.job.environment_id
    return flow_name if is_here else f"{environment_id}/{flow_name}"


def is_grant_propagating(refusal: PlatformError) -> bool:
    """Say whether a co-owner is refused whose right may be on its way."""
    return find_error_code(refusal.code, refusal.detail).code == NO_CO_OWNER


async def is_co_owner(services: Services, environment_id: str, flow_name: str) -> bool:
    """Say whether the operator is co-owner, or owner, of a flow by somebody else.

    It may also be listed for a loan that was returned: reads lag behind (platform.md#reads-lag).
    """
    is_listed = await _is_listed(services, environment_id, flow_name)
    return is_listed and not await was_granted(services, environment_id, flow_name)


async def _is_listed(services: Services, environment_id: str, flow_name: str) -> bool:
    operator = (await services.flow_access.account_id()).lower()
    return any(
        held.principal_id.lower() == operator and held.is_co_owner
        for held in await services.flow_access.permissions(environment_id, flow_name)
    )


async def is_granted_by_app(work: StepContext) -> bool:
    """Say whether the operator may be listed at the original for this job's sake, or its plan's."""
    job = work.job
    plans = await work.services.tables.environment_jobs.all(job.remediation_id)
    lent = {name for plan in plans for name in plan.past_grants}
    return job.flow_name in {*job.active_grants, *job.returned, *lent}


async def was_granted(services: Services, environment_id: str, flow_name: str) -> bool:
    """Say whether any job, of a flow or of a plan, has ever lent the operator a flow."""
    tables, flow = services.tables, (environment_id, flow_name)
    lenders: list[EnvironmentJob | FlowJob] = []
    lenders += [kept.item async for kept in readable(services, tables.environment_jobs.scan())]
    lenders += [kept.item async for kept in readable(services, tables.flow_jobs.scan())]
    return any(
        parse_job_reference(name, one.environment_id) == flow
        for one in lenders
        for name in one.past_grants
    )


async def _note_loan(
    work: StepContext, environment_id: str, flow_name: str, share: ServiceAccountShare | None
) -> bool:
    """Note what is to be returned; say whether the operator has to be made co-owner for it.

    Not where it is one for this job already, nor where it is one by somebody else: it stays so. (An
    owner that is given a share and loses it stays the owner.)
    """
    job, services = work.job, work.services
    name = _row_name(work, environment_id, flow_name)
    if name in job.active_grants:
        return False
    # Who else has rights on the copy of an original that is shared with nobody?
    is_ours = name == job.copy_flow_name and not job.copy_shared_with
    if name not in job.past_grants and not is_ours:
        looked = share.is_there() if share else _is_listed(services, environment_id, flow_name)
        if await looked and not await was_granted(services, environment_id, flow_name):
            return False
    await _note(work, environment_id, name)
    return True


async def _note(work: StepContext, environment_id: str, name: str) -> None:
    """Note a loan, before it is made."""
    await work.services.request_budget.wait_for()
    await _ask_its_own(work, environment_id)

    def intended(job: FlowJob) -> FlowJob:
        lent = tuple(dict.fromkeys((*job.past_grants, name)))
        return replace(job, active_grants=(*job.active_grants, name), past_grants=lent)

    await work.stage_then_check_write(intended)


async def _ask_its_own(work: StepContext, environment_id: str) -> None:
    """Return if a flow may be lent as far as its own environment has a say in it."""
    if environment_id != work.job.environment_id:
        await check_write_allowed(work.services, environment_id)


async def revoke_all_grants(work: StepContext) -> None:
    """Take back every co-ownership that this job gave the operator, at any hour of the day."""
    for borrowed in work.job.active_grants:
        await revoke_grant(work, borrowed)
        job = work.job
        left = tuple(name for name in job.active_grants if name != borrowed)
        returned = tuple(dict.fromkeys((*job.returned, borrowed)))
        now = work.services.now
        work.remember(replace(job, active_grants=left, returned=returned, returned_at=now))


async def check_returned(work: StepContext) -> None:
    """See that what was taken back is gone; what is not is taken back again, and reported.

    Not before reads are true (platform.md#reads-lag).
    """
    services, at = work.services, work.job.returned_at
    if at is None or services.now < at + services.settings.read_lag:
        return
    kept = []
    for name in work.job.returned:
        if await _is_still_lent(work, name):
            kept.append(name)
            await revoke_grant(work, name)
    at = services.now if kept else None
    work.remember(replace(work.job, returned=tuple(kept), returned_at=at))
    if kept:
        row = services.tables.flow_jobs.name_of(work.job)
        await tell(services, Reason.GRANT_NOT_REVOKED, row, not_returned(kept))


def not_returned(flows: Sequence[str]) -> str:
    """Say of which flows the operator is still co-owner."""
    return (
        "The platform accepted to take the operator's co-ownership back, and the operator is still "
        f"co-owner of {', '.join(flows)}. The app has tried again."
    )


async def _is_still_lent(work: StepContext, name: str) -> bool:
    """Say whether the operator is co-owner of a flow that was returned.

    Dataverse shows co-owners of solution flows too (platform.md#flow-permissions), and its calls
    are not scarce.
    """
    environment_id, flow_name = parse_job_reference(name, work.job.environment_id)
    try:
        if share := await share_to_return(work, environment_id, flow_name):
            return await share.is_listed()
    except NotFound:  # the flow is gone, and the co-ownership with it
        return False
    return await is_still_co_owner(work.services, environment_id, flow_name)


async def is_still_co_owner(services: Services, environment_id: str, flow_name: str) -> bool:
    """Say whether the flow service lists the operator as co-owner, not as owner, of a flow."""
    held = await _held(services, environment_id, flow_name)
    return any(one.is_co_owner and not one.is_owner for one in held)


async def _held(services: Services, environment_id: str, flow_name: str) -> list[FlowPermission]:
    """Return what the flow service lists for the operator; nothing if the flow is gone."""
    await services.request_budget.wait_for(is_urgent=True)
    operator = (await services.flow_access.account_id()).lower()
    try:
        permissions = await services.flow_access.permissions(environment_id, flow_name)
    except NotFound:
        return []
    return [one for one in permissions if one.principal_id.lower() == operator]


async def revoke_grant(work: StepContext, name: str) -> None:
    """Take back the co-ownership of one flow, by the way that this delivery gave it, else by both.

    `name` is one of the row's `borrowed` or `lent`.
    """
    flow = environment_id, flow_name = parse_job_reference(name, work.job.environment_id)
    is_shared, is_made = flow in work.shared_with_operator, flow in work.made_co_owner

    async def permit() -> None:
        is_home = environment_id == work.job.environment_id
        settings = await work.read_settings() if is_home else None
        await check_write_allowed(work.services, environment_id, anytime=True, settings=settings)
        await work.check_lease()

    if not is_made and (share := await share_to_return(work, environment_id, flow_name)):
        await share.revoke(permit)
    if not is_shared:
        await take_back(work.services, flow, permit, is_made=is_made)
    work.shared_with_operator.discard(flow)
    work.made_co_owner.discard(flow)


async def take_back(
    services: Services,
    flow: tuple[str, str],
    permit: Callable[[], Awaitable[object]],
    *,
    is_made: bool = False,
) -> None:
    """Take the operator off a flow, unless it owns it or the flow is gone.

    `flow`: its environment and name. `is_made`: it was made a co-owner a moment ago.
    """
    # The look and the write each wait for a call: a budget may have one a minute.
    if not is_made and any(one.is_owner for one in await _held(services, *flow)):
        return
    await services.request_budget.wait_for(is_urgent=True)
    remove = partial(services.flow_access.revoke, *flow)
    await perform(Write(permit=permit, call=remove, on_refusal=skip_if_gone))
