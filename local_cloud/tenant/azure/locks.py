"""Apply locks of `Microsoft.Authorization`: a read-only lock rejects all writes below it."""

from local_cloud.tenant.azure.resources import JsonObject
from local_cloud.tenant.azure.state import Azure
from local_cloud.tenant.core.platform_error import SimulatedPlatformError

LOCKS = "Microsoft.Authorization/locks"


def build_lock(scope: str, name: str, level: str) -> JsonObject:
    return {
        "id": f"{scope}/providers/{LOCKS}/{name}",
        "name": name,
        "type": LOCKS,
        "properties": {"level": level},
    }


def require_unlocked(azure: Azure, method: str, path: str) -> None:
    """Reject (409) a write below a read-only lock."""
    if method in ("GET", "HEAD"):
        return
    for lock in azure.locks:
        scope = lock["id"].partition(f"/providers/{LOCKS}/")[0]
        is_below = f"{path}/".lower().startswith(f"{scope}/".lower())
        if is_below and lock["properties"]["level"] == "ReadOnly":
            raise SimulatedPlatformError(
                409,
                "ScopeLocked",
                f"The scope '{path}' cannot perform write operation because following scope(s) "
                f"are locked: '{scope}'. Please remove the lock and try again.",
            )
