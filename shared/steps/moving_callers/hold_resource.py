"""Only one delivery at a time may write a caller's resource: settings are replaced as a whole."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import datetime

from shared.domain.callers.records import ResourceLease, key_of
from shared.errors import AlreadyExists, Conflict, NotFound, Waiting
from shared.reason import Reason
from shared.rows import Kept
from shared.steps.work import WRITE_TAKES, Work


class HeldResource:
    """A resource in the hands of one delivery."""

    def __init__(self, work: Work, name: str, kept: Kept[ResourceLease]) -> None:
        """Take a lease that is this delivery's; `name` as `Caller.resource`."""
        self.name = name
        self._work = work
        self._leases = work.services.tables.leases
        self._kept = kept

    async def permit(self) -> None:
        """Return if a write may begin: job and resource are held for as long as it may take.

        Raises `LeaseLost`, or `Waiting` if another delivery has the resource.
        """
        if self._kept.item.until <= self._work.services.now + WRITE_TAKES:
            lease = replace(self._kept.item, until=_until(self._work))
            try:
                self._kept = await self._leases.replace(self._kept, lease)
            except Conflict:
                raise _taken(self._work, self._kept) from None
        await self._work.check_lease()

    async def release(self) -> None:
        """Give it back. If the lease ran out, another delivery may have it by now."""
        with suppress(Conflict, NotFound):
            await self._leases.delete(self._kept)


@asynccontextmanager
async def hold_resource(work: Work, resource: str) -> AsyncIterator[HeldResource]:
    """Hold the lease of a resource; raises `Waiting` while another delivery does."""
    held = HeldResource(work, resource, await _take(work, resource))
    try:
        yield held
    finally:
        await held.release()


async def require_free(work: Work, resource: str) -> None:
    """Return if nobody else writes the resource; else raise `Waiting`.

    Asked before trigger URLs are read: those calls are scarce, and looking at a lease is not.
    """
    kept = await work.services.tables.leases.get("lease", key_of(resource))
    if kept and kept.item.holder != _holder(work) and kept.item.until > work.services.now:
        raise _taken(work, kept)


async def _take(work: Work, resource: str) -> Kept[ResourceLease]:
    services, identity = work.services, key_of(resource)
    leases = services.tables.leases
    lease = ResourceLease(id=identity, holder=_holder(work), until=_until(work))
    kept = await leases.get("lease", identity)
    try:
        if kept is None:
            return await leases.insert(lease)
        if kept.item.holder == lease.holder or kept.item.until <= services.now:
            return await leases.replace(kept, lease)
    except (AlreadyExists, Conflict):
        kept = await leases.get("lease", identity)
    raise _taken(work, kept)


def _holder(work: Work) -> str:
    """Name the delivery: another one of the same job may be beside it."""
    return f"{work.job.id}/{work.job.lease_number}"


def _until(work: Work) -> datetime:
    return work.services.now + work.services.settings.caller_lease


def _taken(work: Work, kept: Kept[ResourceLease] | None) -> Waiting:
    """Look again soon: a write takes a moment, and the lease only ends where its holder died."""
    soon = work.services.now + work.services.settings.backoff_first
    until = min(kept.item.until, soon) if kept else work.services.now
    return Waiting("Another job is writing the same resource.", until=until, code=Reason.RESOURCE)
