"""Compute with whom Dataverse shares a flow, and which shares its copy still lacks.

`steps/copying/share_copy.py` reads and writes the shares.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from shared.domain.flow import FlowPermission

#: Tables of Dataverse whose rows a flow can be shared with.
USERS = "systemuser"
TEAMS = "team"

_READ = frozenset({"ReadAccess"})
_EDIT = _READ | {
    "WriteAccess",
    "AppendAccess",
    "AppendToAccess",
    "DeleteAccess",
    "ShareAccess",
    "AssignAccess",
}
#: Roles of the flow service (platform.md#flow-permissions) as rights of Dataverse. No source
#: documents this mapping.
_RIGHTS = {
    "owner": _EDIT,
    "canedit": _EDIT,
    "canviewwithshare": _READ | {"ShareAccess"},
    "canview": _READ,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DataversePrincipal:
    """A user or team of Dataverse with which a flow can be shared."""

    #: Logical name of its table: `systemuser` or `team`.
    table: str
    #: Its id in lower case, which is an `ownerid` for all of these tables.
    id: str

    def __str__(self) -> str:
        """Return the principal as texts name it, such as `team 8c2e3f7a-…`."""
        return f"{'user' if self.table == USERS else self.table} {self.id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """The rights of a principal on a flow that it does not own."""

    principal: DataversePrincipal
    #: Names of Dataverse's access rights, such as `ReadAccess`.
    rights: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class DataverseUser:
    """A row of Dataverse's table `systemuser`."""

    principal: DataversePrincipal
    name: str
    is_disabled: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingShare:
    """A share of an original that its copy does not have, or has with other rights."""

    share: Share
    #: The principal has other rights on the copy, which are replaced.
    has_others: bool


def list_rights(role: str) -> frozenset[str]:
    """Return the Dataverse rights of a flow service role. An unknown role has the right to read."""
    return _RIGHTS.get(role.lower(), _READ)


def list_shares_to_copy(
    shares: Iterable[Share], left_out: Collection[DataversePrincipal]
) -> tuple[Share, ...]:
    """Return the shares that a copy needs, one for each principal, in a fixed order."""
    by_principal: dict[DataversePrincipal, Share] = {}
    for share in shares:
        if share.principal in left_out or not share.rights:
            continue
        known = by_principal.get(share.principal, share)
        by_principal[share.principal] = replace(known, rights=known.rights | share.rights)
    return tuple(sorted(by_principal.values(), key=lambda one: str(one.principal)))


def list_missing_shares(wanted: Iterable[Share], held: Iterable[Share]) -> list[MissingShare]:
    """Return which wanted shares a copy lacks. Shares that it has besides them do not matter."""
    rights = {share.principal: share.rights for share in held}
    return [
        MissingShare(share=share, has_others=share.principal in rights)
        for share in wanted
        if rights.get(share.principal) != share.rights
    ]


def exclude_principals(
    permissions: Iterable[FlowPermission], *entra_ids: str
) -> list[FlowPermission]:
    """Return the permissions of all principals except those with these Entra object ids."""
    left_out = {one.lower() for one in entra_ids}
    return [one for one in permissions if one.principal_id.lower() not in left_out]
