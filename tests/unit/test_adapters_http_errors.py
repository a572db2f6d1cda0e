"""Test which answer of the platform becomes which error."""

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from shared.adapters.http.errors import FailedResponse, build_error, retry_after
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
)


def failed(
    status: int, code: str = "Some", message: str = "text", *, method: str = "PATCH", **more: object
) -> CmkflowError:
    """Return the error for an answer in the platform's envelope."""
    body = json.dumps({"error": {"code": code, "message": message}}).encode()
    fields: dict[str, object] = {"is_create": False, "headers": {}, "body": body} | more
    return build_error(
        FailedResponse(service="Dataverse", method=method, status=status, **fields)  # type: ignore[arg-type]
    )


def wrapped(name: str, code: str, message: str = "inner") -> str:
    """Return a Dataverse message that contains an error of the flow service."""
    inner = json.dumps({"error": {"code": code, "message": message}})
    return f'Flow client error returned with status code "{name}" and details "{inner}".'


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
    """The status alone decides for most answers."""
    assert type(failed(status)) is kind


def test_a_refusal_keeps_the_platforms_code() -> None:
    """Steps decide by the code, and people read the message."""
    error = failed(403, "EnvironmentAccessDenied", "Access is denied.")

    assert isinstance(error, PlatformError)
    assert (error.code, error.status) == ("EnvironmentAccessDenied", 403)
    assert "Access is denied." in str(error)


@pytest.mark.parametrize(
    ("status", "code"), [(412, ""), (412, "0x80040237"), (409, "0x80040237"), (400, "0x80040237")]
)
def test_a_create_that_meets_its_row_says_so(status: int, code: str) -> None:
    """Dataverse has several codes for this (platform.md#duplicate-keys)."""
    assert type(failed(status, code, is_create=True)) is AlreadyExists


def test_a_provider_that_nobody_uses_is_no_conflict() -> None:
    """Azure answers 409 for a list of resources that a subscription cannot have."""
    assert (
        type(failed(409, "MissingSubscriptionRegistration", method="GET")) is ProviderNotRegistered
    )


@pytest.mark.parametrize("status", [403, 409, 423])
def test_a_write_that_meets_a_migration_waits(status: int) -> None:
    """The code is not published, so a word in the code or the message is enough.

    See platform.md#blocked-writes.
    """
    assert type(failed(status, "EnvironmentMigrationInProgress")) is PlatformMigrationInProgress
    assert (
        type(failed(status, "X", "The environment is being migrated."))
        is PlatformMigrationInProgress
    )
    assert (
        type(failed(status, "X", "being migrated", method="GET")) is not PlatformMigrationInProgress
    )


def test_dataverse_wraps_the_flow_services_error() -> None:
    """Code and status are those of the inner error (platform.md#wrapped-errors)."""
    error = failed(400, "0x80060467", wrapped("Forbidden", "MissingAdequateQuotaPolicy"))

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
def test_a_wrapped_error_is_judged_by_what_is_inside(
    name: str, code: str, kind: type[CmkflowError]
) -> None:
    """A 400 may contain a throttling error, and a wrapped 404 is not about the row."""
    assert type(failed(400, "0x80060467", wrapped(name, code))) is kind


def test_of_several_errors_the_first_one_counts() -> None:
    """`MultipleErrorsOccurred` has no meaning of its own; every message is kept."""
    several = [{"code": "ChildFlowNeverPublished", "message": text} for text in ("one", "two")]
    body = {"error": {"code": "MultipleErrorsOccurred", "message": "see", "details": several}}

    error = failed(400, body=json.dumps(body).encode())

    assert isinstance(error, PlatformError)
    assert (error.code, error.detail) == ("ChildFlowNeverPublished", "Dataverse: one two")


def test_another_operation_on_the_resource_passes() -> None:
    """Azure's 409 for a resource during another change is transient."""
    assert type(failed(409, "AnotherOperationInProgress")) is ServiceUnavailable


@pytest.mark.parametrize("body", [b"", b"<html>gateway</html>", b"[]", b'"x"', b'{"error": "x"}'])
def test_an_answer_without_an_envelope_still_has_a_reason(body: bytes) -> None:
    """The body of an error may have any form."""
    error = failed(400, body=body)

    assert isinstance(error, PlatformError)
    assert error.code == "Http400"


def test_a_wait_is_given_in_seconds_or_as_a_date() -> None:
    """`Retry-After` may be seconds or a date; any other value is ignored."""
    later = format_datetime(datetime.now(UTC) + timedelta(days=2), usegmt=True)

    assert retry_after({"Retry-After": "12"}) == timedelta(seconds=12)
    assert retry_after({"Retry-After": "0.5"}) == timedelta(seconds=0.5)
    by_date = retry_after({"Retry-After": later})
    assert by_date is not None
    assert timedelta(days=1) < by_date <= timedelta(days=2)
    assert retry_after({"Retry-After": "soon"}) is None
    assert retry_after({}) is None
