"""Unit tests of what is said about a refusal of the platform."""

from shared.domain.refusals import instruction_for


def test_a_refused_connection_is_named() -> None:
    """The instruction says which connection of which connector has to be shared."""
    message = "The caller object id is 'a'. Connection 'shared-x-1' to 'shared_x' cannot be used."

    instruction = instruction_for("ConnectionAuthorizationFailed", message)

    assert "connection shared-x-1 (shared_x)" in instruction


def test_a_refused_connection_without_a_name_has_an_instruction_too() -> None:
    """Older wordings name nothing."""
    instruction = instruction_for("ConnectionAuthorizationFailed", "no")

    assert "shares it with the app" in instruction


def test_an_unknown_code_has_an_instruction() -> None:
    """Nobody is left with a code alone."""
    instruction = instruction_for("SomethingNew")

    assert "retry" in instruction
