"""A part of a data factory is changed alone; what only a person can change is named."""

from dataclasses import replace

import pytest

from shared.callers.data_factory import DataFactoryCallers
from shared.domain.callers.search_position import CallerSearchPosition
from shared.domain.definitions.json_values import mapping_at
from shared.errors import Conflict, JobBlocked
from tests.functional.callers.called_tenant import Tenant

KIND = DataFactoryCallers.kind
FACTORY = "data factory contoso"
REPOSITORY = {
    "type": "FactoryVSTSConfiguration",
    "accountName": "contoso",
    "projectName": "data",
    "repositoryName": "pipelines",
    "collaborationBranch": "main",
}


@pytest.fixture
def tenant() -> Tenant:
    """Return a tenant without callers."""
    return Tenant()


@pytest.mark.parametrize(
    ("path", "label"),
    [
        ("linkedservices/crm", "linked service crm"),
        ("datasets/crm", "dataset crm"),
        ("globalParameters/default", "global parameters"),
    ],
)
async def test_write_changes_only_the_url(tenant: Tenant, path: str, label: str) -> None:
    """The other properties stay in their order, and the rollback restores every byte."""
    url = tenant.builder.url_of(tenant.original)
    properties = {"type": "x", "more": {"value": url, "type": "string"}, "annotations": ["z", "a"]}
    resource_id = tenant.builder.add_factory_part(path, properties).lower()

    [caller] = await tenant.found(KIND)
    old = await tenant.move(caller)
    moved = mapping_at(tenant.world.resources[resource_id], "properties", "more")
    await tenant.move_back(caller, old)

    assert caller.label == f"{label} of the {FACTORY}"
    assert moved["value"] == tenant.builder.url_of(tenant.copy)
    assert str(tenant.world.resources[resource_id]["properties"]) == str(properties)


@pytest.mark.parametrize("path", ["pipelines/nightly", "globalParameters/default"])
async def test_write_of_a_part_edited_after_the_read_is_a_conflict(
    tenant: Tenant, path: str
) -> None:
    """Global parameters have no condition, so the write compares them."""
    url = tenant.builder.url_of(tenant.original)
    resource_id = tenant.builder.add_factory_part(path, {"a": {"value": url}}).lower()
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
        ("pipelines/nightly", {}, REPOSITORY, "Git repository contoso/data/pipelines"),
        ("triggers/nightly", {}, None, "started trigger"),
        (
            "linkedservices/crm",
            {"typeProperties": {"password": {"type": "SecureString", "value": "**********"}}},
            None,
            "secure values",
        ),
        (
            "linkedservices/crm",
            {"typeProperties": {"encryptedCredential": "ew0KICAi"}},
            None,
            "secure values",
        ),
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
    tenant.builder.add_factory_part(path, {**properties, "url": url}, repository=repository)

    [caller] = await tenant.found(KIND)
    content = await tenant.read(caller)
    with pytest.raises(JobBlocked) as raised:
        await tenant.kinds[KIND].write(caller, replace(content, text="{}"))

    assert reason in caller.manual_reason
    assert reason in raised.value.fix
    assert await tenant.read(caller) == content


async def test_part_without_an_id_costs_only_itself(tenant: Tenant) -> None:
    """The search finds the other parts."""
    url = tenant.builder.url_of(tenant.original)
    resource_id = tenant.builder.add_factory_part("datasets/crm", {"url": url})
    broken = tenant.builder.add_factory_part("datasets/broken", {})
    resources = tenant.world.resources
    resources[broken.lower()] = {**resources[broken.lower()], "id": None}

    assert [caller.address for caller in await tenant.found(KIND)] == [resource_id]


async def test_secure_parameter_is_found_by_its_name_only(tenant: Tenant) -> None:
    """Azure never returns its default value, so the search says what was not read."""
    secure = {"type": "secureString", "defaultValue": "**********"}
    tenant.builder.add_factory_part("pipelines/nightly", {"parameters": {"url": secure}})
    search = CallerSearchPosition()

    with pytest.raises(JobBlocked):
        _ = [caller async for caller in tenant.kinds[KIND].find([], search)]

    assert search.unreadable == [f"secure parameter url of the pipeline nightly of the {FACTORY}"]
