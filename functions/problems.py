"""Build HTTP error responses: problem documents (RFC 9457)."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

import azure.functions as func
from pydantic import BaseModel, ConfigDict

from shared.domain.name_lookup import NamedItem, format_suggestion
from shared.domain.platform_errors import find_error_fix
from shared.domain.trigger_urls.trigger_url import redact
from shared.errors import (
    CmkflowError,
    Conflict,
    DeclaredCallerNotFound,
    FlowNotFound,
    InvalidInput,
    IssueNotFound,
    JobBlocked,
    LinkRejected,
    MustWait,
    NotFound,
    PlatformError,
    PlatformMigrationInProgress,
    PreconditionFailed,
    ServiceOutage,
    ThrottledError,
    TransientError,
    UnreadableRow,
)
from shared.reason import Reason

MEDIA_TYPE = "application/problem+json"
CHALLENGE = "WWW-Authenticate"
#: The kind of the problem of a confirmation link.
LINK_REJECTED = "link-rejected"
#: Value of `Retry-After` if the error names no time.
_RETRY_SECONDS = 10


class FieldError(BaseModel):
    """What is wrong with one member of a request."""

    model_config = ConfigDict(defer_build=True)

    #: Path of the member, such as `environment_ids.0`; empty for the body as a whole.
    field: str
    #: What is wrong and what is allowed. Never contains the value that was sent.
    message: str


class BadRequest(InvalidInput):
    """A request is not valid."""

    def __init__(self, message: str, errors: Sequence[FieldError] = ()) -> None:
        super().__init__(message)
        self.errors = tuple(errors)


class SuggestedItem(BaseModel):
    """A flow whose name is similar to the name in the request."""

    model_config = ConfigDict(defer_build=True)

    id: str
    name: str


class RequestRejected(CmkflowError):
    """A request was rejected before its handler ran."""

    #: A key of `PROBLEMS`.
    kind: ClassVar[str]

    #: Additional response headers.
    headers: ClassVar[Mapping[str, str]] = {}

    def __init__(self, message: str, *, fix: str) -> None:
        super().__init__(message)
        self.fix = fix


class NotSignedIn(RequestRejected):
    """A request does not say who sends it, or says it with a key or header that is not valid."""

    kind = "not-signed-in"
    headers = {CHALLENGE: "Bearer"}  # noqa: RUF012  # a ClassVar above

    def __init__(self, message: str, *, fix: str, can_sign_in: bool = False) -> None:
        super().__init__(message, fix=fix)
        self.can_sign_in = can_sign_in


class Forbidden(RequestRejected):
    """The principal may not send a request."""

    kind = "forbidden"


class PageNotFound(RequestRejected):
    """The dashboard has no page with this URL."""

    kind = "not-found"

    def __init__(self) -> None:
        super().__init__(
            "The dashboard has no page with this URL.",
            fix="Open a page from the navigation, or a remediation from the list of remediations.",
        )


class RequestTooLarge(RequestRejected):
    """The body of a request is too large."""

    kind = "too-large"


class UnsupportedMediaType(RequestRejected):
    """The media type of a request's body is not supported."""

    kind = "unsupported-media-type"


class Problem(BaseModel):
    """A problem document (RFC 9457)."""

    model_config = ConfigDict(defer_build=True)

    type: str
    title: str
    status: int
    detail: str
    instance: str
    fix: str = ""
    #: The reason code, as in a job's `reason_code`.
    reason_code: str = ""
    errors: tuple[FieldError, ...] = ()
    #: Flows with names similar to a name that was not found, best match first.
    suggestions: tuple[SuggestedItem, ...] = ()


_ID = (
    "List the ids: cmkflow environment list, cmkflow remediation list, "
    "or for flows cmkflow plan show REMEDIATION."
)
_FLOW = "List the flows: cmkflow flow list ENVIRONMENT."
_SEEN = "Read the item again, check what has changed, then send the request with the new ETag."


def build_problem_response(err: CmkflowError, *, instance: str, now: datetime) -> func.HttpResponse:
    """Return the problem document for an error."""
    text = str(err)
    headers: dict[str, str] = {}
    match err:
        case RequestRejected():
            problem = _build_problem(err.kind, text, err.fix)
            headers.update(err.headers)
        case InvalidInput():
            problem = _build_invalid_input_problem(err)
        case NotFound():
            problem = _build_not_found_problem(err)
        case JobBlocked():
            problem = _build_problem("blocked", err.reason, err.fix, err.code)
        case LinkRejected():
            problem = _build_problem(LINK_REJECTED, text, err.fix)
        case PreconditionFailed():
            problem = _build_problem("precondition-failed", text, _SEEN)
        case Conflict():
            problem = _build_problem(
                "conflict",
                text,
                "Read the item again, then repeat the request if it still applies.",
            )
        case PlatformError():
            problem = _build_problem("refused", text, find_error_fix(err.code), err.code)
        case MustWait() | PlatformMigrationInProgress() | TransientError():
            seconds = _compute_retry_seconds(err, now)
            headers["Retry-After"] = str(seconds)
            problem = _build_temporary_problem(err, seconds)
        case _:
            return build_internal_error_response(instance=instance)
    return _build_document_response(problem, instance, headers)


def _build_temporary_problem(err: CmkflowError, seconds: int) -> Problem:
    if isinstance(err, ServiceOutage) and err.code is not Reason.SERVICE_OUTAGE:
        return _build_problem("unavailable", str(err), err.code.fix, err.code)
    fix = f"Try again in {seconds} seconds."
    if isinstance(err, MustWait) and err.code == Reason.WAITING_FOR_RESOURCE_LEASE:
        return _build_problem("conflict", str(err), fix, err.code)
    if isinstance(err, MustWait) and err.code == Reason.KILL_SWITCH_ON:  # a person turns it off
        return _build_problem("conflict", str(err), Reason.KILL_SWITCH_ON.fix, err.code)
    kind = "throttled" if isinstance(err, ThrottledError) else "unavailable"
    return _build_problem(kind, str(err), fix)


def _build_invalid_input_problem(err: InvalidInput) -> Problem:
    if isinstance(err, UnreadableRow):
        return _build_problem("unreadable-row", str(err), err.fix, "unreadable_row")
    problem = _build_problem("bad-request", str(err), "Correct the request and send it again.")
    problem.errors = err.errors if isinstance(err, BadRequest) else ()
    return problem


def _build_not_found_problem(err: NotFound) -> Problem:
    if isinstance(err, IssueNotFound):
        return _build_problem("not-found", str(err), err.fix, Reason.ISSUE_NOT_FOUND)
    if isinstance(err, DeclaredCallerNotFound):
        return _build_problem("not-found", str(err), "List the callers: cmkflow caller list.")
    if not isinstance(err, FlowNotFound):
        return _build_problem("not-found", str(err), _ID)
    alike = [NamedItem(id=one, name=name) for one, name in err.candidates.items()]
    problem = _build_problem("not-found", str(err), format_suggestion(alike) or _FLOW)
    problem.suggestions = tuple(SuggestedItem(id=one.id, name=one.name) for one in alike)
    return problem


def build_internal_error_response(*, instance: str) -> func.HttpResponse:
    """Return the problem document for an internal error. Its details are only in the log."""
    text = "The app met an internal error."
    problem = _build_problem("defect", text, "Check the app's log for the exception.")
    return _build_document_response(problem, instance, {})


def build_misconfigured_response(
    text: str,
    fix: str = "Correct each setting: `azd env set NAME VALUE`, then `azd up` (docs/settings.md).",
    *,
    instance: str,
) -> func.HttpResponse:
    """Return the problem document for wrong settings, which `text` names."""
    text = f"{text} Until this is corrected, the app does nothing."
    problem = _build_problem("misconfigured", text, fix)
    return _build_document_response(problem, instance, {})


@dataclass(frozen=True, slots=True)
class ProblemKind:
    """The status and title that all problems of a kind have."""

    status: int
    title: str


#: Kinds by the last part of `type`.
PROBLEMS = {
    "bad-request": ProblemKind(400, "The request is not valid"),
    "not-signed-in": ProblemKind(401, "Not signed in"),
    "forbidden": ProblemKind(403, "Not permitted"),
    LINK_REJECTED: ProblemKind(403, "This link cannot be used"),
    "not-found": ProblemKind(404, "Not found"),
    "blocked": ProblemKind(409, "Action required first"),
    "conflict": ProblemKind(409, "The item was changed by someone else"),
    "precondition-failed": ProblemKind(412, "The item has changed since you read it"),
    "too-large": ProblemKind(413, "The body is too large"),
    "unsupported-media-type": ProblemKind(415, "The media type of the body is not supported"),
    "unreadable-row": ProblemKind(422, "This version of the app cannot read a stored row"),
    "throttled": ProblemKind(429, "Too many requests"),
    "defect": ProblemKind(500, "Internal error"),
    "misconfigured": ProblemKind(500, "Settings of the app are not valid"),
    "refused": ProblemKind(502, "The platform rejected a request"),
    "unavailable": ProblemKind(503, "Temporarily not available"),
}


def _build_problem(kind: str, detail: str, fix: str, code: str = "") -> Problem:
    return Problem(
        type=f"urn:cmk-flow-remediation:problem:{kind}",
        title=PROBLEMS[kind].title,
        status=PROBLEMS[kind].status,
        detail=detail,
        instance="",
        fix=fix,
        reason_code=code,
    )


def _compute_retry_seconds(
    err: MustWait | PlatformMigrationInProgress | TransientError, now: datetime
) -> int:
    if isinstance(err, MustWait):
        return max(1, math.ceil((err.until - now).total_seconds()))
    asked = err.retry_after if isinstance(err, TransientError) else None
    return max(1, math.ceil(asked.total_seconds())) if asked else _RETRY_SECONDS


def _build_document_response(
    problem: Problem, instance: str, headers: dict[str, str]
) -> func.HttpResponse:
    problem.instance = instance
    # The whole document is redacted, because URLs and member names may contain a trigger URL too.
    body = redact(problem.model_dump_json(exclude_defaults=True))
    return func.HttpResponse(
        body, status_code=problem.status, mimetype=MEDIA_TYPE, headers=headers or None
    )
