"""Ids from outside: what counts as one, and how the platform writes an environment's."""

import pytest

from shared.domain.identifiers import environment_identifier, is_identifier

GUID = "8C2E3F7A-0000-4000-8000-00000000000F"


@pytest.mark.parametrize("value", [GUID, f"Default-{GUID}", "a", "0" * 80])
def test_guids_and_names_like_them_are_ids(value: str) -> None:
    """The default environment's id has a word before it."""
    assert is_identifier(value)


@pytest.mark.parametrize(
    "value", ["", "-a", "a/b", "a\\b", "a#b", "a?b", "a b", "a\n", "ä", "..", "0" * 81, None, 7]
)
def test_what_a_key_or_a_url_may_not_hold_is_no_id(value: object) -> None:
    """Neither Table storage nor an address sees it."""
    assert not is_identifier(value)


@pytest.mark.parametrize("text", [f"Default-{GUID}", f"default-{GUID}", f"DEFAULT-{GUID.lower()}"])
def test_the_default_environment_keeps_its_word(text: str) -> None:
    """However an administrator types it, the row is found."""
    assert environment_identifier(text) == f"Default-{GUID.lower()}"


def test_other_environments_are_in_lower_case() -> None:
    """That is how the platform lists them."""
    assert environment_identifier(GUID) == GUID.lower()
