from collections.abc import Callable

import pytest

from shared.errors import JobBlocked, PlatformError
from tests.fakes.app_settings import FakeAppSettings, FakeConnectionStrings
from tests.fakes.builder import Builder
from tests.fakes.resource_secrets import FakeResourceSecrets
from tests.functional.callers.called_tenant import Tenant
from tests.kinds.cases import load_caller_case

#: How to add a caller, by its kind and, if the kind has several places, its place.
PLACES: dict[str, Callable[..., str]] = {
    "action_group": Builder.add_action_group_caller,
    "api_management backend": lambda *flow: Builder.add_backend_caller(*flow)[0],
    "api_management named value": Builder.add_named_value_caller,
    "api_management policy": Builder.add_policy_caller,
    "automation": Builder.add_automation_caller,
    "container_app": Builder.add_container_app_caller,
    "event_grid_subscription": Builder.add_event_grid_caller,
    "logic_app": Builder.add_logic_app_caller,
    "logic_app_standard": lambda *flow: Builder.add_workflow_file_caller(*flow)[0],
}


@pytest.mark.parametrize(("level", "is_manual"), [("ReadOnly", True), ("CanNotDelete", False)])
@pytest.mark.parametrize("place", PLACES)
async def test_read_only_lock_is_known_before_a_write(
    tenant: Tenant, place: str, level: str, *, is_manual: bool
) -> None:
    resource_id = PLACES[place](tenant.builder, tenant.original)
    group = "/".join(resource_id.split("/")[:5])
    tenant.world.resources["lock"] = {
        "id": f"{group}/providers/Microsoft.Authorization/locks/frozen",
        "name": "frozen",
        "type": "Microsoft.Authorization/locks",
        "properties": {"level": level},
    }

    [caller] = await tenant.list_found_callers(place.partition(" ")[0])

    assert ("lock frozen at" in caller.manual_reason) is is_manual
    assert bool(caller.manual_reason) is is_manual


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("container_app", "secrets of the container app till"),
        ("event_grid_subscription", "URL of the event subscription flow0"),
        ("app_setting", "app orders-api"),
        ("connection_string", "app portal-api"),
    ],
)
async def test_values_that_a_lock_hides_are_named(
    tenant: Tenant, kind: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Azure returns these values only to a POST request, which a read-only lock rejects."""

    async def reject(*_: object) -> None:
        text = "The following scope(s) are locked: '/subscriptions/s'."
        raise PlatformError(text, code="ScopeLocked", status=409)

    load_caller_case(kind).add(tenant.builder, tenant.original)
    for port in (FakeResourceSecrets, FakeAppSettings, FakeConnectionStrings):
        monkeypatch.setattr(port, "read", reject)

    with pytest.raises(JobBlocked, match=f"{text} .read-only lock at /subscriptions/s") as caught:
        [one async for one in tenant.kinds[kind].find([])]

    assert caught.value.fix == "Remove each read-only lock. Then assess or plan again."
