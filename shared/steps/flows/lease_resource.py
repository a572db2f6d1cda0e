"""Lease a resource that is written as a whole, so that only one holder at a time writes it.

Such resources are the settings of an app and the rule lists of a firewall. A holder is an
invocation of a job, or an API request.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Protocol
from uuid import uuid4

from shared.domain.ids import hash_key
from shared.domain.leases import ResourceLease
from shared.errors import Conflict, MustWait, NotFound
from shared.jobs.leased_job import keep_renewed
from shared.reason import Reason
from shared.services import Services
from shared.state.rows import StoredItem
from shared.steps.step_context import WRITE_TAKES


class LeaseHolder(Protocol):
    """A holder of leases: an invocation of a job, or an API request."""

    @property
    def services(self) -> Services: ...

    @property
    def holder(self) -> str:
        """Return the name of the holder. Each invocation of a job has its own."""

    async def require_lease(self) -> None:
        """Raise an error unless the holder itself may write."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestHolder:
    """The holder of resource leases for one API request."""

    services: Services
    holder: str = field(default_factory=lambda: f"order/{uuid4().hex}")

    async def require_lease(self) -> None:
        """Do nothing: a request has no lease that could be lost."""


class LeasedResource:
    """A resource that one holder has leased."""

    def __init__(self, holder: LeaseHolder, name: str, kept: StoredItem[ResourceLease]) -> None:
        """Use a lease that this holder has taken."""
        self.name = name
        self._holder = holder
        self._leases = holder.services.tables.resource_leases
        self._kept = kept
        self._renewing = asyncio.Lock()

    async def require_leases(self) -> None:
        """Raise an error unless holder and resource are leased for as long as a write takes.

        Renews the leases if necessary. Raises `LeaseLost` if the lease of a job is lost, and
        `MustWait` if another holder has leased the resource.
        """
        if not self._kept.item.lease.is_held(self._holder.services.now + WRITE_TAKES):
            await self.renew()
        await self._holder.require_lease()

    async def renew(self) -> None:
        """Renew the lease. Raises `MustWait` if another holder has leased the resource."""
        async with self._renewing:
            lease = _build_lease(self._holder, self._kept.item.id)
            try:
                self._kept = await self._leases.replace(self._kept, lease)
            except Conflict:
                raise _build_held_error(self._holder, self._kept.item) from None

    async def release(self) -> None:
        """Release the lease.

        If it has expired and another holder has leased the resource, do nothing.
        """
        with suppress(Conflict, NotFound):
            await self._leases.delete(self._kept)


@asynccontextmanager
async def lease_resource(holder: LeaseHolder, resource: str) -> AsyncIterator[LeasedResource]:
    """Lease a resource for the block.

    Raises `MustWait` while another holder has leased it. The lease is renewed in the background,
    because reading trigger URLs may have to wait for requests.
    """
    held = LeasedResource(holder, resource, await _acquire_lease(holder, resource))
    try:
        async with keep_renewed(held.renew, holder.services.settings.resource_lease_duration):
            yield held
    finally:
        await held.release()


async def require_unleased_resource(holder: LeaseHolder, resource: str) -> None:
    """Raise `MustWait` if another holder has leased the resource.

    Called before trigger URLs are read, because requests for them are limited.
    """
    kept = await holder.services.tables.resource_leases.get("lease", hash_key(resource))
    if kept:
        _require_free_resource(holder, kept.item)


async def _acquire_lease(holder: LeaseHolder, resource: str) -> StoredItem[ResourceLease]:
    identity = hash_key(resource)

    def take_lease(row: ResourceLease | None) -> ResourceLease:
        if row:
            _require_free_resource(holder, row)
        return _build_lease(holder, identity)

    kept = await holder.services.tables.resource_leases.change("lease", identity, take_lease)
    assert kept is not None  # `take_lease` always returns a row
    return kept


def _build_lease(holder: LeaseHolder, identity: str) -> ResourceLease:
    until = holder.services.now + holder.services.settings.resource_lease_duration
    return ResourceLease(id=identity, holder=holder.holder, leased_until=until)


def _require_free_resource(holder: LeaseHolder, row: ResourceLease) -> None:
    if not row.lease.is_free_for(holder.holder, holder.services.now):
        raise _build_held_error(holder, row)


def _build_held_error(holder: LeaseHolder, row: ResourceLease) -> MustWait:
    """Return an error with a short delay, because the other holder's write takes a moment."""
    soon = holder.services.now + holder.services.settings.backoff_initial_delay
    return MustWait(
        "Another job is writing the same resource.",
        until=min(row.leased_until, soon),
        code=Reason.WAITING_FOR_RESOURCE_LEASE,
    )
