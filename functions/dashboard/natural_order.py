"""Sort names as people do."""

import re


def compute_natural_key(text: str) -> list[tuple[bool, int, str]]:
    """Return a sort key by which `Flow 2` comes before `Flow 10`."""
    return [
        (part.isdecimal(), int(part) if part.isdecimal() else 0, part)
        for part in re.split(r"(\d+)", text.casefold())
    ]
