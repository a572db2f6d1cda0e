"""HTTP: who ordered what, and what became of it."""

from datetime import datetime
from typing import Annotated

import azure.functions as func
from pydantic import Field, StringConstraints

from functions.endpoints import Call, endpoint
from functions.http_answers import Answer
from functions.http_requests import NoBody, Request
from shared.bootstrap import services
from shared.domain.principal import PrincipalKind, Role
from shared.use_cases.audit_trail import show_audit

blueprint = func.Blueprint()


class AuditQuery(Request):
    """Which part of the audit trail to show."""

    limit: Annotated[int, Field(ge=1, le=500)] = 50
    #: `next` of the page before.
    after: Annotated[str, StringConstraints(pattern=r"^[0-9a-f-]{0,80}$")] = ""


class AuditEntryAnswer(Answer):
    """One order."""

    id: str
    at: datetime
    who: str
    who_id: str
    kind: PrincipalKind
    source: str
    action: str
    target: str
    #: What was asked for, as JSON.
    asked: str
    #: What it is about, as JSON, before and after; empty where nothing of it is kept.
    before: str
    after: str
    #: Status of the answer; null: the order was cut off, and nobody knows.
    status: int | None
    reason: str


class AuditAnswer(Answer):
    """Orders, the newest first."""

    items: tuple[AuditEntryAnswer, ...]
    #: `after` of the next page; empty: this is the last.
    next: str


@endpoint(blueprint, "GET", "audit", role=Role.READER, query=AuditQuery, answer=AuditAnswer)
async def list_audit(call: Call[AuditQuery, NoBody]) -> AuditAnswer:
    """Return orders that were given over HTTP, the newest first, with what became of each."""
    found = await show_audit(services(), limit=call.query.limit, after=call.query.after)
    return AuditAnswer.model_validate(found)
