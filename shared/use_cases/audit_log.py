"""Add rows to the audit log."""

import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid5

from shared.domain.audit import AuditEntry
from shared.domain.ids import NAMESPACE
from shared.domain.trigger_urls.signatures import mask_signatures
from shared.errors import AlreadyExists, CmkflowError
from shared.logs.fields import get_product_log
from shared.services import Services

log = get_product_log(__name__)

#: Maximum length of a text; a table row holds 1 MiB and three such texts.
_LONGEST = 60_000

type State = Mapping[str, Any]
#: Returns the state that a request changes, by the id that it names; raises `CmkflowError` if none.
type Subject = Callable[[Services, str], Awaitable[State]]


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingAuditEntry:
    """An entry of the audit log for a request whose result is not recorded yet."""

    entry: AuditEntry
    subject: Subject | None
    #: The id that the request names.
    subject_id: str
    before: State


async def record_request(
    services: Services, entry: AuditEntry, subject: Subject | None, about: str
) -> PendingAuditEntry:
    """Record a request before it is carried out. Raises the errors of the store.

    `subject` reads the state of what the request changes; `about` is the id of what it changes.
    """
    before = await _read_state(services, subject, about)
    await services.tables.audit_log.insert(
        replace(entry, request_body=_shorten_text(entry.request_body))
    )
    return PendingAuditEntry(entry=entry, subject=subject, subject_id=about, before=before)


async def record_result(
    services: Services, pending: PendingAuditEntry, *, status: int, reason: str, made: str = ""
) -> None:
    """Record the result of a request. `made` is the id of what the request created.

    The request has already been carried out, so an error of the app is only logged here.
    """
    try:
        after = await _read_state(services, pending.subject, made or pending.subject_id)
        before = pending.before
        changed = [one for one in {**before, **after} if before.get(one) != after.get(one)]
        entry = replace(
            pending.entry,
            request_body=_shorten_text(pending.entry.request_body),
            state_before=_format_state(before, changed),
            state_after=_format_state(after, changed),
            status=status,
            message=mask_signatures(reason),
        )
        await services.tables.audit_log.insert(entry)
    except CmkflowError:
        log.exception(
            "audit result not written",
            extra={"order": pending.entry.id, "status": status},
        )


async def record_rejection(services: Services, entry: AuditEntry) -> None:
    """Record that a principal was rejected, once for each principal, route and hour.

    The limit keeps a principal without a role from filling the store. If the entry cannot
    be stored, logs the error and raises nothing.
    """
    name = f"{entry.who_id}/{entry.operation}/{entry.recorded_at:%Y-%m-%dT%H}"
    rejection = replace(entry, id=str(uuid5(NAMESPACE, f"refusal/{name}")), is_rejection=True)
    try:
        with suppress(AlreadyExists):
            await services.tables.audit_log.insert(rejection)
    except CmkflowError:
        log.exception("audit entry not written", extra={"operation": entry.operation})


async def _read_state(services: Services, subject: Subject | None, about: str) -> State:
    try:
        return await subject(services, about) if subject else {}
    except CmkflowError:
        return {}  # the target does not exist, as the request's result says


def _format_state(state: State, names: list[str]) -> str:
    kept = {name: state[name] for name in names if name in state}
    return _shorten_text(json.dumps(kept)) if kept else ""


def _shorten_text(text: str) -> str:
    """Mask signatures, and shorten a text that is too long for a row."""
    text = mask_signatures(text)
    if len(text) <= _LONGEST:
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()
    return f"{text[:_LONGEST]}… ({len(text)} characters, SHA-256 {digest})"
