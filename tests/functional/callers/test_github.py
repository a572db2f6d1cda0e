from dataclasses import replace

import pytest

from shared.callers.github import GITHUB, GitHubCallers
from shared.domain.callers.caller import Caller
from shared.domain.callers.search_position import CallerSearchPosition
from shared.errors import Conflict, JobBlocked
from tests.fakes.definition_builder import Json
from tests.functional.callers.called_tenant import Tenant
from tests.kinds.callers.github import add_callers, add_document

KIND = GitHubCallers.kind
SERVICE = GITHUB.name


def get_document(tenant: Tenant, path: str) -> Json:
    return dict(tenant.world.json_documents[SERVICE][path])


async def test_write_of_a_webhook_changes_only_the_url(tenant: Tenant) -> None:
    """GitHub returns asterisks for the secret."""
    config = {"url": tenant.builder.get_trigger_url(tenant.original), "secret": "********"}
    path = add_document(tenant.builder, "hooks/7", {"id": 7, "config": config})

    [caller] = await tenant.list_found_callers(KIND)
    old = await tenant.update_caller(caller)
    moved = get_document(tenant, path)["config"]
    await tenant.revert_caller(caller, old)

    assert caller.label == "webhook 7 of the GitHub repository contoso/shop"
    assert moved == config | {"url": tenant.builder.get_trigger_url(tenant.copy)}
    assert get_document(tenant, path)["config"] == config


async def test_write_of_a_variable_edited_after_the_read_is_a_conflict(tenant: Tenant) -> None:
    """GitHub has no conditional writes."""
    url = tenant.builder.get_trigger_url(tenant.original)
    path = add_document(
        tenant.builder, "actions/variables/FLOW", {"name": "FLOW", "value": f"{url}&from=shop"}
    )
    [caller] = await tenant.list_found_callers(KIND)
    content = await tenant.read(caller)
    tenant.world.json_documents[SERVICE][path] = {"name": "FLOW", "value": "edited"}

    with pytest.raises(Conflict):
        await tenant.kinds[KIND].write(caller, replace(content, text="x"))

    assert caller.label == "variable FLOW of the GitHub repository contoso/shop"
    assert get_document(tenant, path)["value"] == "edited"


async def test_document_without_id_or_name_hides_no_other_caller(tenant: Tenant) -> None:
    [webhook] = add_callers(tenant.builder, tenant.original)
    add_document(tenant.builder, "hooks/8", {"config": {}})
    add_document(tenant.builder, "actions/variables/X", {"value": "x"})

    assert [caller.address for caller in await tenant.list_found_callers(KIND)] == [webhook]


async def test_repository_that_rejects_the_token_does_not_hide_another(tenant: Tenant) -> None:
    [webhook] = add_callers(tenant.builder, tenant.original)
    add_document(tenant.builder, "actions/secrets/KEY", {"name": "KEY"})
    tenant.world.rejecting_scopes[SERVICE] = {"contoso/apart"}
    search, found = CallerSearchPosition(), list[Caller]()

    async def collect() -> None:
        async for caller in tenant.kinds[KIND].find([], search):
            found.append(caller)

    with pytest.raises(JobBlocked) as raised:
        await collect()

    assert [caller.address for caller in found] == [webhook]
    assert search.unreadable == [
        "secrets of the GitHub repository contoso/apart (Http401)",
        "variables of the GitHub repository contoso/apart (Http401)",
        "webhooks of the GitHub repository contoso/apart (Http401)",
        "secrets KEY of the GitHub repository contoso/shop",
    ]
    assert "CMK_GITHUB_TOKEN" in raised.value.fix
