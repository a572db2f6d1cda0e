"""Convert HTTP error responses to the app's errors.

Messages contain no URLs, because a query can contain a signature. Texts of the platform are
redacted, because they often quote the request.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus

from shared.domain.definitions.json_values import as_mapping, mapping_at, objects_at, text_at
from shared.domain.platform_errors import (
    DENIED_BY_POLICY,
    ORGANIZATION_DISABLED,
    SCOPE_LOCKED,
    find_most_specific_code,
)
from shared.domain.trigger_urls.trigger_url import redact
from shared.errors import (
    AlreadyExists,
    CmkflowError,
    Conflict,
    EnvironmentDisabled,
    NotFound,
    PlatformError,
    PlatformMigrationInProgress,
    ProviderNotRegistered,
    ServiceUnavailable,
    TableNotFound,
    ThrottledError,
    TokenRejected,
    TransientError,
)

#: Dataverse's DuplicateRecord: some responses have it with 400 or 409 instead of 412
#: (platform.md#duplicate-keys).
_DUPLICATE = "0x80040237"
#: Error code of a list whose resource provider is not registered in the subscription.
_NOT_REGISTERED = "MissingSubscriptionRegistration"
#: Transient errors (list of the official Terraform client,
#: platform.md#retryable-errors).
_UNAVAILABLE = frozenset({408, 425, 499})
#: Statuses that a gateway returns for a service without a response.
_UNANSWERED = frozenset({408, 499, 502, 503, 504})
#: Dataverse has no table of the name in the URL (platform.md#optional-tables).
_NO_TABLE = frozenset({"0x80060888", "0x8006088a"})
_WRITES = frozenset({"PATCH", "POST", "PUT"})
_MIGRATION = re.compile("migrat", re.IGNORECASE)
#: Codes of API Management (platform.md#api-management).
_SERVICE_LOCKED = "ServiceLocked"
_BUSY = re.compile(
    f"another *operation|^{_SERVICE_LOCKED}$|^PessimisticConcurrencyConflict$", re.IGNORECASE
)
#: Text around a flow service error in a Dataverse error (platform.md#wrapped-errors).
_WRAPPED = re.compile(
    r'Flow client error returned with status code "(?P<status>\w+)" and details "(?P<json>\{.*\})"',
    re.DOTALL,
)
#: In the message of a 403 of GitHub that may have no header about it (platform.md#github).
_RATE_LIMIT = "secondary rate limit"
_RATE_LIMIT_WAIT = timedelta(minutes=1)
#: GitHub's limits count an hour.
_LONGEST_RATE_LIMIT = timedelta(hours=1)
#: A longer `Retry-After` is wrong: no limit of a service counts more than a day.
_LONGEST_WAIT = timedelta(days=1)
#: A service of API Management is locked for many minutes.
_LOCKED_WAIT = timedelta(minutes=5)
_LONGEST_MESSAGE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedResponse:
    """A failed response, and what of its request determines the error."""

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
    def is_about_migration(self) -> bool:
        return bool(_MIGRATION.search(self.code) or _MIGRATION.search(self.message))


def build_error(answer: FailedResponse) -> CmkflowError:
    """Return the error for a response of 300 or above."""
    reason = _parse_reason(answer)
    text = f"{answer.service}: {reason.message}{_format_request_id(answer.headers)}"
    match answer.status:
        case _ if reason.code == ORGANIZATION_DISABLED:
            return EnvironmentDisabled(f"{text} ({reason.code})")
        case _ if reason.code == _NOT_REGISTERED:
            return ProviderNotRegistered(f"{text} ({reason.code})")
        case 404 if reason.code.lower() in _NO_TABLE:
            return TableNotFound(f"{text} ({reason.code})")
        case 404:
            return NotFound(f"{text} ({reason.code})")
        case _ if answer.is_create and (answer.status == 412 or reason.code == _DUPLICATE):
            return AlreadyExists(f"{text} ({reason.code})")
        case 412:
            return Conflict(f"{text} ({reason.code})")
        case _:
            return _build_transient_error(answer, reason, text) or _build_rejection_error(
                answer, reason, text
            )


def _build_transient_error(
    answer: FailedResponse, reason: _Reason, text: str
) -> TransientError | None:
    wait = parse_retry_after(answer.headers)
    statuses = {answer.status, reason.status}
    if wait is None and _RATE_LIMIT in reason.message.lower():
        wait = _RATE_LIMIT_WAIT
    if wait is None and reason.code == _SERVICE_LOCKED:
        wait = _LOCKED_WAIT
    if 429 in statuses or (answer.status == 403 and wait is not None):
        return ThrottledError(text, retry_after=wait)
    is_busy = answer.status == 409 and (_BUSY.search(reason.code) or _BUSY.search(reason.message))
    if max(statuses) >= 500 or statuses & _UNAVAILABLE or is_busy:
        return ServiceUnavailable(text, retry_after=wait, of_object=not statuses & _UNANSWERED)
    if 401 in statuses:
        return TokenRejected(f"{text} ({reason.code})", code=reason.code)
    return None


def _build_rejection_error(
    answer: FailedResponse, reason: _Reason, text: str
) -> PlatformError | Conflict | PlatformMigrationInProgress:
    if reason.code in {SCOPE_LOCKED, DENIED_BY_POLICY}:  # names in its message may match below
        return PlatformError(text, code=reason.code, status=reason.status)
    # The code of this error is undocumented: on a write, each of these three counts
    # (platform.md#blocked-writes).
    statuses = {answer.status, reason.status}
    if answer.method in _WRITES and statuses & {403, 409, 423} and reason.is_about_migration:
        return PlatformMigrationInProgress(text, code=reason.code, status=reason.status)
    if 409 in statuses:  # another request is saving the same row (platform.md#concurrent-saves)
        return Conflict(f"{text} ({reason.code})")
    return PlatformError(text, code=reason.code, status=reason.status)


def parse_retry_after(headers: Mapping[str, str]) -> timedelta | None:
    """Return how long the service asks to wait, or None if it does not ask.

    Reads `Retry-After` (seconds or a date), at most a day. If it is missing and no request remains,
    reads `X-RateLimit-Reset`, at most an hour.
    """
    value = headers.get("Retry-After", "").strip()
    reset = headers.get("X-RateLimit-Reset", "")
    try:
        if not value and headers.get("X-RateLimit-Remaining") == "0":
            wait = datetime.fromtimestamp(int(reset), UTC) - _parse_date(headers)
            return min(max(wait, timedelta(0)), _LONGEST_RATE_LIMIT)
        if value.replace(".", "", 1).isdigit():
            return min(timedelta(seconds=float(value)), _LONGEST_WAIT)
        wait = parsedate_to_datetime(value) - _parse_date(headers)
        return min(max(wait, timedelta(0)), _LONGEST_WAIT)
    except (TypeError, ValueError, OverflowError, OSError):
        return None


def _parse_date(headers: Mapping[str, str]) -> datetime:
    if date := headers.get("Date"):
        return parsedate_to_datetime(date).astimezone(UTC)
    return datetime.now(UTC)


def _parse_reason(answer: FailedResponse) -> _Reason:
    """Return the reason. An error inside Dataverse's message replaces the outer one."""
    code, message = _parse_envelope(answer.body)
    status = answer.status
    if wrapped := _WRAPPED.search(message):
        inner_code, inner_message = _parse_envelope(wrapped["json"].encode())
        code, message = inner_code or code, inner_message or message
        status = _parse_status_name(wrapped["status"]) or status
    text = redact(message)[:_LONGEST_MESSAGE] or "the service gave no reason"
    return _Reason(status, find_most_specific_code(code or f"Http{status}", text), text)


def _parse_envelope(body: bytes) -> tuple[str, str]:
    """Return code and message of the platform's error body, or "" for each.

    See platform.md#error-body.
    """
    try:
        document = as_mapping(json.loads(body))
    except ValueError:
        return "", ""
    error = mapping_at(document, "error") or document
    code = text_at(error, "code") or text_at(error, "Code") or ""
    message = text_at(error, "message") or text_at(error, "Message") or ""
    return _find_first_detail(error) or (code, message + _describe_denying_policies(error))


def _describe_denying_policies(error: Mapping[str, object]) -> str:
    """Return the policy assignments that deny a request.

    Newer messages of Azure do not name them. See platform.md#azure-policy.
    """
    listed = objects_at(error, "additionalInfo")
    info = [mapping_at(one, "info") for one in listed if one.get("type") == "PolicyViolation"]
    found = [f"'{identity}'" for one in info if (identity := text_at(one, "policyAssignmentId"))]
    return f" Policy assignments: {', '.join(found)}." if found else ""


def _find_first_detail(error: Mapping[str, object]) -> tuple[str, str] | None:
    """Return the first code and all messages of several errors (`MultipleErrorsOccurred`).

    Returns None if no error has a code.
    """
    listed = error.get("details")
    details = [as_mapping(one) for one in listed] if isinstance(listed, list) else []
    codes = [code for one in details if (code := text_at(one, "code"))]
    if not codes:
        return None
    return codes[0], " ".join(text_at(one, "message") or "" for one in details)


def _format_request_id(headers: Mapping[str, str]) -> str:
    """Return the request id for Microsoft support in brackets, or "" if the response has none."""
    request = headers.get("x-ms-request-id") or headers.get("REQ_ID") or ""
    return f" [request {request[:64]}]" if request else ""


def _parse_status_name(name: str) -> int | None:
    """Return the number of a .NET status name (`TooManyRequests`), or None if unknown."""
    if name.isdigit():
        return int(name)
    wanted = name.lower()
    for status in HTTPStatus:
        if status.phrase.replace(" ", "").replace("-", "").lower() == wanted:
            return status.value
    return None
