from dataclasses import replace
from typing import Any

import pytest

from shared.domain.callers.caller import CallerContent
from shared.errors import Conflict, JobBlocked, NotFound, PlatformError, TransientError
from shared.ports import WritesWholeResource
from tests.fakes.services import build_kinds
from tests.functional.callers.called_tenant import Tenant

KIND = "container_app"


def get_app(tenant: Tenant, app_id: str) -> dict[str, Any]:
    app = tenant.world.resources[app_id.lower()]
    assert isinstance(app, dict)
    return app


def add_revision(tenant: Tenant, app_id: str, name: str, *, is_active: bool) -> None:
    variable = {"name": "FLOW", "value": tenant.builder.get_trigger_url(tenant.original)}
    template = {"containers": [{"name": "web", "env": [variable]}]}
    tenant.world.resources[f"{app_id}/revisions/{name}".lower()] = {
        "name": name,
        "properties": {"active": is_active, "template": template},
    }


async def test_write_changes_only_the_values(tenant: Tenant) -> None:
    app_id = tenant.builder.add_container_app_caller(tenant.original, tenant.original)
    properties = get_app(tenant, app_id)["properties"]
    vault_secret = {"name": "db", "keyVaultUrl": "https://kv.example/secrets/db", "identity": "x"}
    properties["configuration"]["secrets"] += [vault_secret, {"name": "key", "value": "k"}]
    properties["template"]["revisionSuffix"] = "first"
    properties["template"]["containers"][0]["env"].append({"name": "COLOUR", "value": "blue"})

    callers = await tenant.list_found_callers(KIND)
    for caller in callers:
        await tenant.update_caller(caller)

    url = tenant.builder.get_trigger_url(tenant.copy)
    after = get_app(tenant, app_id)
    assert [caller.label for caller in callers] == [
        "secret url0 of the container app till",
        "environment variable url1 of the container app till",
    ]
    assert after["tags"] == {"team": "integration"}
    assert after["properties"]["configuration"]["secrets"] == [
        {"name": "url0", "value": url},
        vault_secret,
        {"name": "key", "value": "k"},
    ]
    assert after["properties"]["template"] == {
        "containers": [
            {
                "name": "web",
                "image": "web:1",
                "env": [
                    {"name": "url0", "secretRef": "url0"},
                    {"name": "url1", "value": url},
                    {"name": "COLOUR", "value": "blue"},
                ],
            }
        ]
    }
    assert tenant.count_runs_after_a_beat() == (0, 2)


async def test_secrets_and_variables_are_written_in_one_request(tenant: Tenant) -> None:
    """A new revision reads the new secrets."""
    app_id = tenant.builder.add_container_app_caller(tenant.original, tenant.original)
    callers, kind = await tenant.list_found_callers(KIND), tenant.kinds[KIND]
    assert isinstance(kind, WritesWholeResource)
    held = await kind.read_all(callers)

    await kind.write_all([(one, replace(held[one.address], text="new")) for one in callers])

    assert [write.target for write in tenant.world.writes] == [app_id]
    assert tenant.world.secrets_in_use[app_id.lower()] == {"url0": "new"}


@pytest.mark.parametrize("part", ["variable", "template"])
async def test_app_that_was_changed_since_the_read_is_a_conflict(tenant: Tenant, part: str) -> None:
    """A PATCH replaces the whole template."""
    app_id = tenant.builder.add_container_app_caller(tenant.original)
    [caller] = await tenant.list_found_callers(KIND)
    content = await tenant.read(caller)
    [container] = get_app(tenant, app_id)["properties"]["template"]["containers"]
    container |= {"env": [{"name": "A", "value": "b"}]} if part == "variable" else {"image": "2"}

    with pytest.raises(Conflict, match="was changed"):
        await tenant.kinds[KIND].write(caller, replace(content, text="new"))

    assert (await tenant.read(caller)).text == content.text


async def test_concurrent_write_of_an_app_is_a_conflict(tenant: Tenant) -> None:
    app_id = tenant.builder.add_container_app_caller(tenant.original)
    [caller] = await tenant.list_found_callers(KIND)
    content = await tenant.read(caller)

    def overwrite(_: object) -> list[str]:
        secrets = [{"name": "url0", "value": "another"}]
        get_app(tenant, app_id)["properties"]["configuration"]["secrets"] = secrets
        return []

    tenant.world.watchers.append(overwrite)
    with pytest.raises(Conflict, match="somebody else"):
        await tenant.kinds[KIND].write(caller, replace(content, text="new"))


async def test_app_that_azure_still_changes_is_written_later(tenant: Tenant) -> None:
    """Azure applies a change after its response."""
    app_id = tenant.builder.add_container_app_caller(tenant.original)
    [caller] = await tenant.list_found_callers(KIND)
    content = replace(await tenant.read(caller), text="new")

    def apply(_: object) -> list[str]:
        get_app(tenant, app_id)["properties"]["provisioningState"] = "InProgress"
        return []

    tenant.world.watchers.append(apply)
    with pytest.raises(TransientError, match="applying a change"):
        await tenant.kinds[KIND].write(caller, content)
    in_use = dict(tenant.world.secrets_in_use[app_id.lower()])
    with pytest.raises(TransientError, match="applying a change"):
        await tenant.kinds[KIND].write(caller, content)
    get_app(tenant, app_id)["properties"]["provisioningState"] = "Succeeded"
    await tenant.kinds[KIND].write(caller, content)

    assert in_use == {"url0": tenant.builder.get_trigger_url(tenant.original)}
    assert tenant.world.secrets_in_use[app_id.lower()] == {"url0": "new"}


async def test_variables_of_active_revisions_are_manual_callers(tenant: Tenant) -> None:
    """A variable of a revision cannot be changed."""
    app_id = tenant.builder.add_container_app_caller(tenant.original)
    app = get_app(tenant, app_id)
    app["properties"]["configuration"]["activeRevisionsMode"] = "Multiple"
    add_revision(tenant, app_id, "till--2", is_active=True)
    add_revision(tenant, app_id, "till--3", is_active=False)

    secret, variable = await tenant.list_found_callers(KIND)
    await tenant.update_caller(secret)
    del tenant.world.resources[f"{app_id}/revisions/till--2".lower()]

    assert not secret.manual_reason
    assert (
        variable.label == "environment variable FLOW in revision till--2 of the container app till"
    )
    assert "deactivate this one" in variable.manual_reason
    assert tenant.count_runs_after_a_beat() == (0, 1)
    with pytest.raises(NotFound):
        await tenant.read(variable)


async def test_url_elsewhere_in_an_app_is_a_manual_caller(tenant: Tenant) -> None:
    app_id = tenant.builder.add_container_app_caller()
    [container] = get_app(tenant, app_id)["properties"]["template"]["containers"]
    container["args"] = ["--flow", tenant.builder.get_trigger_url(tenant.original)]

    [caller] = await tenant.list_found_callers(KIND)

    assert "where the app is deployed from" in caller.manual_reason
    assert caller.label == "template of the container app till"


async def test_app_whose_secrets_are_unreadable_is_named(tenant: Tenant) -> None:
    class Denied:
        async def read(self, resource_id: str, action: str, api_version: str) -> Any:
            raise PlatformError("no", code="AuthorizationFailed", status=403)

    tenant.builder.add_container_app_caller(tenant.original, tenant.original)
    kind = build_kinds(replace(tenant.ports, resource_secrets=Denied()))[KIND]
    callers = kind.find([])

    caller = await anext(callers)
    with pytest.raises(JobBlocked, match="secrets of the container app till"):
        await anext(callers)

    assert caller.label == "environment variable url1 of the container app till"


async def test_equal_variable_is_not_written_again(tenant: Tenant) -> None:
    """A write would start a new revision."""
    tenant.builder.add_container_app_caller(tenant.copy, tenant.original)
    [caller] = await tenant.list_found_callers(KIND)
    content = await tenant.read(caller)

    await tenant.kinds[KIND].write(caller, CallerContent(text=content.text, etag=content.etag))

    assert tenant.world.writes == []
