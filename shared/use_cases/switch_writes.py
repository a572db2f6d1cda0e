"""The kill switch: one row that stops every write of every job (design §3)."""

import logging

from shared.domain.callers.records import Flag
from shared.services import Services
from shared.steps.gate import KILL_SWITCH

log = logging.getLogger(__name__)


async def kill_switch(services: Services) -> Flag | None:
    """Return the switch as it stands; None: nobody ever touched it, and it is off."""
    kept = await services.tables.flags.get("flag", KILL_SWITCH)
    return kept.item if kept else None


async def set_kill_switch(services: Services, *, is_on: bool, by: str, reason: str) -> Flag:
    """Turn it on or off. Jobs that wait for it look again within `wait_poll`."""
    flag = Flag(name=KILL_SWITCH, is_on=is_on, by=by, at=services.now, reason=reason)
    await services.tables.flags.upsert(flag)
    log.warning("kill switch %s by %s: %s", "on" if is_on else "off", by, reason)
    return flag
