"""Who calls the API, and what they may do."""

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What a principal may do: app roles of the app's registration in Entra."""

    READER = "reader"  #: sees everything, changes nothing
    OPERATOR = "operator"  #: orders, retries, undoes, stops
    APPROVER = "approver"  #: approves what is to be written, and decides what may be


class PrincipalKind(StrEnum):
    """Who it is that calls."""

    USER = "user"
    APPLICATION = "application"  #: an application or a managed identity
    FUNCTION_KEY = "function_key"  #: whoever has the function key: nobody knows who


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who calls, as far as the platform says it."""

    #: For people; of a key's holder what they call themselves, empty where they do not.
    name: str = ""
    #: Object id in Entra; empty: it is not known who it is.
    id: str = ""
    roles: frozenset[Role]
    kind: PrincipalKind

    def may(self, role: Role) -> bool:
        """Say whether it has the role. Whoever may do anything may read."""
        return role in self.roles or (role is Role.READER and bool(self.roles))
