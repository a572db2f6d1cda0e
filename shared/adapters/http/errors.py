"""The one place that turns an HTTP answer into one of the product's errors.

Addresses never stand in a message (a query may hold a signature), and what the platform wrote is
redacted, since it likes to quote what it was sent.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus

from shared.domain.definitions.json_values import as_mapping, mapping_at, text_at
from shared.domain.platform_errors import most_specific_code
from shared.domain.trigger_urls.trigger_url import redact
from shared.errors import (
    AlreadyExists,
    CmkflowError,
    Conflict,
    NotFound,
    PlatformError,
    PlatformMigrationInProgress,
    ProviderNotRegistered,
    ServiceUnavailable,
    ThrottledError,
    TokenRejected,
    TransientError,
)

#: Dataverse's DuplicateRecord: some answers carry it with 400 or 409 instead of 412
#: (platform.md#duplicate-keys).
_DUPLICATE = "0x80040237"
#: A list of what a subscription cannot have: nobody has registered the provider there.
_NOT_REGISTERED = "MissingSubscriptionRegistration"
#: Answers that a later try may not give (the official Terraform client's list,
#: platform.md#retryable-errors).
_UNAVAILABLE = frozenset({408, 425, 499})
#: Those in which a gateway speaks for a service that says nothing.
_UNANSWERED = frozenset({408, 499, 502, 503, 504})
_WRITES = frozenset({"PATCH", "POST", "PUT"})
_MIGRATION = re.compile("migrat", re.IGNORECASE)
_BUSY = re.compile("another *operation", re.IGNORECASE)
#: How Dataverse wraps an error of the flow service (platform.md#wrapped-errors).
_WRAPPED = re.compile(
    r'Flow client error returned with status code "(?P<status>\w+)" and details "(?P<json>\{.*\})"',
    re.DOTALL,
)
_LONGEST_MESSAGE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedResponse:
    """What is needed of a request and its answer to tell what went wrong."""

    service: str
    method: str
    is_create: bool
    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class _Reason:
    status: int
    code: str
    message: str

    @property
    def says_migration(self) -> bool:
        return bool(_MIGRATION.search(self.code) or _MIGRATION.search(self.message))


def error_of(answer: FailedResponse) -> CmkflowError:
    """Return the error that an answer of 300 and above stands for."""
    reason = _reason(answer)
    text = f"{answer.service}: {reason.message}{_request_id(answer.headers)}"
    match answer.status:
        case _ if reason.code == _NOT_REGISTERED:
            return ProviderNotRegistered(f"{text} ({reason.code})")
        case 404:
            return NotFound(f"{text} ({reason.code})")
        case _ if answer.is_create and (answer.status == 412 or reason.code == _DUPLICATE):
            return AlreadyExists(f"{text} ({reason.code})")
        case 412:
            return Conflict(f"{text} ({reason.code})")
        case _:
            return _transient(answer, reason, text) or _refusal(answer, reason, text)


def _transient(answer: FailedResponse, reason: _Reason, text: str) -> TransientError | None:
    wait = retry_after(answer.headers)
    statuses = {answer.status, reason.status}
    if 429 in statuses:
        return ThrottledError(text, retry_after=wait)
    is_busy = answer.status == 409 and (_BUSY.search(reason.code) or _BUSY.search(reason.message))
    if max(statuses) >= 500 or statuses & _UNAVAILABLE or is_busy:
        return ServiceUnavailable(text, retry_after=wait, of_object=not statuses & _UNANSWERED)
    if 401 in statuses:
        return TokenRejected(f"{text} ({reason.code})", code=reason.code)
    return None


def _refusal(
    answer: FailedResponse, reason: _Reason, text: str
) -> PlatformError | Conflict | PlatformMigrationInProgress:
    # The code of this refusal is not published: on a write, any of these three counts
    # (platform.md#blocked-writes).
    statuses = {answer.status, reason.status}
    if answer.method in _WRITES and statuses & {403, 409, 423} and reason.says_migration:
        return PlatformMigrationInProgress(text, code=reason.code, status=reason.status)
    if 409 in statuses:  # somebody else is saving the same (platform.md#concurrent-saves)
        return Conflict(f"{text} ({reason.code})")
    return PlatformError(text, code=reason.code, status=reason.status)


def retry_after(headers: Mapping[str, str]) -> timedelta | None:
    """Return the wait that an answer asks for (`Retry-After`, seconds or a date), or None."""
    value = headers.get("Retry-After", "").strip()
    try:
        if value.replace(".", "", 1).isdigit():
            return timedelta(seconds=float(value))
        return max(parsedate_to_datetime(value) - datetime.now(UTC), timedelta(0))
    except (TypeError, ValueError, OverflowError):
        return None


def _reason(answer: FailedResponse) -> _Reason:
    """Read code and message; an envelope inside Dataverse's message replaces the outer one."""
    code, message = _envelope(answer.body)
    status = answer.status
    if wrapped := _WRAPPED.search(message):
        inner_code, inner_message = _envelope(wrapped["json"].encode())
        code, message = inner_code or code, inner_message or message
        status = _status_named(wrapped["status"]) or status
    text = redact(message)[:_LONGEST_MESSAGE] or "the service gave no reason"
    return _Reason(status, most_specific_code(code or f"Http{status}", text), text)


def _envelope(body: bytes) -> tuple[str, str]:
    """Return code and message of the platform's error envelope, else empty texts.

    See platform.md#error-body.
    """
    try:
        document = as_mapping(json.loads(body))
    except ValueError:
        return "", ""
    error = mapping_at(document, "error") or document
    code = text_at(error, "code") or text_at(error, "Code") or ""
    message = text_at(error, "message") or text_at(error, "Message") or ""
    return _first_detail(error) or (code, message)


def _first_detail(error: Mapping[str, object]) -> tuple[str, str] | None:
    """Return what the first of several errors says (`MultipleErrorsOccurred`), and the others."""
    listed = error.get("details")
    details = [as_mapping(one) for one in listed] if isinstance(listed, list) else []
    codes = [code for one in details if (code := text_at(one, "code"))]
    if not codes:
        return None
    return codes[0], " ".join(text_at(one, "message") or "" for one in details)


def _request_id(headers: Mapping[str, str]) -> str:
    """Return what Microsoft's support asks for first, in brackets; empty if not given."""
    request = headers.get("x-ms-request-id") or headers.get("REQ_ID") or ""
    return f" [request {request[:64]}]" if request else ""


def _status_named(name: str) -> int | None:
    """Return the number of a status that .NET names (`TooManyRequests`), None if unknown."""
    if name.isdigit():
        return int(name)
    wanted = name.lower()
    for status in HTTPStatus:
        if status.phrase.replace(" ", "").replace("-", "").lower() == wanted:
            return status.value
    return None
