"""What a write without an ETag replaces besides what it changes: kept as digests, compared later.

Settings of an app are written as a whole: a delivery that was frozen before its write puts back
what it had read of all of them. A secret is one value, and only the URL in it is ours.
"""

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Self

from shared.domain.callers.caller_edit import text_between_references
from shared.domain.callers.caller_records import CallerEditIntent


def value_digest(*parts: str) -> str:
    """Return the SHA-256 of a value with the place where it stands: equal values look unlike."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def surrounding_digest(place: str, text: str, *, is_json: bool) -> str:
    """Return the digest of a caller's text without the URLs and ids in it, which move."""
    return value_digest(place, *text_between_references(text, is_json=is_json))


def changed_digests(before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, str]:
    """Return what differs, as it is afterwards; empty for what is gone."""
    return {
        place: after.get(place, "")
        for place in before.keys() | after.keys()
        if before.get(place, "") != after.get(place, "")
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class UnchangedContentDigests:
    """What each delivery of a job read of one resource before it last wrote there, in order.

    Digests by address, and by the caller's id what stands beside the URLs in its own value.
    """

    noted: tuple[Mapping[str, str], ...]
    #: Ids of callers. An address that a delivery did not note was not there; of a caller it may
    #: not have written this one.
    caller_ids: frozenset[str]

    @classmethod
    def of(cls, intents: Iterable[CallerEditIntent]) -> Self:
        """Fold the intents for the callers of one resource."""
        noted: dict[int, dict[str, str]] = defaultdict(dict)
        caller_ids = set[str]()
        for intent in sorted(intents, key=lambda one: (one.lease_number, one.sequence)):
            if intent.around:
                noted[intent.lease_number].update(intent.around)
                caller_ids.add(intent.caller_id)
        return cls(noted=tuple(noted.values()), caller_ids=frozenset(caller_ids))

    def reverted(self, now: Mapping[str, str], versions: Mapping[str, Collection[str]]) -> set[str]:
        """Return the places that read as a delivery had read them, and did not in between.

        A later delivery has read something else there, or one of the latest `versions` none has
        read. What no delivery had read was written by somebody who may have seen all of that.
        """
        found = set[str]()
        for place in {place for noted in self.noted for place in noted}:
            read = [
                noted.get(place, "")
                for noted in self.noted
                if place in noted or place not in self.caller_ids
            ]
            value = now.get(place, "")
            if value in read:
                later = set(read[read.index(value) :])
                if later - {value} or set(versions.get(place, ())).difference(read):
                    found.add(place)
        return found
