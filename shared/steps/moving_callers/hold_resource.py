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
    again = kept.item.until if kept else services.now
    raise Waiting("Another job is writing the same resource.", until=again)
