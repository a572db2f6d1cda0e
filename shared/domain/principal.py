"""Define who sends a request to the API, and what they may do."""

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """An app role of the app registration in Entra. It says what a principal may do."""

    READER = "reader"  #: reads everything, changes nothing
    OPERATOR = "operator"  #: starts, retries, rolls back and cancels
    APPROVER = "approver"  #: approves plans and deletions, and changes settings


class PrincipalKind(StrEnum):
    """What a principal is: a person, an application, or the holder of a key or link."""

    USER = "user"
    APPLICATION = "application"  #: an application or a managed identity
    FUNCTION_KEY = "function_key"  #: an unknown holder of the function key
    LINK = "link"  #: an unknown holder of a confirmation link


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """The sender of a request to the API."""

    #: For people; for a function key the name that its holder gives, or empty.
    name: str = ""
    #: Object id in Entra; empty: unknown.
    id: str = ""
    roles: frozenset[Role]
    kind: PrincipalKind

    def has_role(self, role: Role) -> bool:
        """Return whether the principal has this role. Every role includes `reader`."""
        return role in self.roles or (role is Role.READER and bool(self.roles))
