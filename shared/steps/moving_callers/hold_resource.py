"""Only one job at a time may write a caller's resource: settings are replaced as a whole."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from shared.domain.callers.records import ResourceLease, key_of
from shared.errors import AlreadyExists, Conflict, NotFound, Waiting
from shared.rows import Kept
from shared.steps.work import Work


@asynccontextmanager
async def hold_resource(work: Work, resource: str) -> AsyncIterator[None]:
    """Hold the lease of a resource; raises `Waiting` while another job does."""
    kept = await _take(work, resource)
    try:
        yield
    finally:
        # If it ran out, another job may have it by now.
        with suppress(Conflict, NotFound):
            await work.services.tables.leases.delete(kept)


async def require_free(work: Work, resource: str) -> None:
    """Return if nobody else writes the resource; else raise `Waiting`.

    Asked before trigger URLs are read: those calls are scarce, and looking at a lease is not.
    """
    kept = await work.services.tables.leases.get("lease", key_of(resource))
    if kept and kept.item.holder != work.job.id and kept.item.until > work.services.now:
        raise _taken(work, kept)


async def _take(work: Work, resource: str) -> Kept[ResourceLease]:
    services, identity = work.services, key_of(resource)
    leases = services.tables.leases
    until = services.now + services.settings.caller_lease
    lease = ResourceLease(id=identity, holder=work.job.id, until=until)
    kept = await leases.get("lease", identity)
    try:
        if kept is None:
            return await leases.insert(lease)
        if kept.item.holder == work.job.id or kept.item.until <= services.now:
            return await leases.replace(kept, lease)
    except (AlreadyExists, Conflict):
        kept = await leases.get("lease", identity)
    raise _taken(work, kept)


def _taken(work: Work, kept: Kept[ResourceLease] | None) -> Waiting:
    """Look again soon: a write takes a moment, and the lease only ends where its holder died."""
    soon = work.services.now + work.services.settings.backoff_first
    until = min(kept.item.until, soon) if kept else work.services.now
    return Waiting("Another job is writing the same resource.", until=until)
