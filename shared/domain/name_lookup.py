"""Which of several items somebody means who says an id, a name, or the beginning of an id."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

#: As long as the beginning of an id has to be. Shorter ones are more likely a slip than meant.
SHORTEST = 4
_CLOSE = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedItem:
    """An item with the id that orders take, and its name for people."""

    id: str
    name: str
    #: Ids that it has elsewhere.
    others: tuple[str, ...] = ()

    @property
    def ids(self) -> tuple[str, ...]:
        """Return every id in small letters."""
        return tuple(one.lower() for one in (self.id, *self.others) if one)

    def __str__(self) -> str:
        """Return how it is told: such as `Orders (8c2e3f7a-…)`."""
        return f"{self.name} ({self.id})" if self.name else self.id


def find_by_id_or_name(
    wanted: str, items: Iterable[NamedItem], *, by_beginning: bool = True
) -> list[NamedItem]:
    """Return the items of an id; if none has it, those of a name, else of the beginning of an id.

    A name in the same case goes before one in another. More than one: it is ambiguous.
    `by_beginning` False: the beginning of an id is not enough.
    """
    text, every = wanted.strip().casefold(), list(items)
    if exact := [one for one in every if text in one.ids]:
        return exact
    if called := [one for one in every if one.name.strip().casefold() == text]:
        return [one for one in called if one.name.strip() == wanted.strip()] or called
    if len(text) < SHORTEST or not by_beginning:
        return []
    return [one for one in every if any(each.startswith(text) for each in one.ids)]


def find_similar(wanted: str, items: Iterable[NamedItem]) -> list[NamedItem]:
    """Return the items whose name or id is most like what nothing is called, the closest first."""
    text = wanted.strip().casefold()
    by_word: dict[str, NamedItem] = {}
    for one in items:
        for word in (one.name.strip().casefold(), *one.ids):
            by_word.setdefault(word, one)
    found = (by_word[word] for word in get_close_matches(text, by_word, n=_CLOSE, cutoff=0.6))
    return list(dict.fromkeys(found))


def did_you_mean(candidates: Sequence[NamedItem]) -> str:
    """Return the question that names them; empty: there is none."""
    return f"Did you mean {' or '.join(map(str, candidates))}?" if candidates else ""


def short_ids(ids: Iterable[str]) -> dict[str, str]:
    """Return for each id the beginning that no other of them has, of one length for all.

    It has at least eight characters, and `find_by_id_or_name` takes it.
    """
    every = sorted(set(ids))
    length = 8
    while len({one[:length] for one in every}) < len(every):
        length += 1
    return {one: one[:length].rstrip("-") for one in every}
