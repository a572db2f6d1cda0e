"""Errors as the HTTP API answers them: problem documents of RFC 9457."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

import azure.functions as func
from pydantic import BaseModel, ConfigDict

from shared.domain.name_lookup import NamedItem, did_you_mean
from shared.domain.platform_errors import instruction_for
from shared.domain.trigger_urls.trigger_url import redact
from shared.errors import (
    CmkflowError,
    Conflict,
    FlowNotFound,
    InvalidInput,
    IssueNotFound,
    JobBlocked,
    MustWait,
    NotFound,
    PlatformError,
    PlatformMigrationInProgress,
    PreconditionFailed,
    ThrottledError,
    TransientError,
    UnreadableRow,
)
from shared.reason import Reason

MEDIA_TYPE = "application/problem+json"
CHALLENGE = "WWW-Authenticate"
#: Where an answer asks to try again and nobody named a time.
_RETRY_SECONDS = 10


class FieldError(BaseModel):
    """What is wrong with one member of a request."""

    model_config = ConfigDict(defer_build=True)

    #: Where, such as `environments.0`; empty: the body as a whole.
    field: str
    #: What is wrong and what is allowed. Never what was sent.
    message: str


class BadRequest(InvalidInput):
    """The request cannot be understood."""

    def __init__(self, message: str, errors: Sequence[FieldError] = ()) -> None:
        """`errors` says what is wrong with which member."""
        super().__init__(message)
        self.errors = tuple(errors)


class SuggestedItem(BaseModel):
    """A flow that may be meant."""

    model_config = ConfigDict(defer_build=True)

    id: str
    name: str


class RequestRejected(CmkflowError):
    """The request gets no further than to the door."""

    #: One of `PROBLEMS`.
    kind: ClassVar[str]

    #: What HTTP wants said besides.
    headers: ClassVar[Mapping[str, str]] = {}

    def __init__(self, message: str, *, instruction: str) -> None:
        """`instruction` says how to get in."""
        super().__init__(message)
        self.instruction = instruction


class NotSignedIn(RequestRejected):
    """It is not known who calls."""

    kind = "not-signed-in"
    headers = {CHALLENGE: "Bearer"}  # noqa: RUF012  # a ClassVar above

    def __init__(self, message: str, *, instruction: str, can_sign_in: bool = False) -> None:
        """`can_sign_in` says whether signing in would help whoever calls."""
        super().__init__(message, instruction=instruction)
        self.can_sign_in = can_sign_in


class Forbidden(RequestRejected):
    """It is known who calls, and they may not."""

    kind = "forbidden"


class RequestTooLarge(RequestRejected):
    """No body of this API is so large."""

    kind = "too-large"


class UnsupportedMediaType(RequestRejected):
    """The body is of another kind than the route reads."""

    kind = "unsupported-media-type"


class Problem(BaseModel):
    """A problem document; `instruction` says what to do next."""

    model_config = ConfigDict(defer_build=True)

    type: str
    title: str
    status: int
    detail: str
    instance: str
    instruction: str = ""
    #: Groups reasons, as `code` of a job does.
    code: str = ""
    errors: tuple[FieldError, ...] = ()
    #: Flows that are like one that is named and not there, the closest first.
    candidates: tuple[SuggestedItem, ...] = ()


_ID = (
    "See which ids there are: cmkflow environment list, cmkflow remediation list, "
    "cmkflow plan show REMEDIATION for flows."
)
_FLOW = "See which flows there are: cmkflow environment flows ENVIRONMENT."
_SEEN = "Read it again, look at what has changed, then send the change with its new ETag."


def problem_of(err: CmkflowError, *, instance: str, now: datetime) -> func.HttpResponse:
    """Return the answer to a request that ended with this error."""
    text = str(err)
    headers: dict[str, str] = {}
    match err:
        case RequestRejected():
            problem = _problem(err.kind, text, err.instruction)
            headers.update(err.headers)
        case UnreadableRow():
            problem = _problem("unreadable-row", text, err.instruction, "unreadable_row")
        case InvalidInput():
            problem = _problem("bad-request", text, "Correct the request and send it again.")
            problem.errors = err.errors if isinstance(err, BadRequest) else ()
        case NotFound():
            problem = _not_found(err)
        case JobBlocked():
            problem = _problem("blocked", err.reason, err.instruction, err.code)
        case PreconditionFailed():
            problem = _problem("precondition-failed", text, _SEEN)
        case Conflict():
            problem = _problem("conflict", text, "Read it again, then decide again.")
        case PlatformError():
            problem = _problem("refused", text, instruction_for(err.code), err.code)
        case MustWait() | PlatformMigrationInProgress() | TransientError():
            seconds = _wait(err, now)
            headers["Retry-After"] = str(seconds)
            kind = "throttled" if isinstance(err, ThrottledError) else "unavailable"
            problem = _problem(kind, text, f"Try again in {seconds} seconds.")
        case _:
            return defect(instance=instance)
    return _answer(problem, instance, headers)


def _not_found(err: NotFound) -> Problem:
    if isinstance(err, IssueNotFound):
        return _problem("not-found", str(err), err.instruction, Reason.UNKNOWN_GAP)
    if not isinstance(err, FlowNotFound):
        return _problem("not-found", str(err), _ID)
    alike = [NamedItem(id=one, name=name) for one, name in err.candidates.items()]
    problem = _problem("not-found", str(err), did_you_mean(alike) or _FLOW)
    problem.candidates = tuple(SuggestedItem(id=one.id, name=one.name) for one in alike)
    return problem


def defect(*, instance: str) -> func.HttpResponse:
    """Return the answer to a request that met a defect; what it was stands in the log only."""
    text = "Something went wrong that should not have."
    problem = _problem("defect", text, "Look for the exception in the app's log.")
    return _answer(problem, instance, {})


@dataclass(frozen=True, slots=True)
class ProblemKind:
    """What all problems of a kind have."""

    status: int
    title: str


#: By the last part of `type`.
PROBLEMS = {
    "bad-request": ProblemKind(400, "The request cannot be understood"),
    "not-signed-in": ProblemKind(401, "It is not known who calls"),
    "forbidden": ProblemKind(403, "Whoever calls may not do this"),
    "not-found": ProblemKind(404, "There is no such item"),
    "blocked": ProblemKind(409, "A person has to do something first"),
    "conflict": ProblemKind(409, "Somebody else changed the item"),
    "precondition-failed": ProblemKind(412, "The item is not the one that was seen"),
    "too-large": ProblemKind(413, "The body is too large"),
    "unsupported-media-type": ProblemKind(415, "The body is of a kind that is not read"),
    "unreadable-row": ProblemKind(422, "This version of the app cannot read a row"),
    "throttled": ProblemKind(429, "There have been too many calls"),
    "defect": ProblemKind(500, "A defect"),
    "refused": ProblemKind(502, "The platform refused"),
    "unavailable": ProblemKind(503, "This cannot be done now"),
}


def _problem(kind: str, detail: str, instruction: str, code: str = "") -> Problem:
    return Problem(
        type=f"urn:cmk-flow-remediation:problem:{kind}",
        title=PROBLEMS[kind].title,
        status=PROBLEMS[kind].status,
        detail=detail,
        instance="",
        instruction=instruction,
        code=code,
    )


def _wait(err: MustWait | PlatformMigrationInProgress | TransientError, now: datetime) -> int:
    if isinstance(err, MustWait):
        return max(1, math.ceil((err.until - now).total_seconds()))
    asked = err.retry_after if isinstance(err, TransientError) else None
    return max(1, math.ceil(asked.total_seconds())) if asked else _RETRY_SECONDS


def _answer(problem: Problem, instance: str, headers: dict[str, str]) -> func.HttpResponse:
    problem.instance = instance
    # All of it: an address or a member's name may be a trigger URL too.
    body = redact(problem.model_dump_json(exclude_defaults=True))
    return func.HttpResponse(
        body, status_code=problem.status, mimetype=MEDIA_TYPE, headers=headers or None
    )
