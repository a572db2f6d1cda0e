"""Unit tests of what is said about a refusal of the platform."""

import pytest

from shared.domain.platform_errors import (
    OTHER,
    REFUSALS,
    find_error_code,
    fix_for,
    most_specific_code,
    parse_connection,
    parse_quoted_id,
)


def test_no_code_has_two_meanings() -> None:
    """Each code and each alias stands once."""
    codes = [code for refusal in REFUSALS for code in refusal.codes]

    assert len(codes) == len(set(codes))


@pytest.mark.parametrize("code", [code for refusal in REFUSALS for code in refusal.codes])
def test_a_code_is_known_without_any_message(code: str) -> None:
    """Services leave messages out, or write them in another language."""
    assert code in find_error_code(code).codes
    assert most_specific_code(code) == code


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
def test_a_code_that_says_little_gives_way_to_the_message(
    code: str, message: str, kind: str
) -> None:
    """A code that the message quotes is known in every language; else its words are."""
    assert find_error_code(code, message).code == kind


def test_a_code_that_says_what_is_wrong_outdoes_the_message() -> None:
    """Words that stand in a message by chance change nothing."""
    message = "Not the limit of 600 flows."

    assert (
        find_error_code("MissingAdequateQuotaPolicy", message).code == "MissingAdequateQuotaPolicy"
    )


def test_an_unknown_refusal_keeps_its_code_and_has_an_instruction() -> None:
    """Nobody is left with a code alone."""
    assert find_error_code("SomethingNew", "text") is OTHER
    assert most_specific_code("SomethingNew", "text") == "SomethingNew"
    assert "retry" in fix_for("SomethingNew")


@pytest.mark.parametrize(
    "prefix", ["", "/providers/Microsoft.PowerApps/apis/shared_x/connections/"]
)
def test_a_refused_connection_is_named(prefix: str) -> None:
    """By its name or its resource id; older wordings name none."""
    message = f"The caller object id is 'a'. Connection '{prefix}x-1' to 'shared_x' cannot be used."

    assert parse_connection(message) == ("x-1", "shared_x")
    assert parse_connection("no") == ("", "")


def test_a_child_flow_is_known_by_the_id_in_quotes() -> None:
    """Whatever its case."""
    identity = "0F8C5C1E-3A55-4F0E-9A1D-6A1F0C1B2D3E"

    assert (
        parse_quoted_id(f"The workflow with id '{identity}' is not published.") == identity.lower()
    )
    assert parse_quoted_id("none") == ""
