"""Apply and revert firewall fixes.

Like a caller edit, a change is read, recorded, written if nothing changed since the read, and read
back. After a crash, the next attempt continues from what is there. A record contains no entry that
another writer added first. A revert removes only entries of the record that nobody has changed
since.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from shared.domain.network.firewall_fix import (
    FirewallFix,
    ListEntries,
    ListUpdate,
    explain_why_no_rule_helps,
)
from shared.domain.network.firewall_fix_record import FirewallFixRecord, FirewallFixState
from shared.domain.network.firewall_issue import FirewallIssue
from shared.errors import Conflict, JobBlocked, MustWait, NotFound, PlatformError
from shared.ports import AppliesFixes
from shared.reason import Reason
from shared.services import Services
from shared.steps.flows.effect import Write, perform
from shared.steps.flows.lease_resource import LeasedResource, LeaseHolder, lease_resource
from shared.steps.flows.missing_permission import (
    build_missing_permission_error,
    is_permission_missing,
)
from shared.steps.flows.read_back import WriteNotVisible, iterate_read_attempts

#: Attempts in one invocation if somebody else changes the list between read and write.
FIREWALL_WRITE_ATTEMPTS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class FixAuthorization:
    """The person who asked to change a firewall, and the check before each write."""

    requested_by: str
    #: The environments whose flows it is for.
    environment_ids: tuple[str, ...]
    holder: LeaseHolder
    #: Returns if a write may be sent now; else raises `MustWait` or `JobBlocked`.
    permit: Callable[[], Awaitable[None]]


async def propose_fix(services: Services, issue: FirewallIssue) -> FirewallFix:
    """Return the fix of a firewall issue, which may only say why no rule helps.

    Raises `NotFound` if the firewall does not exist.
    """
    return explain_why_no_rule_helps(issue) or await services.firewalls[issue.kind].propose_fix(
        issue
    )


async def apply_firewall_fix(
    services: Services, issue: FirewallIssue, authorization: FixAuthorization
) -> FirewallFixRecord:
    """Apply the fix of a firewall issue. Return the record once the change was read back.

    Raises `JobBlocked` if the app cannot make the change or Azure did not keep it. Raises
    `MustWait` while somebody else writes the resource, or while the change is not visible.
    """
    fix = await propose_fix(services, issue)
    if fix.unavailable_reason or fix.added_entries is None:
        raise JobBlocked(
            f"The app cannot change {issue.firewall_name} ({issue.name}): "
            f"{fix.unavailable_reason or '; '.join(fix.notes)}",
            fix="Make the change that `cmkflow network fix` shows, or another that has the same "
            "effect.",
            code=Reason.FIREWALL_FIX_FAILED,
        )
    record = FirewallFixRecord(
        issue=issue.name,
        kind=issue.kind,
        firewall=issue.firewall_name,
        added_entries=replace(fix.added_entries, entries=()),
        state=FirewallFixState.APPLYING,
        environment_ids=authorization.environment_ids,
        changed_by=authorization.requested_by,
        changed_at=services.now,
    )
    return await _change_firewall_list(
        services, record, authorization, add=fix.added_entries.entries
    )


async def revert_firewall_fix(
    services: Services, record: FirewallFixRecord, authorization: FixAuthorization
) -> FirewallFixRecord:
    """Remove those of the app's entries that nobody has changed since.

    If the firewall no longer exists, there is nothing to remove. Raises the other errors of
    `apply_firewall_fix`.
    """
    record = replace(
        record,
        state=FirewallFixState.REVERTING,
        changed_by=authorization.requested_by,
        changed_at=services.now,
    )
    try:
        return await _change_firewall_list(
            services, record, authorization, remove=record.added_entries.entries
        )
    except NotFound:
        return await _mark_fix_completed(services, record)


async def complete_fix_if_visible(
    services: Services, record: FirewallFixRecord
) -> FirewallFixRecord:
    """Return a record in progress, marked as completed if the firewall's list shows its change.

    Does not change the list. If the firewall no longer exists, the record is marked as reverted. A
    record stays in progress if an invocation crashed before the read-back, or got an error after
    the change took effect.
    """
    kind = services.firewalls[record.kind]
    assert isinstance(kind, AppliesFixes)
    entries, is_opening = record.added_entries.entries, record.state is FirewallFixState.APPLYING
    try:
        there = await kind.read_list(record.added_entries)
    except NotFound:
        return await _store_record(services, replace(record, state=FirewallFixState.REVERTED))
    if _find_remaining_change(there, entries if is_opening else (), () if is_opening else entries):
        return record
    return await _mark_fix_completed(services, record)


async def _change_firewall_list(
    services: Services,
    record: FirewallFixRecord,
    authorization: FixAuthorization,
    *,
    add: tuple[str, ...] = (),
    remove: tuple[str, ...] = (),
) -> FirewallFixRecord:
    kind = services.firewalls[record.kind]
    assert isinstance(kind, AppliesFixes)  # it proposed the entries
    async with lease_resource(
        authorization.holder, record.added_entries.resource_id.lower()
    ) as held:
        record = await _with_earlier_entries(services, record)
        for _ in range(FIREWALL_WRITE_ATTEMPTS):
            change = _find_remaining_change(await kind.read_list(record.added_entries), add, remove)
            if change is None:
                return await _mark_fix_completed(services, record)
            since, deadline = record.unseen_since, services.settings.read_back_timeout
            if since and services.now - since >= deadline:
                raise await _store_kept_entries_and_build_error(services, record, change)
            try:
                record = await _write_list_change(
                    services, record, change, authorization=authorization, held=held
                )
            except Conflict:
                continue  # nothing was written
            async for _ in iterate_read_attempts(authorization.holder):
                if (
                    _find_remaining_change(await kind.read_list(record.added_entries), add, remove)
                    is None
                ):
                    return await _mark_fix_completed(services, record)
            since = since or services.now
            record = await _store_record(services, replace(record, unseen_since=since))
            raise WriteNotVisible(services, f"The change of {record.firewall}", since=since)
    raise MustWait(
        f"Somebody else is changing {record.firewall}.",
        until=services.now + services.settings.backoff_initial_delay,
        code=Reason.WAITING_FOR_RESOURCE_LEASE,
    )


async def _store_kept_entries_and_build_error(
    services: Services, record: FirewallFixRecord, change: ListUpdate
) -> JobBlocked:
    """Return the error for a change that Azure accepted and did not keep.

    The record keeps only entries that are in the list, because entries that a person adds later are
    not the app's.
    """
    there = tuple(one for one in record.added_entries.entries if one in change.present.texts)
    state = record.state
    if state is FirewallFixState.APPLYING:
        state = FirewallFixState.APPLIED if there else FirewallFixState.REVERTED
    opening = replace(record.added_entries, entries=there)
    await _store_record(
        services, replace(record, added_entries=opening, state=state, unseen_since=None)
    )
    missing = [f"add {one}" for one in change.add] + [f"remove {one}" for one in change.remove]
    return JobBlocked(
        f"Azure accepted a change of {record.firewall} and did not keep it: {'; '.join(missing)}.",
        fix=(
            f"Find out in the activity log of {record.added_entries.resource_id} what reverts "
            "changes there, such as a deployment or a policy. Stop that, or make the change there. "
            "Then retry."
        ),
        code=Reason.FIREWALL_FIX_FAILED,
    )


async def _write_list_change(
    services: Services,
    record: FirewallFixRecord,
    change: ListUpdate,
    *,
    authorization: FixAuthorization,
    held: LeasedResource,
) -> FirewallFixRecord:
    """Write one change.

    Return the record with the entries that it added. Raises `Conflict` if the list has changed
    since it was read.
    """
    kind, added = services.firewalls[record.kind], list[str]()
    assert isinstance(kind, AppliesFixes)

    async def record_change_if_permitted() -> None:
        await authorization.permit()
        await _store_record(services, _with_entries(record, change.add))
        await held.require_leases()

    async def update_list() -> None:
        added.extend(await kind.update_list(services.resource_writer, record.added_entries, change))

    try:
        await perform(Write(permit=record_change_if_permitted, call=update_list))
    except PlatformError as err:
        if not is_permission_missing(err):
            raise
        raise build_missing_permission_error(
            err,
            f"firewall {record.firewall}",
            kind.required_permissions,
            record.added_entries.resource_id,
        ) from err
    return _with_entries(record, tuple(added))


def _find_remaining_change(
    there: ListEntries, add: Sequence[str], remove: Sequence[str]
) -> ListUpdate | None:
    change = ListUpdate(
        present=there,
        add=tuple(one for one in add if one not in there.texts),
        remove=tuple(one for one in remove if one in there.texts),
    )
    return change if change.add or change.remove else None


async def _with_earlier_entries(services: Services, record: FirewallFixRecord) -> FirewallFixRecord:
    recorded = await services.tables.firewall_fixes.get("firewall_fix", record.id)
    if recorded is None or recorded.item.state is FirewallFixState.REVERTED:
        return record
    environments = (*recorded.item.environment_ids, *record.environment_ids)
    since = recorded.item.unseen_since if recorded.item.state is record.state else None
    record = replace(record, environment_ids=tuple(dict.fromkeys(environments)), unseen_since=since)
    return _with_entries(record, recorded.item.added_entries.entries)


def _with_entries(record: FirewallFixRecord, entries: Sequence[str]) -> FirewallFixRecord:
    together = tuple(dict.fromkeys((*record.added_entries.entries, *entries)))
    return replace(record, added_entries=replace(record.added_entries, entries=together))


async def _mark_fix_completed(services: Services, record: FirewallFixRecord) -> FirewallFixRecord:
    return await _store_record(
        services, replace(record, state=_COMPLETED_STATES[record.state], unseen_since=None)
    )


async def _store_record(services: Services, record: FirewallFixRecord) -> FirewallFixRecord:
    await services.tables.firewall_fixes.upsert(record)
    return record


_COMPLETED_STATES = {
    FirewallFixState.APPLYING: FirewallFixState.APPLIED,
    FirewallFixState.REVERTING: FirewallFixState.REVERTED,
}
