"""List the owners of flows: suggestions for the filter, and owners who have left."""

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from shared.domain.flow_owner import FlowOwner, OwnerStatus, format_owner

#: Maximum number of owners that a filter suggests; others can be typed.
_SUGGESTED = 50


class AbsentOwners(NamedTuple):
    """The number of flows whose owner is disabled, or whose owner is not found."""

    #: The filter that selects their flows.
    filter: str
    flow_count: int
    #: What they are, after the number of flows.
    words: str


def suggest_owners(owners: Iterable[FlowOwner | None]) -> list[str]:
    """Return the owners with the most flows, which the filter suggests."""
    return [label for label, _ in Counter(map(format_owner, owners)).most_common(_SUGGESTED)]


def get_owner_name(owners: Iterable[FlowOwner | None], asked: str) -> str:
    """Return the name of the owner with the id `asked`, or `asked` if there is none."""
    return next((one.label for one in owners if one and asked in (one.id, one.entra_id)), asked)


def count_absent_owners(owners: Iterable[FlowOwner | None]) -> list[AbsentOwners]:
    """Return how many flows have a disabled owner, and how many have one who is not found."""
    counts = Counter(one.status for one in owners if one and one.status.has_left)
    words = {
        OwnerStatus.DISABLED: "an owner whose account is disabled",
        OwnerStatus.NOT_FOUND: "an owner who is not found in the environment",
    }
    return [
        AbsentOwners(filter=status.replace("_", " "), flow_count=counts[status], words=text)
        for status, text in words.items()
        if counts[status]
    ]
