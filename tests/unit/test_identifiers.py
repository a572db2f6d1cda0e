import pytest

from shared.domain.ids import is_identifier, normalize_environment_id

GUID = "8C2E3F7A-0000-4000-8000-00000000000F"


@pytest.mark.parametrize("value", [GUID, f"Default-{GUID}", "a", "0" * 80])
def test_guids_and_default_environment_names_are_identifiers(value: str) -> None:
    assert is_identifier(value)


@pytest.mark.parametrize(
    "value", ["", "-a", "a/b", "a\\b", "a#b", "a?b", "a b", "a\n", "ä", "..", "0" * 81, None, 7]
)
def test_value_with_forbidden_characters_is_not_an_identifier(value: object) -> None:
    """Such a value must not become a key in Table storage or a part of a URL."""
    assert not is_identifier(value)


@pytest.mark.parametrize("text", [f"Default-{GUID}", f"default-{GUID}", f"DEFAULT-{GUID.lower()}"])
def test_default_environment_id_keeps_its_prefix(text: str) -> None:
    """The environment's row is found in whatever way an administrator types the id."""
    assert normalize_environment_id(text) == f"Default-{GUID.lower()}"


def test_environment_id_is_converted_to_lower_case() -> None:
    assert normalize_environment_id(GUID) == GUID.lower()
