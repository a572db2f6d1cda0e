"""Detect values that a late write without an ETag has set back.

App settings are written all at once. If an invocation is suspended before its write, it later sets
every setting back to the value that it had read. Digests of the values show this.
"""

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Self

from shared.domain.callers.caller_edit import split_at_references
from shared.domain.callers.caller_records import CallerEditIntent


def hash_texts(*parts: str) -> str:
    """Return the SHA-256 of these texts, such as an address and its value."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def hash_surroundings(place: str, text: str, *, is_json: bool) -> str:
    """Return one digest of a caller's address and its text, without trigger URLs and flow ids."""
    return hash_texts(place, *split_at_references(text, is_json=is_json))


def find_changed_digests(before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, str]:
    """Return the new digest of each address whose digest differs, or "" if the value is gone."""
    return {
        place: after.get(place, "")
        for place in before.keys() | after.keys()
        if before.get(place, "") != after.get(place, "")
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class UnchangedContentDigests:
    """Digests of the values that invocations of a job read in one resource before they wrote.

    `digests` contains a mapping from address to digest for each invocation, in order. The digest
    under a caller's id is that of the caller's own value, without its trigger URLs and flow ids.
    """

    digests: tuple[Mapping[str, str], ...]
    #: Ids of callers. An address without a digest was absent when the invocation read the resource;
    #: a caller without a digest may just not have been written by that invocation.
    caller_ids: frozenset[str]

    @classmethod
    def combine(cls, intents: Iterable[CallerEditIntent]) -> Self:
        """Collect the digests from the edit intents of all callers of one resource."""
        noted: dict[int, dict[str, str]] = defaultdict(dict)
        caller_ids = set[str]()
        for intent in sorted(intents, key=lambda one: (one.fencing_token, one.sequence)):
            if intent.surrounding_digests:
                noted[intent.fencing_token].update(intent.surrounding_digests)
                caller_ids.add(intent.caller_id)
        return cls(digests=tuple(noted.values()), caller_ids=frozenset(caller_ids))

    def find_reverted_addresses(
        self, now: Mapping[str, str], versions: Mapping[str, Collection[str]]
    ) -> set[str]:
        """Return the addresses whose value changed after an invocation had read it, and then
        changed back.

        The value in between was read by a later invocation, or is one of the latest `versions`. If
        no invocation has read the current value, the address is not returned, because its writer
        may have read the latest value.
        """
        found = set[str]()
        for place in {place for noted in self.digests for place in noted}:
            read = [
                noted.get(place, "")
                for noted in self.digests
                if place in noted or place not in self.caller_ids
            ]
            value = now.get(place, "")
            if value in read:
                later = set(read[read.index(value) :])
                if later - {value} or set(versions.get(place, ())).difference(read):
                    found.add(place)
        return found
