"""Find the items that a person means by an id, a name, or the first characters of an id."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

#: Least number of characters of an id. A shorter text is more likely a typing error.
SHORTEST = 4
_CLOSE = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedItem:
    """An item that a person can name, with its ids and its name."""

    id: str
    name: str
    #: Its ids in other services.
    others: tuple[str, ...] = ()

    @property
    def ids(self) -> tuple[str, ...]:
        """Return all ids of the item in lower case."""
        return tuple(one.lower() for one in (self.id, *self.others) if one)

    def __str__(self) -> str:
        """Return the name with the id, such as `Orders (8c2e3f7a-…)`."""
        return f"{self.name} ({self.id})" if self.name else self.id


def find_items_by_id_or_name(
    wanted: str, items: Iterable[NamedItem], *, by_beginning: bool = True
) -> list[NamedItem]:
    """Return the items with this id, or else with this name, or else whose id starts like this.

    A name in the same case is preferred to one in another case. More than one item means that the
    text is ambiguous. If `by_beginning` is False, the start of an id is not enough.
    """
    text, every = wanted.strip().casefold(), list(items)
    if exact := [one for one in every if text in one.ids]:
        return exact
    if called := [one for one in every if one.name.strip().casefold() == text]:
        return [one for one in called if one.name.strip() == wanted.strip()] or called
    if len(text) < SHORTEST or not by_beginning:
        return []
    return [one for one in every if any(each.startswith(text) for each in one.ids)]


def find_similar_items(wanted: str, items: Iterable[NamedItem]) -> list[NamedItem]:
    """Return the items whose name or id is most similar to a text, the most similar first."""
    text = wanted.strip().casefold()
    by_word: dict[str, NamedItem] = {}
    for one in items:
        for word in (one.name.strip().casefold(), *one.ids):
            by_word.setdefault(word, one)
    found = (by_word[word] for word in get_close_matches(text, by_word, n=_CLOSE, cutoff=0.6))
    return list(dict.fromkeys(found))


def format_suggestion(candidates: Sequence[NamedItem]) -> str:
    """Return the question whether one of these items was meant, or "" if there are none."""
    return f"Did you mean {' or '.join(map(str, candidates))}?" if candidates else ""


def shorten_ids(ids: Iterable[str]) -> dict[str, str]:
    """Return the beginning of each id, by id, of a length at which no two are equal.

    `find_items_by_id_or_name` accepts them.
    """
    every = sorted(set(ids))
    length = 8
    while len({one[:length] for one in every}) < len(every):
        length += 1
    return {one: one[:length].rstrip("-") for one in every}
