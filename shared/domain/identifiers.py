"""Check and normalize ids from outside before they reach a store or a URL."""

import re

#: Ids of environments (including `Default-<guid>`), flows, jobs and remediations.
IDENTIFIER = r"^[A-Za-z0-9][A-Za-z0-9-]{0,79}$"
_IDENTIFIER = re.compile(IDENTIFIER)


def is_identifier(value: object) -> bool:
    """Return whether `value` is a text that can be an id."""
    return isinstance(value, str) and _IDENTIFIER.fullmatch(value) is not None


def normalize_environment_id(text: str) -> str:
    """Return an environment's id as the platform writes it, which is how rows store it.

    Ids are GUIDs in lower case. The default environment's id starts with `Default-`.
    """
    prefix, dash, rest = text.partition("-")
    if prefix.lower() == "default" and dash:
        return f"Default-{rest.lower()}"
    return text.lower()
