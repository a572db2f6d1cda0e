from collections.abc import Mapping
from contextlib import suppress

import pytest

from shared.domain.callers.caller import FILLED_IN, Caller, CallerContent
from shared.domain.callers.search_position import CallerSearchPosition
from shared.domain.definitions.json_values import mapping_at
from shared.errors import Conflict, JobBlocked, PlatformError
from tests.fakes.resource_reader import FakeResourceReader
from tests.fakes.resource_secrets import FakeResourceSecrets
from tests.functional.callers.called_tenant import Tenant

PLACES = ["backend", "named value", "policy"]


def change_properties(tenant: Tenant, resource_id: str, **properties: object) -> None:
    before = tenant.world.resources[resource_id.lower()]
    after = {**mapping_at(before, "properties"), **properties}
    tenant.world.resources[resource_id.lower()] = {**before, "properties": after, "etag": "new"}


def add_callers(tenant: Tenant) -> dict[str, str]:
    [backend] = tenant.builder.add_backend_caller(tenant.original)
    named_value = tenant.builder.add_named_value_caller(tenant.original)
    policy = tenant.builder.add_policy_caller(tenant.original)
    return dict(zip(PLACES, (backend, named_value, policy), strict=True))


async def find_only_caller(tenant: Tenant, place: str) -> Caller:
    [caller] = [
        one
        for one in await tenant.list_found_callers("api_management")
        if one.label.startswith(place)
    ]
    return caller


@pytest.mark.parametrize("place", PLACES)
async def test_write_changes_only_the_url(tenant: Tenant, place: str) -> None:
    resource_id = add_callers(tenant)[place].lower()
    before = tenant.world.resources[resource_id]
    caller = await find_only_caller(tenant, place)

    old = await tenant.update_caller(caller)
    moved = tenant.world.resources[resource_id]
    await tenant.revert_caller(caller, old)

    assert moved != before
    assert mapping_at(moved, "properties").keys() == mapping_at(before, "properties").keys()
    after = {**tenant.world.resources[resource_id]}
    del after["etag"]
    assert after == before


@pytest.mark.parametrize("place", PLACES)
async def test_write_after_an_edit_is_a_conflict(tenant: Tenant, place: str) -> None:
    """The ETag covers the whole resource."""
    resource_id = add_callers(tenant)[place]
    caller = await find_only_caller(tenant, place)
    content = await tenant.read(caller)
    change_properties(tenant, resource_id, description="edited")

    with pytest.raises(Conflict):
        await tenant.kinds["api_management"].write(
            caller, CallerContent(text="x", etag=content.etag)
        )

    properties = mapping_at(tenant.world.resources[resource_id.lower()], "properties")
    assert properties["description"] == "edited"
    assert await tenant.read(caller) != content


@pytest.mark.parametrize("place", PLACES)
async def test_edit_between_read_and_write_of_the_same_request_is_kept(
    tenant: Tenant, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The write sends the ETag that was read just before it."""
    resource_id = add_callers(tenant)[place]
    caller = await find_only_caller(tenant, place)
    content = await tenant.read(caller)
    read = tenant.kinds["api_management"].read

    async def read_before_an_edit(read_caller: Caller) -> CallerContent:
        found = await read(read_caller)
        change_properties(tenant, resource_id, description="edited")
        return found

    monkeypatch.setattr(tenant.kinds["api_management"], "read", read_before_an_edit)
    with pytest.raises(Conflict):
        await tenant.kinds["api_management"].write(
            caller, CallerContent(text="x", etag=content.etag)
        )

    properties = mapping_at(tenant.world.resources[resource_id.lower()], "properties")
    assert properties["description"] == "edited"


async def test_service_url_of_an_api_is_a_caller(tenant: Tenant) -> None:
    """An API without a backend holds the URL in its own property `serviceUrl`."""
    url = tenant.builder.get_trigger_url(tenant.original)
    tenant.builder.add_api_management_caller("apis/sales", {"serviceUrl": url}, "serviceUrl", 1)

    caller = await find_only_caller(tenant, "API")
    await tenant.update_caller(caller)

    assert caller.label == "API sales in the API Management service contoso"
    assert tenant.count_runs_after_a_beat() == (0, 1)


async def test_url_that_a_policy_completes_is_changed_by_a_person(tenant: Tenant) -> None:
    """A policy adds the path and the signature to the backend's URL."""
    url = tenant.builder.get_trigger_url(tenant.original).partition("/triggers/")[0]
    tenant.builder.add_api_management_caller("backends/crm", {"url": f"{url}/triggers"}, "url", 0)

    caller = await find_only_caller(tenant, "backend")

    assert caller.manual_reason == FILLED_IN
    assert tenant.original.trigger_url_id in (await tenant.read(caller)).text


async def test_named_value_in_key_vault_is_no_caller(tenant: Tenant) -> None:
    """The secret to which the named value refers is the caller."""
    properties = {"displayName": "flow", "secret": True, "keyVault": {"secretIdentifier": "x"}}
    properties["value"] = tenant.builder.get_trigger_url(tenant.original)
    tenant.builder.add_api_management_caller("namedValues/flow", properties, "value", 0)

    assert await tenant.list_found_callers("api_management") == []


async def test_named_value_that_the_app_may_not_list_is_reported(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def reject(*_: object) -> None:
        raise PlatformError("no", code="AuthorizationFailed", status=403)

    tenant.builder.add_named_value_caller(tenant.original)
    properties = {"displayName": "open", "value": tenant.builder.get_trigger_url(tenant.original)}
    tenant.builder.add_api_management_caller("namedValues/open", properties, "value", 0)
    monkeypatch.setattr(FakeResourceSecrets, "read", reject)
    search, found = CallerSearchPosition(), set()

    with suppress(JobBlocked):
        async for caller in tenant.kinds["api_management"].find([], search):
            found.add(caller.label)

    assert found == {"named value open in the API Management service contoso"}
    assert search.unreadable == [
        "named value flow-urls in the API Management service contoso (AuthorizationFailed)"
    ]


async def test_value_that_may_become_too_long_is_known_before(tenant: Tenant) -> None:
    url = tenant.builder.get_trigger_url(tenant.original)
    properties = {"displayName": "flow", "value": f"{'x' * 96}={url}"}
    tenant.builder.add_api_management_caller("namedValues/flow", properties, "value", 0)
    tenant.builder.add_backend_caller(tenant.original)
    tenant.builder.add_policy_caller(tenant.original)

    longest = [(await find_only_caller(tenant, place)).max_url_length for place in PLACES]

    assert longest == [2000, 4096 - 97, None]


async def test_fragment_is_one_caller_and_names_its_users(tenant: Tenant) -> None:
    """One write changes the URL for each policy that includes the fragment."""
    url = tenant.builder.get_trigger_url(tenant.original).replace("&", "&amp;")
    value = f"<fragment><set-url>{url}</set-url></fragment>"
    fragment = {"format": "rawxml", "value": value, "description": "notifies"}
    path = tenant.builder.add_api_management_caller("policyFragments/notify", fragment, "value", 1)
    for api in ("billing", "crm", "sales", "shop"):
        include = {"value": '<policies><include-fragment fragment-id="notify" /></policies>'}
        tenant.builder.add_api_management_caller(f"apis/{api}/policies/policy", include, "value", 0)

    caller = await find_only_caller(tenant, "policy fragment")
    await tenant.update_caller(caller)

    assert caller.label == (
        "policy fragment notify in the API Management service contoso (used by policy of the API "
        "billing; policy of the API crm; policy of the API sales; 1 more)"
    )
    assert mapping_at(tenant.world.resources[path.lower()], "properties")["description"]
    assert tenant.count_runs_after_a_beat() == (0, 1)


async def test_service_in_a_resource_group_named_service_is_searched(tenant: Tenant) -> None:
    """The service's resource id then contains `/service` twice."""
    [backend] = tenant.builder.add_backend_caller(tenant.original)
    group = "/".join(backend.split("/")[:5])
    resources = tenant.world.resources
    for path, resource in [*resources.items()]:
        moved = str(resource["id"]).replace(group, f"{group.rpartition('/')[0]}/service")
        moved = moved.replace("Microsoft.ApiManagement", "microsoft.apimanagement")
        del resources[path]
        resources[moved.lower()] = {**resource, "id": moved}

    caller = await find_only_caller(tenant, "backend")

    assert caller.label.endswith("in the API Management service contoso")


async def test_callers_are_found_although_the_locks_cannot_be_read(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = FakeResourceReader.list

    async def reject_locks(
        reader: FakeResourceReader, resource_type: str, api_version: str
    ) -> list[Mapping[str, object]]:
        if resource_type == "Microsoft.Authorization/locks":
            raise PlatformError("no", code="AuthorizationFailed", status=403)
        return await read(reader, resource_type, api_version)

    add_callers(tenant)
    monkeypatch.setattr(FakeResourceReader, "list", reject_locks)
    search, found = CallerSearchPosition(), set()

    with suppress(JobBlocked):
        async for caller in tenant.kinds["api_management"].find([], search):
            found.add(caller.label.split()[0])

    assert found == {"backend", "named", "policy"}
    assert any("AuthorizationFailed" in one for one in search.unreadable)
