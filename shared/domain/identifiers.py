"""Ids as they come from outside: checked before they reach a store or a URL."""

import re

#: Environments (`Default-<guid>` too), flows, jobs and remediations.
IDENTIFIER = r"^[A-Za-z0-9][A-Za-z0-9-]{0,79}$"
_IDENTIFIER = re.compile(IDENTIFIER)


def is_identifier(value: object) -> bool:
    """Say whether `value` is text that can be an id."""
    return isinstance(value, str) and _IDENTIFIER.fullmatch(value) is not None


def environment_identifier(text: str) -> str:
    """Return an environment's id as the platform writes it: rows are kept by that.

    Ids are GUIDs in lower case; the default environment's has `Default-` before it.
    """
    prefix, dash, rest = text.partition("-")
    if prefix.lower() == "default" and dash:
        return f"Default-{rest.lower()}"
    return text.lower()
