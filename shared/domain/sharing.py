"""Who a flow is shared with, as Dataverse keeps it, and what of that a copy still lacks.

Pure rules; the reads and the writes are in `steps/copying/share_copy.py`.
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
#: Roles of the flow service (platform.md#flow-permissions) as rights of Dataverse. No source gives
#: this table.
_RIGHTS = {
    "owner": _EDIT,
    "canedit": _EDIT,
    "canviewwithshare": _READ | {"ShareAccess"},
    "canview": _READ,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DataversePrincipal:
    """A row of Dataverse that a flow can be shared with."""

    #: Logical name of its table: `systemuser`, `team`.
    table: str
    #: Its id in lower case, which for all of these tables is an `ownerid`.
    id: str

    def __str__(self) -> str:
        """Return it as texts name it."""
        return f"{'user' if self.table == USERS else self.table} {self.id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What one principal may do with a flow that is not its own."""

    principal: DataversePrincipal
    #: Names of Dataverse's access rights, such as `ReadAccess`.
    rights: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class DataverseUser:
    """A row of `systemuser`."""

    principal: DataversePrincipal
    name: str
    is_disabled: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingShare:
    """A share that a copy has not, or not with the same rights."""

    share: Share
    #: The principal has other rights on the copy: they are replaced.
    has_others: bool


def rights_of(role: str) -> frozenset[str]:
    """Return the rights that a role of the flow service stands for; of an unknown one, to read."""
    return _RIGHTS.get(role.lower(), _READ)


def shares_to_copy(
    shares: Iterable[Share], left_out: Collection[DataversePrincipal]
) -> tuple[Share, ...]:
    """Return what a copy is to be shared with, each principal once, in a fixed order."""
    by_principal: dict[DataversePrincipal, Share] = {}
    for share in shares:
        if share.principal in left_out or not share.rights:
            continue
        known = by_principal.get(share.principal, share)
        by_principal[share.principal] = replace(known, rights=known.rights | share.rights)
    return tuple(sorted(by_principal.values(), key=lambda one: str(one.principal)))


def missing_shares(wanted: Iterable[Share], held: Iterable[Share]) -> list[MissingShare]:
    """Return which of the wanted shares a copy lacks. Who else it is shared with stays as it is."""
    rights = {share.principal: share.rights for share in held}
    return [
        MissingShare(share=share, has_others=share.principal in rights)
        for share in wanted
        if rights.get(share.principal) != share.rights
    ]


def others_than(permissions: Iterable[FlowPermission], *entra_ids: str) -> list[FlowPermission]:
    """Return the permissions of everybody but these, by Entra object id."""
    left_out = {one.lower() for one in entra_ids}
    return [one for one in permissions if one.principal_id.lower() not in left_out]
