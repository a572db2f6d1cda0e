"""Sort flows by title, and distinguish flows that have the same title."""

import re
from collections import Counter
from collections.abc import Iterable

#: Ids of flows that were made together have the same beginning only after more digits.
_LENGTH = 8


def find_repeated_titles(titles: Iterable[str]) -> frozenset[str]:
    """Return the titles that occur more than once."""
    return frozenset(title for title, number in Counter(titles).items() if number > 1)


def shorten_workflow_id(workflow_id: str) -> str:
    """Return the first characters of a workflow id."""
    return workflow_id[:_LENGTH]


def compute_natural_sort_key(text: str) -> list[tuple[bool, int, str]]:
    """Return a sort key by which `Flow 2` comes before `Flow 10`."""
    return [
        (part.isdecimal(), int(part) if part.isdecimal() else 0, part)
        for part in re.split(r"(\d+)", text.casefold())
    ]
