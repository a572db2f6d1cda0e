"""Lend the operator a flow by sharing the flow's row: Dataverse takes calls that are not scarce.

No source says that whoever is given rights there (platform.md#share-effect) may ask the flow
service for what only a co-owner is told. So it is tried with the first flow of an environment, and
noted; where it does not hold the flow service lends (temporary_co_ownership.py), and a day later it
is tried again.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial

from shared.domain.service_account import ServiceAccountRecord
from shared.domain.sharing import USERS, DataversePrincipal, Share, rights_of
from shared.steps.flows.effect import SKIP, Refusal, Reply, Write, perform, skip_if_gone
from shared.steps.step_context import StepContext

_TRIED_AGAIN = timedelta(days=1)
_EDIT = "WriteAccess"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceAccountShare:
    """The share of one flow with the operator."""

    work: StepContext
    workflow_id: str
    row: ServiceAccountRecord

    async def is_there(self) -> bool:
        """Say whether the operator may edit the flow already, or could lately."""
        return self._may_edit(await self.work.cached(f"shares of {self.workflow_id}", self._read))

    async def is_listed(self) -> bool:
        """Say whether the operator may edit the flow, as a read of this moment shows it."""
        return self._may_edit(await self._read())

    async def _read(self) -> Sequence[Share]:
        return await self.work.services.flow_sharing.list(self.work.environment, self.workflow_id)

    def _may_edit(self, held: Sequence[Share]) -> bool:
        return any(one.principal == self._user and _EDIT in one.rights for one in held)

    async def grant(self) -> bool:
        """Share the flow; the row names the loan already. Say whether the platform accepted it."""
        work, is_taken = self.work, True
        share = Share(principal=self._user, rights=rights_of("CanEdit"))
        grant = partial(work.services.flow_sharing.grant, work.environment, self.workflow_id)

        async def refused(_: Refusal) -> Reply:
            nonlocal is_taken
            is_taken = False
            await self.record_ineffective()
            return SKIP

        write = Write(
            permit=work.check_write_allowed, call=lambda: grant(share), on_refusal=refused
        )
        await perform(write)
        return is_taken

    async def revoke(self, permit: Callable[[], Awaitable[object]]) -> None:
        """Take the share away, if there is one."""
        work, sharing = self.work, self.work.services.flow_sharing
        revoke = partial(sharing.revoke, work.environment, self.workflow_id, self._user)
        await perform(Write(permit=permit, call=revoke, on_refusal=skip_if_gone))

    async def abandon(self) -> None:
        """Take it away because it lets the operator ask nothing, and note that."""
        await self.revoke(partial(self.work.check_write_allowed, anytime=True))
        await self.record_ineffective()

    @property
    def _user(self) -> DataversePrincipal:
        return DataversePrincipal(table=USERS, id=self.row.user_id)

    async def record_ineffective(self) -> None:
        """Note that a share lets the operator ask nothing."""
        row = replace(self.row, can_read_trigger_urls=False, checked_at=self.work.services.now)
        await self.work.services.tables.service_accounts.upsert(row)


async def useful_share(
    work: StepContext, environment_id: str, flow_name: str
) -> ServiceAccountShare | None:
    """Return the share that lends a flow; None: only the flow service can lend it."""
    workflow_id = _workflow_id(work, environment_id, flow_name)
    row = await _row(work) if workflow_id else None
    return ServiceAccountShare(work=work, workflow_id=workflow_id, row=row) if row else None


async def share_to_return(
    work: StepContext, environment_id: str, flow_name: str
) -> ServiceAccountShare | None:
    """Return the share by which a delivery may have lent a flow; None: none has."""
    workflow_id = _workflow_id(work, environment_id, flow_name)
    row = await _kept(work) if workflow_id else None
    is_user = row and row.user_id
    return (
        ServiceAccountShare(work=work, workflow_id=workflow_id, row=row)
        if row and is_user
        else None
    )


def _workflow_id(work: StepContext, environment_id: str, flow_name: str) -> str:
    """Return the row of the job's original or copy, by its name; empty: of no other is it known."""
    job = work.job
    if environment_id != job.environment_id or not work.environment.dataverse_url:
        return ""
    if flow_name == job.copy_flow_name:
        return job.copy_id
    return job.original_id if flow_name == job.flow_name and job.in_solution else ""


async def _kept(work: StepContext) -> ServiceAccountRecord | None:
    kept = await work.services.tables.service_accounts.get("service_account", work.environment.id)
    return kept.item if kept else None


async def _row(work: StepContext) -> ServiceAccountRecord | None:
    """Return the operator's row where a share with it is of use, or is to be tried."""
    services = work.services
    operator, row = (await services.flow_access.account_id()).lower(), await _kept(work)
    if row and row.object_id == operator:
        if row.can_read_trigger_urls:
            return row
        if services.now - row.checked_at < _TRIED_AGAIN:
            return None
    user = (await services.principals.users(work.environment, [operator])).get(operator)
    row = ServiceAccountRecord(
        environment_id=work.environment.id,
        object_id=operator,
        user_id=user.principal.id if user else "",
        can_read_trigger_urls=user is not None,
        checked_at=services.now,
    )
    await services.tables.service_accounts.upsert(row)
    return row if user else None
