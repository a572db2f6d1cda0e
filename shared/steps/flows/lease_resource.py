"""Only one at a time may write a resource of which a part is replaced as a whole.

Settings that callers are in, and lists of firewalls: by a delivery of a job, or by an order.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import datetime
from typing import Protocol

from shared.domain.ids import hash_key
from shared.domain.leases import ResourceLease
from shared.errors import AlreadyExists, CmkflowError, Conflict, MustWait, NotFound
from shared.reason import Reason
from shared.rows import StoredItem
from shared.services import Services
from shared.steps.step_context import WRITE_TAKES


class LeaseHolder(Protocol):
    """Who may hold a resource: a delivery of a job, or an order."""

    @property
    def services(self) -> Services:
        """Return everything outside the rules."""

    @property
    def holder(self) -> str:
        """Name it: another delivery of the same job may be beside it."""

    async def check_lease(self) -> None:
        """Return if a write may begin as far as the holder itself goes; else raise."""


class LeasedResource:
    """A resource in the hands of one holder."""

    def __init__(self, holder: LeaseHolder, name: str, kept: StoredItem[ResourceLease]) -> None:
        """Take a lease that is this holder's; `name` as `Caller.resource`."""
        self.name = name
        self._holder = holder
        self._leases = holder.services.tables.resource_leases
        self._kept = kept
        self._renewing = asyncio.Lock()

    async def permit(self) -> None:
        """Return if a write may begin: job and resource are held for as long as it may take.

        Raises `LeaseLost`, or `MustWait` if another delivery has the resource.
        """
        if self._kept.item.leased_until <= self._holder.services.now + WRITE_TAKES:
            await self._renew()
        await self._holder.check_lease()

    @asynccontextmanager
    async def renewed(self) -> AsyncIterator[None]:
        """Renew the lease meanwhile: trigger URLs of other jobs may have to wait for calls."""
        beat = asyncio.ensure_future(self._beat())
        try:
            yield
        finally:
            beat.cancel()

    async def _beat(self) -> None:
        lease = self._holder.services.settings.resource_lease_duration
        with suppress(CmkflowError):  # `permit` sees what became of it
            while True:
                await asyncio.sleep(lease.total_seconds() / 3)
                await self._renew()

    async def _renew(self) -> None:
        async with self._renewing:
            lease = replace(self._kept.item, leased_until=_until(self._holder))
            try:
                self._kept = await self._leases.replace(self._kept, lease)
            except Conflict:
                raise _taken(self._holder, self._kept) from None

    async def release(self) -> None:
        """Give it back. If the lease ran out, another delivery may have it by now."""
        with suppress(Conflict, NotFound):
            await self._leases.delete(self._kept)


@asynccontextmanager
async def lease_resource(holder: LeaseHolder, resource: str) -> AsyncIterator[LeasedResource]:
    """Hold the lease of a resource; raises `MustWait` while another delivery does."""
    held = LeasedResource(holder, resource, await _take(holder, resource))
    try:
        async with held.renewed():
            yield held
    finally:
        await held.release()


async def require_unleased(holder: LeaseHolder, resource: str) -> None:
    """Return if nobody else writes the resource; else raise `MustWait`.

    Asked before trigger URLs are read: those calls are scarce, and looking at a lease is not.
    """
    kept = await holder.services.tables.resource_leases.get("lease", hash_key(resource))
    if kept and kept.item.holder != holder.holder and kept.item.leased_until > holder.services.now:
        raise _taken(holder, kept)


async def _take(holder: LeaseHolder, resource: str) -> StoredItem[ResourceLease]:
    services, identity = holder.services, hash_key(resource)
    leases = services.tables.resource_leases
    lease = ResourceLease(id=identity, holder=holder.holder, leased_until=_until(holder))
    kept = await leases.get("lease", identity)
    try:
        if kept is None:
            return await leases.insert(lease)
        if kept.item.holder == lease.holder or kept.item.leased_until <= services.now:
            return await leases.replace(kept, lease)
    except (AlreadyExists, Conflict):
        kept = await leases.get("lease", identity)
    raise _taken(holder, kept)


def _until(holder: LeaseHolder) -> datetime:
    return holder.services.now + holder.services.settings.resource_lease_duration


def _taken(holder: LeaseHolder, kept: StoredItem[ResourceLease] | None) -> MustWait:
    """Look again soon: a write takes a moment, and the lease only ends where its holder died."""
    soon = holder.services.now + holder.services.settings.backoff_initial_delay
    until = min(kept.item.leased_until, soon) if kept else holder.services.now
    return MustWait(
        "Another job is writing the same resource.",
        until=until,
        code=Reason.WAITING_FOR_RESOURCE_LEASE,
    )
