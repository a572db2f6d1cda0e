"""A part of a Synapse workspace is changed alone; what only a person can change is named."""

from dataclasses import replace

import pytest

from shared.callers.synapse import SynapseCallers
from shared.domain.callers.search_position import CallerSearchPosition
from shared.domain.definitions.json_values import mapping_at
from shared.errors import Conflict, JobBlocked, PlatformError
from tests.functional.callers.called_tenant import Tenant

KIND = SynapseCallers.kind
WORKSPACE = "Synapse workspace contoso"
REPOSITORY = {"accountName": "contoso", "repositoryName": "data", "collaborationBranch": "main"}


@pytest.fixture
def tenant() -> Tenant:
    """Return a tenant without callers."""
    return Tenant()


@pytest.mark.parametrize(
    ("path", "label"),
    [
        ("linkedservices/crm", "linked service crm"),
        ("datasets/crm", "dataset crm"),
        ("notebooks/Send mail", "notebook Send mail"),
    ],
)
async def test_write_changes_only_the_url(tenant: Tenant, path: str, label: str) -> None:
    """The other properties stay in their order, and the rollback restores every byte."""
    url = tenant.builder.url_of(tenant.original)
    properties = {"type": "x", "more": {"value": url, "type": "string"}, "annotations": ["z", "a"]}
    resource_id = tenant.builder.add_synapse_part(path, properties).lower()

    [caller] = await tenant.found(KIND)
    old = await tenant.move(caller)
    moved = mapping_at(tenant.world.resources[resource_id], "properties", "more")
    await tenant.move_back(caller, old)

    assert caller.label == f"{label} of the {WORKSPACE}"
    assert moved["value"] == tenant.builder.url_of(tenant.copy)
    assert str(tenant.world.resources[resource_id]["properties"]) == str(properties)


async def test_write_of_a_part_edited_after_the_read_is_a_conflict(tenant: Tenant) -> None:
    """The edit stays."""
    resource_id = tenant.builder.synapse_caller(tenant.original).lower()
    [caller] = await tenant.found(KIND)
    content = await tenant.read(caller)
    edited = {**tenant.world.resources[resource_id], "properties": {"b": 1}, "etag": "W/9"}
    tenant.world.resources[resource_id] = edited

    with pytest.raises(Conflict):
        await tenant.kinds[KIND].write(caller, replace(content, text="{}"))

    assert tenant.world.resources[resource_id] == edited


@pytest.mark.parametrize(
    ("path", "properties", "repository", "reason"),
    [
        ("pipelines/nightly", {}, REPOSITORY, "in main and publish"),
        ("triggers/nightly", {}, None, "started trigger"),
        ("linkedservices/crm", {"encryptedCredential": "ew0KICAi"}, None, "secure values"),
    ],
)
async def test_part_that_the_app_must_not_write_is_changed_by_a_person(
    tenant: Tenant,
    path: str,
    properties: dict[str, object],
    repository: dict[str, object] | None,
    reason: str,
) -> None:
    """A write is rejected too, because somebody may connect a repository after the plan."""
    url = tenant.builder.url_of(tenant.original)
    tenant.builder.add_synapse_part(path, {**properties, "url": url}, repository=repository)

    [caller] = await tenant.found(KIND)
    content = await tenant.read(caller)
    with pytest.raises(JobBlocked) as raised:
        await tenant.kinds[KIND].write(caller, replace(content, text="{}"))

    assert reason in caller.manual_reason
    assert reason in raised.value.fix
    assert await tenant.read(caller) == content


async def test_missing_role_is_named(tenant: Tenant) -> None:
    """The doctor finds it before, and a blocked job says what to grant."""
    denied = "Microsoft.Synapse/workspaces/pipelines/write"
    tenant.builder.synapse_caller(tenant.original)
    tenant.world.denied_synapse_actions.add(denied)
    kind = tenant.kinds[KIND]
    assert isinstance(kind, SynapseCallers)
    [caller] = await tenant.found(KIND)

    with pytest.raises(JobBlocked) as blocked:
        await tenant.move(caller)
    with pytest.raises(PlatformError, match=denied):
        await kind.check_scope("contoso")

    assert "Synapse Artifact Publisher" in blocked.value.fix
    assert await kind.read_scopes() == ["contoso"]


async def test_workspace_that_left_its_repository_is_written(tenant: Tenant) -> None:
    """Azure may still show the members of the repository, which are empty."""
    empty = dict.fromkeys(REPOSITORY, "") | {"type": "WorkspaceGitHubConfiguration"}
    properties = {"url": tenant.builder.url_of(tenant.original)}
    tenant.builder.add_synapse_part("pipelines/nightly", properties, repository=empty)

    [caller] = await tenant.found(KIND)
    await tenant.move(caller)

    assert caller.manual_reason == ""


async def test_secure_parameter_is_found_by_its_name_only(tenant: Tenant) -> None:
    """Azure never returns its default value, so the search names what was not read."""
    secure = {"type": "secureString", "defaultValue": "**********"}
    tenant.builder.add_synapse_part("pipelines/nightly", {"parameters": {"url": secure}})
    search = CallerSearchPosition()

    with pytest.raises(JobBlocked):
        _ = [caller async for caller in tenant.kinds[KIND].find([], search)]

    assert search.unreadable == [f"secure parameter url of the pipeline nightly of the {WORKSPACE}"]
