"""What a write without an ETag replaces besides what it changes: kept as digests, compared later.

Settings of an app are written as a whole: a delivery that was frozen before its write puts back
what it had read of all of them. A secret is one value, and only the URL in it is ours.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

from shared.domain.callers.edit import text_around
from shared.domain.callers.records import CallerIntent


def digest(*parts: str) -> str:
    """Return the SHA-256 of a value with the place where it stands: equal values look unlike."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def outside(place: str, text: str, *, is_json: bool) -> str:
    """Return the digest of a caller's text without the URLs and ids in it, which move."""
    return digest(place, *text_around(text, is_json=is_json))


def changes(before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, str]:
    """Return what differs, as it is afterwards; empty for what is gone."""
    return {
        place: after.get(place, "")
        for place in before.keys() | after.keys()
        if before.get(place, "") != after.get(place, "")
    }


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What each delivery of a job read of one resource before it last wrote there, the last last.

    Digests by address, and by the caller's id what stands beside the URLs in its own value.
    """

    noted: tuple[Mapping[str, str], ...]

    @classmethod
    def of(cls, intents: Iterable[CallerIntent]) -> Self:
        """Fold the intents for the callers of one resource."""
        noted: dict[int, dict[str, str]] = defaultdict(dict)
        for intent in sorted(intents, key=lambda one: (one.lease_number, one.sequence)):
            if intent.around:
                noted[intent.lease_number].update(intent.around)
        return cls(tuple(noted.values()))

    def put_back(self, now: Mapping[str, str]) -> set[str]:
        """Return the places that are no more as the last delivery read them, but as an older did.

        Whatever else differs was changed by somebody who has read it.
        """
        if not self.noted:
            return set()
        *older, last = self.noted
        different = changes(last, now)
        return {
            place
            for place, value in different.items()
            if any(old.get(place, "") == value for old in older)
        }
