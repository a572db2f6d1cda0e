"""Grant the service account access to a flow by sharing the flow's row in Dataverse.

Requests to Dataverse are not as limited as those to the flow service. No source says that a share
is enough to read a trigger URL from the flow service (platform.md#share-effect). So it is tried
with the first flow of an environment, and the result is recorded. If it does not work, the flow
service grants the access (temporary_co_ownership.py), and the share is tried again a day later.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial

from shared.domain.environment_records import ServiceAccountRecord
from shared.domain.sharing import USERS, DataversePrincipal, Share, list_rights
from shared.steps.flows.effect import SKIP, Refusal, Reply, Write, perform, skip_if_gone
from shared.steps.step_context import StepContext

_RETRY_INTERVAL = timedelta(days=1)
_EDIT = "WriteAccess"
#: Name of the cached row.
_RECORD = "service account"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceAccountShare:
    """The share of one flow with the service account."""

    work: StepContext
    workflow_id: str
    row: ServiceAccountRecord

    async def is_known_to_be_shared(self) -> bool:
        """Return whether the service account may edit the flow, as read in the last seconds."""
        return self._includes_edit_right(
            await self.work.read_cached(f"shares of {self.workflow_id}", self._read_shares)
        )

    async def read_is_shared(self) -> bool:
        """Read the shares again, and return whether the service account may edit the flow."""
        return self._includes_edit_right(await self._read_shares())

    async def _read_shares(self) -> Sequence[Share]:
        return await self.work.services.flow_sharing.list(self.work.environment, self.workflow_id)

    def _includes_edit_right(self, held: Sequence[Share]) -> bool:
        return any(one.principal == self._user and _EDIT in one.rights for one in held)

    async def grant(self) -> bool:
        """Share the flow. Return whether the platform accepted that.

        If the platform rejects it, records that a share does not help. The row must already record
        the grant.
        """
        work, is_accepted = self.work, True
        share = Share(principal=self._user, rights=list_rights("CanEdit"))
        grant = partial(work.services.flow_sharing.grant, work.environment, self.workflow_id)

        async def handle_error(_: Refusal) -> Reply:
            nonlocal is_accepted
            is_accepted = False
            await self.record_ineffective()
            return SKIP

        write = Write(
            permit=work.require_write_allowed, call=lambda: grant(share), on_refusal=handle_error
        )
        await perform(write)
        return is_accepted

    async def revoke(self, permit: Callable[[], Awaitable[object]]) -> None:
        """Remove the share if there is one."""
        work, sharing = self.work, self.work.services.flow_sharing
        revoke = partial(sharing.revoke, work.environment, self.workflow_id, self._user)
        await perform(Write(permit=permit, call=revoke, on_refusal=skip_if_gone))

    async def remove_ineffective(self) -> None:
        """Remove a share that does not let the service account read trigger URLs. Record that."""
        await self.revoke(partial(self.work.require_write_allowed, anytime=True))
        await self.record_ineffective()

    @property
    def _user(self) -> DataversePrincipal:
        return DataversePrincipal(table=USERS, id=self.row.user_id)

    async def record_ineffective(self) -> None:
        """Record that a share does not let the service account read trigger URLs."""
        row = replace(self.row, can_read_trigger_urls=False, checked_at=self.work.services.now)
        await _store_record(self.work, row)


async def find_useful_share(
    work: StepContext, environment_id: str, flow_name: str
) -> ServiceAccountShare | None:
    """Return the share that can grant access to a flow, or None if no share can."""
    workflow_id = _find_workflow_id(work, environment_id, flow_name)
    row = await _find_or_create_record(work) if workflow_id else None
    return ServiceAccountShare(work=work, workflow_id=workflow_id, row=row) if row else None


async def find_share_to_revoke(
    work: StepContext, environment_id: str, flow_name: str
) -> ServiceAccountShare | None:
    """Return the share through which access may have been granted, or None."""
    workflow_id = _find_workflow_id(work, environment_id, flow_name)
    row = await _read_record(work) if workflow_id else None
    if row is None or not row.user_id:
        return None
    return ServiceAccountShare(work=work, workflow_id=workflow_id, row=row)


def _find_workflow_id(work: StepContext, environment_id: str, flow_name: str) -> str:
    job = work.job
    if environment_id != job.environment_id or not work.environment.dataverse_url:
        return ""
    if flow_name == job.copy.flow_name:
        return job.copy.id
    is_original = flow_name == job.original.flow_name
    return job.original.id if is_original and job.original.in_solution else ""


async def _read_record(work: StepContext) -> ServiceAccountRecord | None:
    async def read_service_account_row() -> ServiceAccountRecord | None:
        rows = work.services.tables.service_accounts
        kept = await rows.get("service_account", work.environment.id)
        return kept.item if kept else None

    return await work.read_cached(_RECORD, read_service_account_row)


async def _store_record(work: StepContext, row: ServiceAccountRecord) -> None:
    async def store_row() -> ServiceAccountRecord:
        await work.services.tables.service_accounts.upsert(row)
        return row

    await work.read_again(_RECORD, store_row)


async def _find_or_create_record(work: StepContext) -> ServiceAccountRecord | None:
    services = work.services
    account_id = (await services.flow_access.read_account_id()).lower()
    row = await _read_record(work)
    if row and row.object_id == account_id:
        if row.can_read_trigger_urls:
            return row
        if services.now - row.checked_at < _RETRY_INTERVAL:
            return None
    user = (await services.principals.read_users(work.environment, [account_id])).get(account_id)
    row = ServiceAccountRecord(
        environment_id=work.environment.id,
        object_id=account_id,
        user_id=user.principal.id if user else "",
        can_read_trigger_urls=user is not None,
        checked_at=services.now,
    )
    await _store_record(work, row)
    return row if user else None
