"""Write and read the audit trail: rows that are only ever added."""

import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid5

from shared.domain.audit import AuditEntry
from shared.domain.ids import NAMESPACE
from shared.domain.trigger_urls.trigger_url import mask_signatures
from shared.errors import AlreadyExists, CmkflowError, UnreadableRow
from shared.log_fields import product_log
from shared.ports import Condition
from shared.services import Services

log = product_log(__name__)

#: A row of Tables holds a mebibyte, and one of these three texts.
_LONGEST = 60_000

type State = Mapping[str, Any]
#: Returns what an order changes, by the id that it names; raises `CmkflowError` if there is none.
type Subject = Callable[[Services, str], Awaitable[State]]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditPage:
    """Orders, the newest first."""

    items: tuple[AuditEntry, ...]
    #: Where the next page begins; empty: this is the last.
    next: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingAuditEntry:
    """An order whose first row is written."""

    entry: AuditEntry
    subject: Subject | None
    #: The id that it names.
    subject_id: str
    before: State


async def record_request(
    services: Services, entry: AuditEntry, subject: Subject | None, about: str
) -> PendingAuditEntry:
    """Write down an order before it is carried out; raises what the store raises."""
    before = await _state(services, subject, about)
    await services.tables.audit_log.insert(replace(entry, asked=_short(entry.asked)))
    return PendingAuditEntry(entry=entry, subject=subject, subject_id=about, before=before)


async def record_result(
    services: Services, order: PendingAuditEntry, *, status: int, reason: str, made: str = ""
) -> None:
    """Write down what became of it, and of what it `made`, by id.

    It has been carried out by now: what fails here is logged.
    """
    try:
        after = await _state(services, order.subject, made or order.subject_id)
        changed = [one for one in {**order.before, **after} if _differs(one, order.before, after)]
        entry = replace(
            order.entry,
            asked=_short(order.entry.asked),
            before=_text(order.before, changed),
            after=_text(after, changed),
            status=status,
            reason=mask_signatures(reason),
        )
        await services.tables.audit_log.insert(entry)
    except CmkflowError:
        log.exception(
            "audit result not written",
            extra={"order": order.entry.id, "status": status},
        )


async def record_rejection(services: Services, entry: AuditEntry) -> None:
    """Write down that somebody may not call a route: once for each of them, each route and hour.

    So nobody fills the store who may do nothing. What fails here is logged: they are refused.
    """
    name = f"{entry.who_id}/{entry.action}/{entry.at:%Y-%m-%dT%H}"
    refusal = replace(entry, id=str(uuid5(NAMESPACE, f"refusal/{name}")), is_rejection=True)
    try:
        with suppress(AlreadyExists):
            await services.tables.audit_log.insert(refusal)
    except CmkflowError:
        log.exception("audit entry not written", extra={"action": entry.action})


async def show_audit(services: Services, *, limit: int, after: str = "") -> AuditPage:
    """Return `limit` orders that come after a place, each with its outcome where it is known."""
    items: list[AuditEntry] = []
    last = ""
    async for entry in _rows(services, after):
        if items and items[-1].id == entry.id:
            last = entry.sort_key  # the order itself, whose outcome stands before it
            continue
        if len(items) == limit:
            return AuditPage(items=tuple(items), next=last)
        items.append(entry)
        last = entry.sort_key
    return AuditPage(items=tuple(items), next="")


async def _rows(services: Services, after: str) -> AsyncIterator[AuditEntry]:
    where = [Condition("sort_key", "gt", after)] if after else []
    async for row in services.tables.audit_log.scan("audit", where=where):
        if not isinstance(row, UnreadableRow):  # a newer version wrote it, and reads it
            yield row.item


async def _state(services: Services, subject: Subject | None, about: str) -> State:
    try:
        return await subject(services, about) if subject else {}
    except CmkflowError:
        return {}  # there is none: the order itself says so


def _differs(name: str, before: State, after: State) -> bool:
    return bool(before.get(name) != after.get(name))


def _text(state: State, names: list[str]) -> str:
    kept = {name: state[name] for name in names if name in state}
    return _short(json.dumps(kept)) if kept else ""


def _short(text: str) -> str:
    """Cut what no row could hold; the digest proves what the rest was."""
    text = mask_signatures(text)
    if len(text) <= _LONGEST:
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()
    return f"{text[:_LONGEST]}… ({len(text)} characters, SHA-256 {digest})"
