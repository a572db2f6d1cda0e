"""The network as it was read last, kept for a while: many proofs ask the same of it."""

from datetime import datetime

from shared.domain.ids import hash_key
from shared.domain.network.snapshot import SHAPE, NetworkSnapshot
from shared.services import Services
from shared.steps.flows.shared_snapshots import SharedSnapshotStore


async def cached_network(services: Services) -> NetworkSnapshot | None:
    """Return what was read lately, or what another delivery is reading; None: read it yourself."""
    age = services.settings.network_snapshot_max_age
    return await _reading(services).cached(services.now - age) if age else None


async def cache_network(services: Services, snapshot: NetworkSnapshot, began: datetime) -> None:
    """Keep what was read from `began` on, unless what is kept is newer, or nothing can be kept."""
    await _reading(services).store(snapshot, began)


def _reading(services: Services) -> SharedSnapshotStore[NetworkSnapshot]:
    settings = services.settings
    identity = hash_key(SHAPE, settings.service_tags_file, *settings.subscription_ids)
    return SharedSnapshotStore(
        services=services, topic="networks", id=identity, kind=NetworkSnapshot
    )
