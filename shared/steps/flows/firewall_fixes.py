"""Close a gap by the smallest change of a firewall, and take that back: as callers are changed.

Read, note what is about to be written, write if it still is as it was read, read back. Who dies in
between is followed by whoever asks again: it finds what is there. A record keeps what these writes
added, not what was wanted: an entry that somebody else wrote meanwhile is theirs. Nothing but the
entries of the record is ever taken out, and of these none that somebody has changed since.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from shared.domain.network.firewall_fix import (
    FirewallFix,
    ListEntries,
    ListUpdate,
    no_fix_public_access_off,
)
from shared.domain.network.firewall_fix_record import FirewallFixRecord, FirewallFixState
from shared.domain.network.firewall_issue import FirewallIssue
from shared.errors import Conflict, JobBlocked, MustWait, NotFound
from shared.ports import AppliesFixes
from shared.reason import Reason
from shared.services import Services
from shared.steps.flows.effect import Write, perform
from shared.steps.flows.lease_resource import LeasedResource, LeaseHolder, lease_resource
from shared.steps.flows.read_back import WriteNotVisible, poll

#: Times a list that somebody else is editing is read and written again in one delivery.
TRIES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class FixAuthorization:
    """Who wants a firewall changed, and who is asked before it is."""

    by: str
    #: Environments whose flows it is for.
    environment_ids: tuple[str, ...]
    holder: LeaseHolder
    #: Returns if a write may begin now; else raises `MustWait` or `JobBlocked`.
    permit: Callable[[], Awaitable[None]]


async def propose_fix(services: Services, gap: FirewallIssue) -> FirewallFix:
    """Return what closes a gap, by what stands there now; raises `NotFound`."""
    return no_fix_public_access_off(gap) or await services.firewalls[gap.kind].propose_fix(gap)


async def apply_fix(
    services: Services, gap: FirewallIssue, order: FixAuthorization
) -> FirewallFixRecord:
    """Put in what a gap lacks; returns the record once it is read back.

    Raises `JobBlocked` where no change of the app's closes it, or Azure did not keep the change;
    `MustWait` while somebody else writes the resource, or what was written is not seen yet.
    """
    repair = await propose_fix(services, gap)
    if repair.refusal or repair.opening is None:
        raise JobBlocked(
            f"The app cannot open {gap.firewall_name} ({gap.name}): "
            f"{repair.refusal or '; '.join(repair.notes)}",
            instruction="Make the change that `cmkflow network fix` shows, or another.",
            code=Reason.FIREWALL_FIX_FAILED,
        )
    record = FirewallFixRecord(
        gap=gap.name,
        kind=gap.kind,
        firewall=gap.firewall_name,
        opening=replace(repair.opening, entries=()),
        state=FirewallFixState.APPLYING,
        environment_ids=order.environment_ids,
        by=order.by,
        at=services.now,
    )
    return await _changed(services, record, order, add=repair.opening.entries)


async def revert_fix(
    services: Services, record: FirewallFixRecord, order: FixAuthorization
) -> FirewallFixRecord:
    """Take out what the app put in; what somebody has changed since stays. Else as `apply_fix`.

    A firewall that is gone has nothing to be taken out of.
    """
    record = replace(record, state=FirewallFixState.REVERTING, by=order.by, at=services.now)
    try:
        return await _changed(services, record, order, remove=record.opening.entries)
    except NotFound:
        return await _end(services, record)


async def complete_if_visible(services: Services, record: FirewallFixRecord) -> FirewallFixRecord:
    """Return a record that is under way, at its end if the list shows that; writes no list.

    Who made the change died before it was read back, or was refused after it took effect.
    """
    kind = services.firewalls[record.kind]
    assert isinstance(kind, AppliesFixes)
    entries, is_opening = record.opening.entries, record.state is FirewallFixState.APPLYING
    try:
        there = await kind.read_list(record.opening)
    except NotFound:
        return await _keep(services, replace(record, state=FirewallFixState.REVERTED))
    if _left(there, entries if is_opening else (), () if is_opening else entries):
        return record
    return await _end(services, record)


async def _changed(
    services: Services,
    record: FirewallFixRecord,
    order: FixAuthorization,
    *,
    add: tuple[str, ...] = (),
    remove: tuple[str, ...] = (),
) -> FirewallFixRecord:
    """Bring a list to where it holds what is to be added, and nothing of what is to be removed."""
    kind = services.firewalls[record.kind]
    assert isinstance(kind, AppliesFixes)  # it gave the opening
    async with lease_resource(order.holder, record.opening.resource_id.lower()) as held:
        record = await _with_earlier(services, record)
        for _ in range(TRIES):
            change = _left(await kind.read_list(record.opening), add, remove)
            if change is None:
                return await _end(services, record)
            if _is_overdue(services, record):
                raise await _not_kept(services, record, change)
            try:
                record = await _change(services, record, change, order=order, held=held)
            except Conflict:
                continue  # nothing was written
            async for _ in poll(order.holder):
                if _left(await kind.read_list(record.opening), add, remove) is None:
                    return await _end(services, record)
            since = record.unseen_since or services.now
            record = await _keep(services, replace(record, unseen_since=since))
            raise WriteNotVisible(services, f"The change of {record.firewall}", since=since)
    raise MustWait(
        f"Somebody else is changing {record.firewall}.",
        until=services.now + services.settings.backoff_initial_delay,
        code=Reason.WAITING_FOR_RESOURCE_LEASE,
    )


def _is_overdue(services: Services, record: FirewallFixRecord) -> bool:
    """Say whether reads should show by now what Azure accepted earlier."""
    since, deadline = record.unseen_since, services.settings.read_back_timeout
    return since is not None and services.now - since >= deadline


async def _not_kept(
    services: Services, record: FirewallFixRecord, change: ListUpdate
) -> JobBlocked:
    """Return the error for a change that Azure accepted and did not keep.

    The record keeps only the entries that are in the list: what a person adds by hand afterwards
    is not the app's to remove. The next attempt begins anew.
    """
    there = tuple(one for one in record.opening.entries if one in change.present.texts)
    state = record.state
    if state is FirewallFixState.APPLYING:
        state = FirewallFixState.APPLIED if there else FirewallFixState.REVERTED
    opening = replace(record.opening, entries=there)
    await _keep(services, replace(record, opening=opening, state=state, unseen_since=None))
    missing = [f"add {one}" for one in change.add] + [f"remove {one}" for one in change.remove]
    return JobBlocked(
        f"Azure accepted a change of {record.firewall} and did not keep it: {'; '.join(missing)}.",
        instruction=f"Find out in the activity log of {record.opening.resource_id} what reverts "
        "changes there, such as a deployment or a policy. Stop it, or make the change there; then "
        "retry.",
        code=Reason.FIREWALL_FIX_FAILED,
    )


async def _change(
    services: Services,
    record: FirewallFixRecord,
    change: ListUpdate,
    *,
    order: FixAuthorization,
    held: LeasedResource,
) -> FirewallFixRecord:
    """Write one change; return the record with what the write added. Raises `Conflict`."""
    kind, added = services.firewalls[record.kind], list[str]()
    assert isinstance(kind, AppliesFixes)

    async def permit() -> None:
        await order.permit()
        await _keep(services, _with_entries(record, change.add))
        await held.permit()

    async def call() -> None:
        added.extend(await kind.update_list(services.resource_writer, record.opening, change))

    await perform(Write(permit=permit, call=call))
    return _with_entries(record, tuple(added))


def _left(there: ListEntries, add: Sequence[str], remove: Sequence[str]) -> ListUpdate | None:
    change = ListUpdate(
        present=there,
        add=tuple(one for one in add if one not in there.texts),
        remove=tuple(one for one in remove if one in there.texts),
    )
    return change if change.add or change.remove else None


async def _with_earlier(services: Services, record: FirewallFixRecord) -> FirewallFixRecord:
    """Return the record with what the app put into the same list before, and for whom."""
    noted = await services.tables.firewall_fixes.get("firewall_fix", record.id)
    if noted is None or noted.item.state is FirewallFixState.REVERTED:
        return record
    environments = (*noted.item.environment_ids, *record.environment_ids)
    since = noted.item.unseen_since if noted.item.state is record.state else None
    record = replace(record, environment_ids=tuple(dict.fromkeys(environments)), unseen_since=since)
    return _with_entries(record, noted.item.opening.entries)


def _with_entries(record: FirewallFixRecord, entries: Sequence[str]) -> FirewallFixRecord:
    """Return a record of these entries too."""
    together = tuple(dict.fromkeys((*record.opening.entries, *entries)))
    return replace(record, opening=replace(record.opening, entries=together))


async def _end(services: Services, record: FirewallFixRecord) -> FirewallFixRecord:
    return await _keep(services, replace(record, state=_ENDS[record.state], unseen_since=None))


async def _keep(services: Services, record: FirewallFixRecord) -> FirewallFixRecord:
    await services.tables.firewall_fixes.upsert(record)
    return record


_ENDS = {
    FirewallFixState.APPLYING: FirewallFixState.APPLIED,
    FirewallFixState.REVERTING: FirewallFixState.REVERTED,
}
