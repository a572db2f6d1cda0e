"""Define the owner of a flow, as Dataverse and the flow service show it."""

from dataclasses import dataclass
from enum import StrEnum


class OwnerStatus(StrEnum):
    """What is known about an owner."""

    ENABLED = "enabled"  #: a user who can sign in, or a team
    DISABLED = "disabled"  #: a user whose account is disabled
    NOT_FOUND = "not_found"  #: neither user nor team of the environment
    UNKNOWN = "unknown"  #: only the id was read

    @property
    def has_left(self) -> bool:
        """Return whether nobody can act as the owner."""
        return self in {OwnerStatus.DISABLED, OwnerStatus.NOT_FOUND}


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowOwner:
    """The owner of a flow, as last read."""

    #: `systemuserid` or `teamid` in lower case; of a flow without a Dataverse row, `entra_id`.
    id: str
    #: Entra object id in lower case; empty: none, or unknown.
    entra_id: str = ""
    #: Empty if unknown.
    name: str = ""
    status: OwnerStatus = OwnerStatus.UNKNOWN

    @property
    def label(self) -> str:
        """Return the owner's name or id, with the status if a person should know it."""
        match self.status:
            case OwnerStatus.ENABLED:
                return self.name or self.id
            case OwnerStatus.UNKNOWN:
                return self.name or f"{self.id} (name unknown)"
        return f"{self.name or self.id} ({self.status.replace('_', ' ')})"


def format_owner(owner: FlowOwner | None) -> str:
    """Return the label of an owner, or `unknown` if a flow was read without its owner."""
    return owner.label if owner else "unknown"


def is_owned_by(owner: FlowOwner | None, text: str) -> bool:
    """Return whether the owner's label or an id of the owner contains the text."""
    ids = f"{owner.id} {owner.entra_id}" if owner else ""
    return text.strip().lower() in f"{format_owner(owner)} {ids}".lower()
