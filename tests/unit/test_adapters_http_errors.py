import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from shared.adapters.http.errors import FailedResponse, build_error, parse_retry_after
from shared.domain.platform_errors import parse_locked_scope, parse_policy_assignments
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
    ThrottledError,
    TokenRejected,
)


def build_http_error(
    status: int, code: str = "Some", message: str = "text", *, method: str = "PATCH", **more: object
) -> CmkflowError:
    body = json.dumps({"error": {"code": code, "message": message}}).encode()
    fields: dict[str, object] = {"is_create": False, "headers": {}, "body": body} | more
    return build_error(
        FailedResponse(service="Dataverse", method=method, status=status, **fields)  # type: ignore[arg-type]
    )


def format_wrapped_error(name: str, code: str) -> str:
    inner = json.dumps({"error": {"code": code, "message": "inner"}})
    return f'Flow client error returned with status code "{name}" and details "{inner}".'


@pytest.mark.parametrize("status", [403, 409])
def test_lock_on_a_write_is_no_conflict(status: int) -> None:
    text = "The following scope(s) are locked: '/subscriptions/s/resourceGroups/migration'."

    error = build_http_error(status, "ScopeLocked", text)

    assert isinstance(error, PlatformError)
    assert parse_locked_scope(error.detail) == "/subscriptions/s/resourceGroups/migration"


def test_policy_assignments_are_in_the_message_in_either_form() -> None:
    """Azure returns the ids in the message or, in newer responses, in the details."""
    identity = "/providers/Microsoft.Management/managementGroups/g/providers/"
    identity += "Microsoft.Authorization/policyAssignments/no.writes"
    older = f'Policy identifiers: \'[{{"policyAssignment":{{"name":"n","id":"{identity}"}}}}]\'.'
    info = {"type": "PolicyViolation", "info": {"policyAssignmentId": identity}}
    newer = {"code": "RequestDisallowedByPolicy", "message": "denied", "additionalInfo": [info]}

    errors = [
        build_http_error(403, "RequestDisallowedByPolicy", older),
        build_http_error(403, body=json.dumps({"error": newer}).encode()),
    ]

    for error in errors:
        assert isinstance(error, PlatformError)
        assert error.code == "RequestDisallowedByPolicy"
        assert parse_policy_assignments(error.detail) == [identity]


@pytest.mark.parametrize("status", [400, 403, 404, 503])
@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("0x8004a104", "The Dynamics 365 organization is currently disabled."),
        (
            "XrmApiRequestFailed",
            "Request to XRM API failed with error: 'Message: disabled\nCode: 0x8004a104\n'.",
        ),
    ],
)
def test_disabled_organization_is_recognized_by_its_code(
    status: int, code: str, message: str
) -> None:
    """No source documents the HTTP status of this error, so any status counts."""
    assert type(build_http_error(status, code, message)) is EnvironmentDisabled


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, PlatformError),
        (401, TokenRejected),
        (403, PlatformError),
        (404, NotFound),
        (408, ServiceUnavailable),
        (409, Conflict),
        (412, Conflict),
        (423, PlatformError),
        (425, ServiceUnavailable),
        (429, ThrottledError),
        (500, ServiceUnavailable),
        (503, ServiceUnavailable),
    ],
)
def test_a_status_decides_the_kind_of_error(status: int, kind: type[CmkflowError]) -> None:
    assert type(build_http_error(status)) is kind


def test_rejection_keeps_the_platforms_code() -> None:
    error = build_http_error(403, "EnvironmentAccessDenied", "Access is denied.")

    assert isinstance(error, PlatformError)
    assert (error.code, error.status) == ("EnvironmentAccessDenied", 403)
    assert "Access is denied." in str(error)


@pytest.mark.parametrize(
    ("status", "code"), [(412, ""), (412, "0x80040237"), (409, "0x80040237"), (400, "0x80040237")]
)
def test_create_of_an_existing_row_raises_already_exists(status: int, code: str) -> None:
    """Dataverse has several codes for a row that exists (platform.md#duplicate-keys)."""
    assert type(build_http_error(status, code, is_create=True)) is AlreadyExists


def test_unregistered_resource_provider_is_not_reported_as_a_conflict() -> None:
    """Azure returns 409 if the subscription has not registered the resource's provider."""
    assert (
        type(build_http_error(409, "MissingSubscriptionRegistration", method="GET"))
        is ProviderNotRegistered
    )


@pytest.mark.parametrize("status", [403, 409, 423])
def test_write_during_a_platform_migration_raises_platform_migration_in_progress(
    status: int,
) -> None:
    """Microsoft does not document the code of this error. See platform.md#blocked-writes."""
    assert (
        type(build_http_error(status, "EnvironmentMigrationInProgress"))
        is PlatformMigrationInProgress
    )
    assert (
        type(build_http_error(status, "X", "The environment is being migrated."))
        is PlatformMigrationInProgress
    )
    assert (
        type(build_http_error(status, "X", "being migrated", method="GET"))
        is not PlatformMigrationInProgress
    )


def test_dataverse_wraps_the_flow_services_error() -> None:
    """See platform.md#wrapped-errors."""
    error = build_http_error(
        400, "0x80060467", format_wrapped_error("Forbidden", "MissingAdequateQuotaPolicy")
    )

    assert isinstance(error, PlatformError)
    assert (error.code, error.status, error.detail) == (
        "MissingAdequateQuotaPolicy",
        403,
        "Dataverse: inner",
    )


@pytest.mark.parametrize(
    ("name", "code", "kind"),
    [
        ("TooManyRequests", "TooManyRequests", ThrottledError),
        ("ServiceUnavailable", "Busy", ServiceUnavailable),
        ("NotFound", "ConnectionNotFound", PlatformError),
        ("Conflict", "EnvironmentMigrationInProgress", PlatformMigrationInProgress),
    ],
)
def test_wrapped_error_is_classified_by_its_inner_code(
    name: str, code: str, kind: type[CmkflowError]
) -> None:
    """A 400 of Dataverse may contain a throttling error. A 404 in it does not mean that the row is
    missing.
    """
    assert type(build_http_error(400, "0x80060467", format_wrapped_error(name, code))) is kind


def test_several_errors_get_the_code_of_the_first_error() -> None:
    """The outer code `MultipleErrorsOccurred` names no cause."""
    several = [{"code": "ChildFlowNeverPublished", "message": text} for text in ("one", "two")]
    body = {"error": {"code": "MultipleErrorsOccurred", "message": "see", "details": several}}

    error = build_http_error(400, body=json.dumps(body).encode())

    assert isinstance(error, PlatformError)
    assert (error.code, error.detail) == ("ChildFlowNeverPublished", "Dataverse: one two")


@pytest.mark.parametrize(
    "code", ["AnotherOperationInProgress", "ServiceLocked", "PessimisticConcurrencyConflict"]
)
def test_conflict_with_another_operation_on_the_resource_is_transient(code: str) -> None:
    """Azure returns 409 while another operation changes the resource."""
    assert type(build_http_error(409, code)) is ServiceUnavailable


@pytest.mark.parametrize("body", [b"", b"<html>gateway</html>", b"[]", b'"x"', b'{"error": "x"}'])
def test_an_answer_without_an_envelope_still_has_a_reason(body: bytes) -> None:
    error = build_http_error(400, body=body)

    assert isinstance(error, PlatformError)
    assert error.code == "Http400"


@pytest.mark.parametrize("status", [403, 429])
@pytest.mark.parametrize(
    ("headers", "message", "wait"),
    [
        ({"Retry-After": "30"}, "You have exceeded a secondary rate limit.", 30),
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1"}, "API rate limit exceeded", 0),
        ({"X-RateLimit-Remaining": "9"}, "You have exceeded a Secondary Rate Limit.", 60),
    ],
)
def test_rate_limit_of_github_is_waited_for(
    status: int, headers: dict[str, str], message: str, wait: int
) -> None:
    """GitHub signals its rate limit with 403 or 429, and a missing right with 403, too."""
    error = build_http_error(status, "", message, method="GET", headers=headers)

    assert isinstance(error, ThrottledError)
    assert error.retry_after == timedelta(seconds=wait)
    assert isinstance(
        build_http_error(403, "", "Must have admin rights", headers={"X-RateLimit-Remaining": "9"}),
        PlatformError,
    )


def test_wait_ends_at_the_reset_of_a_rate_limit() -> None:
    reset = str(int((datetime.now(UTC) + timedelta(hours=1)).timestamp()))

    wait = parse_retry_after({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset})

    assert wait is not None
    assert timedelta(minutes=59) < wait <= timedelta(hours=1)
    assert parse_retry_after({"X-RateLimit-Remaining": "7", "X-RateLimit-Reset": reset}) is None
    for wrong in ("", "soon", "9" * 30):
        assert parse_retry_after({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": wrong}) is None


def test_retry_after_is_parsed_from_seconds_or_a_date() -> None:
    """`Retry-After` contains seconds or a date. Other values are ignored."""
    later = format_datetime(datetime.now(UTC) + timedelta(hours=2), usegmt=True)

    assert parse_retry_after({"Retry-After": "12"}) == timedelta(seconds=12)
    assert parse_retry_after({"Retry-After": "0.5"}) == timedelta(seconds=0.5)
    by_date = parse_retry_after({"Retry-After": later})
    assert by_date is not None
    assert timedelta(hours=1) < by_date <= timedelta(hours=2)
    assert parse_retry_after({"Retry-After": "soon"}) is None
    assert parse_retry_after({}) is None


@pytest.mark.parametrize("asked", ["1000000000", "9" * 12, "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_wrong_retry_after_stops_no_work_for_years(asked: str) -> None:
    assert parse_retry_after({"Retry-After": asked}) == timedelta(days=1)


@pytest.mark.parametrize(
    ("reset", "date", "minutes"),
    [
        ("1448", "Thu, 01 Jan 1970 00:09:08 GMT", 15),
        ("9999999999", "", 60),
        ("9999999999", "Thu, 01 Jan 1970 00:09:08 GMT", 60),
    ],
)
def test_rate_limit_is_waited_for_at_most_an_hour_by_the_clock_of_its_service(
    reset: str, date: str, minutes: int
) -> None:
    """The app's own clock may be wrong, so the `Date` of the response counts."""
    headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset, "Date": date}

    assert parse_retry_after(headers) == timedelta(minutes=minutes)
