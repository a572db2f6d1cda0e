"""Find the locks because of which Azure rejects every write, so that a plan can name them. See
platform.md#resource-locks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shared.domain.definitions.json_values import mapping_at, text_at
from shared.errors import SubscriptionsUnread
from shared.ports import ResourceReader

_TYPE = "Microsoft.Authorization/locks"
_VERSION = "2020-05-01"


@dataclass(frozen=True, slots=True)
class ReadOnlyLocks:
    """The read-only locks of the configured subscriptions."""

    #: Name of a lock by the lower-case id of what it locks.
    names: Mapping[str, str]

    def explain_lock_removal(self, resource_id: str) -> str:
        """Return a sentence that says how to remove the lock on a resource, or ""."""
        lock = self.describe_lock(resource_id)
        if not lock:
            return ""
        return (
            f"The {lock} rejects every change. Remove the lock and plan again, or change the URL "
            "yourself."
        )

    def describe_lock(self, resource_id: str) -> str:
        """Return a text with the name and scope of the lock on a resource, or ""."""
        wanted = f"{resource_id}/".lower()
        for scope, name in self.names.items():
            if wanted.startswith(f"{scope}/"):
                return f"read-only lock {name} at {scope}"
        return ""


async def read_read_only_locks(resources: ResourceReader) -> ReadOnlyLocks:
    """Return the read-only locks of subscriptions, resource groups and resources. Leaves out
    subscriptions that cannot be read.
    """
    names: dict[str, str] = {}
    try:
        listed: Sequence[Mapping[str, object]] = await resources.list(_TYPE, _VERSION)
    except SubscriptionsUnread as err:
        listed = err.found
    for lock in listed:
        if text_at(mapping_at(lock, "properties"), "level") == "ReadOnly":
            scope = (text_at(lock, "id") or "").lower().partition(f"/providers/{_TYPE.lower()}/")[0]
            names[scope] = text_at(lock, "name") or ""
    return ReadOnlyLocks(names)
