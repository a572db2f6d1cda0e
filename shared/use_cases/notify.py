"""Tell people by every channel that is set up: once a cause, tried again until it is taken.

A timer looks; nothing else waits for a channel, and one that is out holds up no work. The row of
a delivery is claimed before it is sent, so two looks at once tell a thing once; a process that
dies in between tells it again a moment later, with the same id.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

from shared.domain.plans.attention import Cause, Waiting
from shared.domain.plans.notification import (
    Delivery,
    Notification,
    causes_to_tell,
    first_delivery,
    in_short,
    not_taken,
    taken,
)
from shared.domain.timer_run import TimerRun
from shared.domain.trigger_urls.trigger_url import redact
from shared.errors import AlreadyExists, Conflict, NotFound, ProductError, Transient
from shared.log_fields import product_log
from shared.notices import readable
from shared.ports import Channel
from shared.rows import Kept
from shared.services import Services
from shared.use_cases.show_attention import FIRST_LOOK, what_waits

log = product_log(__name__)

#: How long one try may take: whoever claimed a delivery and died leaves it to the next look.
_CLAIM = timedelta(minutes=1)
_NO_WAIT = timedelta(0)


async def notify(services: Services) -> int:
    """Send what is due; returns how many were taken. Raises `Transient` of store and broker."""
    if not services.channels:
        return 0
    with suppress(AlreadyExists):
        await services.tables.timer_runs.insert(TimerRun(timer=FIRST_LOOK, ended=services.now))
    table = services.tables.deliveries
    # Before what waits: a cause that another look finds meanwhile is not taken for one that ended.
    known = {
        (kept.item.cause, kept.item.channel): kept
        async for kept in readable(services, table.scan("delivery"))
    }
    waits = await what_waits(services)
    causes = causes_to_tell(waits.waiting, waits.environment_jobs, waits.stuck, services.now)
    # Side by side: one that is slow delays no other.
    told = await asyncio.gather(
        *(_tell(services, channel, causes, known) for channel in services.channels)
    )
    for (cause_id, _), kept in known.items():
        if cause_id not in causes:
            with suppress(Conflict, NotFound):
                await table.delete(kept)
    return sum(told)


async def _tell(
    services: Services,
    channel: Channel,
    causes: Mapping[str, Waiting],
    known: Mapping[tuple[str, str], Kept[Delivery]],
) -> int:
    """Send what is due by one channel, until it is out; returns how many it took."""
    told, together = 0, services.settings.told_together_for
    for cause in causes.values():
        if cause.cause is Cause.CHANNEL and cause.code == channel.name:
            continue  # one that is out cannot tell of itself
        kept = known.get((cause.id, channel.name))
        if kept is None:
            first = first_delivery(cause, channel.name, services.now, together)
            kept = await _first(services, first)
        if kept and kept.item.is_due(cause, services.now):
            try:
                told += await _send(services, channel, cause, kept)
            except Transient:
                break  # the next look tries the others
    return told


async def _first(services: Services, delivery: Delivery) -> Kept[Delivery] | None:
    try:
        return await services.tables.deliveries.insert(delivery)
    except AlreadyExists:
        return None  # another look is at it


async def _send(services: Services, channel: Channel, cause: Waiting, kept: Kept[Delivery]) -> bool:
    """Send it; False: it was refused. Raises `Transient` where the channel or the store is out."""
    table, delivery = services.tables.deliveries, kept.item
    try:
        claim = replace(delivery, due=services.now + _CLAIM, told_at=None)
        claimed = await table.replace(kept, claim)
    except Conflict:
        return False
    notification = Notification(
        id=delivery.notification_id,
        correlation=cause.id,
        waiting=in_short(_without_urls(cause)),
        at=services.now,
        link=_link(services, cause),
    )
    try:
        await channel.send(notification)
    except ProductError as err:
        asked = err.retry_after if isinstance(err, Transient) else None
        wait = max(services.settings.backoff_first, asked or _NO_WAIT)
        after = not_taken(delivery, redact(str(err)), services.now, wait)
        log.warning("%s did not take a notification: %s", channel.name, after.error)
        with suppress(Conflict):
            await table.replace(claimed, after)
        if isinstance(err, Transient):
            raise
        return False
    with suppress(Conflict):
        await table.replace(claimed, taken(delivery, cause, services.now))
    return True


def _without_urls(cause: Waiting) -> Waiting:
    """Return the cause as it may leave the app: what rows keep of a URL tells where a flow is."""
    return replace(
        cause,
        environment_name=redact(cause.environment_name),
        flows=tuple(map(redact, cause.flows)),
        reason=redact(cause.reason),
        instruction=redact(cause.instruction),
    )


def _link(services: Services, cause: Waiting) -> str:
    """Return the page of the dashboard that shows more."""
    address = services.settings.own_address
    if not address:
        return ""
    page = f"{address}/api/dashboard"
    if not cause.remediation_id:
        return f"{page}#{cause.id}"
    is_plan = cause.cause in {Cause.PLAN, Cause.LAPSING}
    return f"{page}/remediations/{cause.remediation_id}" + ("/plan" if is_plan else "")
