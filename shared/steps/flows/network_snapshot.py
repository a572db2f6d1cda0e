"""The network as it was read last, kept for a while: the proofs of many flows ask the same of it.

A snapshot is in the archive, named by its content: a network that stays as it is takes no second
place there. A row says which is the last, and who reads anew. Without either the network is read.
"""

import json
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import datetime, timedelta

from shared.domain.callers.records import key_of
from shared.domain.network.snapshot import SHAPE, NetworkReading, NetworkSnapshot
from shared.errors import ProductError, UnreadableRow
from shared.rows import adapter_of
from shared.services import Services

#: For so long others wait for who reads anew; then they read themselves.
READING_TAKES = timedelta(seconds=30)
_PAUSE = timedelta(seconds=1)


async def kept_network(services: Services) -> NetworkSnapshot | None:
    """Return what was read lately, or what another delivery is reading; None: read it yourself.

    Who reads may die or fail, and the next one too: nobody waits longer than a reading takes.
    """
    age, readings = services.settings.network_max_age, services.tables.network_readings
    identity, until = _identity(services), services.now + READING_TAKES

    def claimed(last: NetworkReading | None) -> NetworkReading | None:
        now = services.now
        if last and (last.is_since(now - age) or last.is_being_read(now)):
            return None
        return replace(last or NetworkReading(id=identity), reading_until=now + READING_TAKES)

    with suppress(UnreadableRow):  # of another version: who reads the network writes it anew
        while age and services.now < until:
            if await readings.change("network", identity, claimed):
                break
            kept = await readings.get("network", identity)
            if kept and kept.item.is_since(services.now - age):
                return await _unpacked(services, kept.item.name)
            await services.clock.sleep(_PAUSE)
    return None


async def keep_network(services: Services, snapshot: NetworkSnapshot, began: datetime) -> None:
    """Keep what was read from `began` on, unless what is kept is newer, or nothing can be kept."""
    name = await _packed(services, snapshot)
    identity, readings = _identity(services), services.tables.network_readings

    def noted(last: NetworkReading | None) -> NetworkReading:
        reading = replace(last or NetworkReading(id=identity), reading_until=None)
        is_last = name and not reading.is_since(began)
        return replace(reading, began=began, name=name) if is_last else reading

    try:
        await readings.change("network", identity, noted)
    except UnreadableRow:
        await readings.upsert(noted(None))


def _identity(services: Services) -> str:
    settings = services.settings
    return key_of(SHAPE, settings.service_tags_file, *settings.subscription_ids)


async def _packed(services: Services, snapshot: NetworkSnapshot) -> str:
    """Return the snapshot's name in the archive; empty: the archive takes nothing now."""
    content = json.dumps(asdict(snapshot), default=sorted)
    name = f"networks/{key_of(content)}.json"
    try:
        await services.archive.put(name, content.encode())
    except (ProductError, OSError):
        return ""
    return name


async def _unpacked(services: Services, name: str) -> NetworkSnapshot | None:
    try:
        content = await services.archive.get(name)
        kept: NetworkSnapshot = adapter_of(NetworkSnapshot).validate_json(content)
    except (ProductError, OSError, ValueError):
        return None
    return kept
