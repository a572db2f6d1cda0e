from dataclasses import replace

import pytest

from shared.callers.azure_devops import AZURE_DEVOPS, AzureDevOpsCallers
from shared.domain.callers.caller import Caller
from shared.domain.callers.search_position import CallerSearchPosition
from shared.domain.definitions.json_values import mapping_at
from shared.errors import Conflict, JobBlocked
from tests.fakes.definition_builder import Json
from tests.functional.callers.called_tenant import Tenant
from tests.kinds.callers.azure_devops import add_document, add_variable_group

KIND = AzureDevOpsCallers.kind
HOOK = "_apis/hooks/subscriptions/h1"
ORGANIZATION = "Azure DevOps organization contoso"
#: What Azure DevOps sets, and a write must not send.
SET_BY_SERVICE = {"url": "https://dev.azure.com/x", "createdBy": {"id": "x"}}


def add_hook(tenant: Tenant, **inputs: str) -> str:
    hook: Json = {
        "id": "h1",
        "publisherId": "tfs",
        "eventType": "git.push",
        "consumerId": "webHooks",
        "consumerInputs": {"url": tenant.builder.get_trigger_url(tenant.original), **inputs},
        "status": "onProbation",
    }
    return add_document(tenant.builder, HOOK, hook | SET_BY_SERVICE)


def get_document(tenant: Tenant, path: str) -> Json:
    return dict(tenant.world.json_documents[AZURE_DEVOPS.name][path])


async def collect_callers(
    tenant: Tenant, search: CallerSearchPosition, found: list[Caller]
) -> None:
    """Add each found caller to `found`, even if the search fails later."""
    async for caller in tenant.kinds[KIND].find([], search):
        found.append(caller)  # noqa: PERF401 -- a comprehension would lose them


async def test_write_of_a_service_hook_changes_only_the_url(tenant: Tenant) -> None:
    path = add_hook(tenant, resourceDetailsToSend="all", acceptUntrustedCerts="false")
    before = get_document(tenant, path)

    [caller] = await tenant.list_found_callers(KIND)
    old = await tenant.update_caller(caller)
    moved = get_document(tenant, path)
    await tenant.revert_caller(caller, old)

    assert caller.label == f"service hook h1 (git.push) in the {ORGANIZATION}"
    inputs = mapping_at(moved, "consumerInputs")
    assert inputs["url"] == tenant.builder.get_trigger_url(tenant.copy)
    assert not moved.keys() & SET_BY_SERVICE.keys()
    assert str(mapping_at(get_document(tenant, path), "consumerInputs")) == str(
        before["consumerInputs"]
    )
    assert get_document(tenant, path)["status"] == "onProbation"


async def test_write_of_a_variable_group_sends_secret_variables_as_null(tenant: Tenant) -> None:
    """Azure DevOps keeps a secret value that is sent as null."""
    url = tenant.builder.get_trigger_url(tenant.original)
    secret = {"value": None, "isSecret": True}
    path = add_variable_group(tenant.builder, {"URL": {"value": url}, "key": secret})
    search = CallerSearchPosition()
    found: list[Caller] = []

    with pytest.raises(JobBlocked):
        await collect_callers(tenant, search, found)
    old = await tenant.update_caller(found[0])
    moved = mapping_at(get_document(tenant, path), "variables")
    await tenant.revert_caller(found[0], old)

    label = f"variable group urls of the project Sales in the {ORGANIZATION}"
    assert search.unreadable == [f"secret variables key of the {label}"]
    assert found[0].label == label
    assert moved == {"URL": {"value": tenant.builder.get_trigger_url(tenant.copy)}, "key": secret}
    assert mapping_at(get_document(tenant, path), "variables", "URL")["value"] == url


async def test_write_of_a_hook_edited_after_the_read_is_a_conflict(tenant: Tenant) -> None:
    """Azure DevOps has no ETag."""
    path = add_hook(tenant)
    [caller] = await tenant.list_found_callers(KIND)
    content = await tenant.read(caller)
    edited = {**get_document(tenant, path), "publisherInputs": {"branch": "main"}}
    tenant.world.json_documents[AZURE_DEVOPS.name][path] = edited

    with pytest.raises(Conflict):
        await tenant.kinds[KIND].write(caller, replace(content, text="{}"))

    assert get_document(tenant, path) == edited


async def test_hook_with_a_secret_input_is_changed_by_a_person(tenant: Tenant) -> None:
    """Azure DevOps returns asterisks instead of a secret."""
    path = add_hook(tenant, httpHeaders="X-Key:********")
    before = get_document(tenant, path)

    [caller] = await tenant.list_found_callers(KIND)
    with pytest.raises(JobBlocked):
        await tenant.kinds[KIND].write(
            caller, replace(await tenant.read(caller), text='{"url": "x"}')
        )

    assert "password or headers" in caller.manual_reason
    assert get_document(tenant, path) == before


async def test_shared_variable_group_is_changed_by_a_person(tenant: Tenant) -> None:
    """A write must name all projects that share the variable group."""
    url = tenant.builder.get_trigger_url(tenant.original)
    add_variable_group(tenant.builder, {"URL": {"value": url}}, isShared=True)

    [caller] = await tenant.list_found_callers(KIND)

    assert "Several projects share" in caller.manual_reason


async def test_organization_that_rejects_the_app_does_not_hide_another(tenant: Tenant) -> None:
    add_hook(tenant)
    tenant.world.rejecting_scopes[AZURE_DEVOPS.name] = {"apart"}
    search = CallerSearchPosition()

    found: list[Caller] = []

    with pytest.raises(JobBlocked) as raised:
        await collect_callers(tenant, search, found)

    assert [caller.address for caller in found] == [f"contoso/{HOOK}"]
    assert search.unreadable == [
        "projects of the Azure DevOps organization apart (Http401)",
        "service hooks of the Azure DevOps organization apart (Http401)",
    ]
    assert "CMK_AZURE_DEVOPS_ORGANIZATIONS" in raised.value.fix
