"""Delete archived network snapshots and Microsoft-key lists that a newer one has replaced."""

from contextlib import suppress

from shared.alerts import read_readable
from shared.domain.shared_snapshot import MICROSOFT_KEY_LISTS, NETWORK_SNAPSHOTS
from shared.errors import Conflict
from shared.services import Services


async def delete_old_snapshots(services: Services) -> int:
    """Delete the files of shared snapshots that no row names, and return their number.

    A job that needs such a file at this moment asks the platform again.
    """
    archive = services.archive
    topics = (NETWORK_SNAPSHOTS, MICROSOFT_KEY_LISTS)
    # Listed first: an answer that is stored meanwhile is not listed, or its row is read.
    files = [name for topic in topics for name in await archive.list_names(f"{topic}/")]
    rows = read_readable(services, services.tables.shared_snapshots.scan())
    named = {kept.item.archive_name async for kept in rows}
    deleted = 0
    for name in files:
        if name not in named:
            with suppress(Conflict):  # a retention policy keeps it
                await archive.delete(name)
                deleted += 1
    return deleted
