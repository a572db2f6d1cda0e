"""A read-only lock rejects every write, so the plan names it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from shared.errors import Conflict, JobBlocked
from tests.fakes.builder import Builder
from tests.fakes.services import kinds_on
from tests.functional.callers.called_tenant import Tenant

KINDS: dict[str, Callable[..., str]] = {
    "action_group": Builder.action_group_caller,
    "container_app": Builder.container_app_caller,
    "event_grid_subscription": Builder.event_grid_caller,
    "logic_app": Builder.logic_app_caller,
}


@pytest.fixture
def tenant() -> Tenant:
    """Return a tenant without callers."""
    return Tenant()


@pytest.mark.parametrize(("level", "is_manual"), [("ReadOnly", True), ("CanNotDelete", False)])
@pytest.mark.parametrize("kind", KINDS)
async def test_read_only_lock_is_known_before_a_write(
    tenant: Tenant, kind: str, level: str, *, is_manual: bool
) -> None:
    """A lock on a resource group counts for everything in it."""
    resource_id = KINDS[kind](tenant.builder, tenant.original)
    group = "/".join(resource_id.split("/")[:5])
    tenant.world.resources["lock"] = {
        "id": f"{group}/providers/Microsoft.Authorization/locks/frozen",
        "name": "frozen",
        "type": "Microsoft.Authorization/locks",
        "properties": {"level": level},
    }

    [caller] = await tenant.found(kind)

    assert ("lock frozen at" in caller.manual_reason) is is_manual
    assert bool(caller.manual_reason) is is_manual


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("container_app", "secrets of the container app till"),
        ("event_grid_subscription", "URL of the event subscription flow0"),
    ],
)
async def test_values_that_a_lock_hides_are_named(tenant: Tenant, kind: str, text: str) -> None:
    """Azure reads them by POST, which a read-only lock rejects with a conflict."""

    class Locked:
        """Rejects every POST."""

        async def read(self, resource_id: str, action: str, api_version: str) -> Any:
            """Reject."""
            raise Conflict("The scope is locked (ScopeLocked)")

    KINDS[kind](tenant.builder, tenant.original)
    locked = kinds_on(replace(tenant.ports, resource_secrets=Locked()))[kind]

    with pytest.raises(JobBlocked, match=f"{text} .conflict, maybe a read-only lock"):
        [one async for one in locked.find([])]
