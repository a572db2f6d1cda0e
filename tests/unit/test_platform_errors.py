import pytest

from shared.domain.platform_errors import (
    OTHER,
    REFUSALS,
    find_error_code,
    find_error_fix,
    find_most_specific_code,
    parse_connection,
    parse_quoted_id,
)


def test_no_code_has_two_meanings() -> None:
    codes = [code for refusal in REFUSALS for code in refusal.codes]

    assert len(codes) == len(set(codes))


@pytest.mark.parametrize("code", [code for refusal in REFUSALS for code in refusal.codes])
def test_error_code_is_recognised_without_a_message(code: str) -> None:
    """A service may omit the message or return it in another language."""
    assert code in find_error_code(code).codes
    assert find_most_specific_code(code) == code


@pytest.mark.parametrize(
    ("code", "message", "kind"),
    [
        (
            "InvalidOpenApiFlow",
            "Fehler beim Speichern. Code: WorkflowRunActionInputsMissingProperty, Meldung: …",
            "WorkflowRunActionInputsMissingProperty",
        ),
        (
            "InvalidOpenApiFlow",
            "Flow save failed with code 'InvalidPaginationPolicy'.",
            "InvalidTemplate",
        ),
        ("Forbidden", "The user has reached the limit of 600 flows.", "FlowCountLimitExceeded"),
        ("BadRequest", "The maximum number of flows is exceeded.", "FlowCountLimitExceeded"),
        ("Forbidden", "Not allowed for service principals.", "ApplicationTokenNotSupported"),
        ("Forbidden", "Flow '1' cannot be activated due to admin API policies.", "DlpViolation"),
        (
            "WorkflowRunActionInputsInvalidProperty",
            "The API connection reference 'new_x' could not be found for the operation 'Send'.",
            "ConnectionReferenceNotFound",
        ),
        (
            "ConnectionAuthorizationFailed",
            "No permission for connection 'b' under Api 'shared_logicflows'.",
            "NoCoOwner",
        ),
    ],
)
def test_message_decides_for_a_generic_code(code: str, message: str, kind: str) -> None:
    assert find_error_code(code, message).code == kind


def test_specific_code_overrides_the_message() -> None:
    message = "Not the limit of 600 flows."

    assert (
        find_error_code("MissingAdequateQuotaPolicy", message).code == "MissingAdequateQuotaPolicy"
    )


def test_unknown_error_keeps_its_code_and_has_a_fix() -> None:
    assert find_error_code("SomethingNew", "text") is OTHER
    assert find_most_specific_code("SomethingNew", "text") == "SomethingNew"
    assert "retry" in find_error_fix("SomethingNew")


@pytest.mark.parametrize(
    "prefix", ["", "/providers/Microsoft.PowerApps/apis/shared_x/connections/"]
)
def test_rejected_connection_is_parsed_from_the_message(prefix: str) -> None:
    """Older messages contain neither the name nor the resource id of the connection."""
    message = f"The caller object id is 'a'. Connection '{prefix}x-1' to 'shared_x' cannot be used."

    assert parse_connection(message) == ("x-1", "shared_x")
    assert parse_connection("no") == ("", "")


def test_child_flow_id_is_parsed_from_the_quotes() -> None:
    identity = "0F8C5C1E-3A55-4F0E-9A1D-6A1F0C1B2D3E"

    assert (
        parse_quoted_id(f"The workflow with id '{identity}' is not published.") == identity.lower()
    )
    assert parse_quoted_id("none") == ""
