from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from shared.callers.data_factory import DataFactoryCallers
from shared.callers.synapse import SynapseCallers
from shared.domain.callers.search_position import CallerSearchPosition
from shared.domain.definitions.json_values import mapping_at
from shared.errors import Conflict, JobBlocked, PlatformError
from shared.steps.flows.missing_permission import is_permission_missing
from tests.fakes.builder import Builder
from tests.functional.callers.called_tenant import Tenant


@dataclass(frozen=True, kw_only=True)
class Service:
    """A service with pipelines: a data factory or a Synapse workspace."""

    kind: str
    name: str
    add: Callable[..., str]
    repository: Mapping[str, str]


FACTORY = Service(
    kind=DataFactoryCallers.kind,
    name="data factory contoso",
    add=Builder.add_factory_part,
    repository={
        "type": "FactoryVSTSConfiguration",
        "accountName": "contoso",
        "projectName": "data",
        "repositoryName": "pipelines",
        "collaborationBranch": "main",
    },
)
SYNAPSE = Service(
    kind=SynapseCallers.kind,
    name="Synapse workspace contoso",
    add=Builder.add_synapse_part,
    repository={"accountName": "contoso", "repositoryName": "data", "collaborationBranch": "main"},
)
both = pytest.mark.parametrize("service", [FACTORY, SYNAPSE], ids=lambda one: one.kind)


@pytest.mark.parametrize(
    ("service", "path", "label"),
    [
        (FACTORY, "linkedservices/crm", "linked service crm"),
        (FACTORY, "datasets/crm", "dataset crm"),
        (FACTORY, "globalParameters/default", "global parameters"),
        (SYNAPSE, "linkedservices/crm", "linked service crm"),
        (SYNAPSE, "datasets/crm", "dataset crm"),
        (SYNAPSE, "notebooks/Send mail", "notebook Send mail"),
    ],
)
async def test_write_changes_only_the_url(
    tenant: Tenant, service: Service, path: str, label: str
) -> None:
    url = tenant.builder.get_trigger_url(tenant.original)
    properties = {"type": "x", "more": {"value": url, "type": "string"}, "annotations": ["z", "a"]}
    resource_id = service.add(tenant.builder, path, properties).lower()

    [caller] = await tenant.list_found_callers(service.kind)
    old = await tenant.update_caller(caller)
    moved = mapping_at(tenant.world.resources[resource_id], "properties", "more")
    await tenant.revert_caller(caller, old)

    assert caller.label == f"{label} of the {service.name}"
    assert moved["value"] == tenant.builder.get_trigger_url(tenant.copy)
    assert str(tenant.world.resources[resource_id]["properties"]) == str(properties)


@pytest.mark.parametrize(
    ("service", "path"),
    [
        (FACTORY, "pipelines/nightly"),
        (FACTORY, "globalParameters/default"),
        (SYNAPSE, "pipelines/nightly"),
    ],
)
async def test_write_of_a_part_edited_after_the_read_is_a_conflict(
    tenant: Tenant, service: Service, path: str
) -> None:
    url = tenant.builder.get_trigger_url(tenant.original)
    resource_id = service.add(tenant.builder, path, {"a": {"value": url}}).lower()
    [caller] = await tenant.list_found_callers(service.kind)
    content = await tenant.read(caller)
    edited = {**tenant.world.resources[resource_id], "properties": {"b": 1}, "etag": "W/9"}
    tenant.world.resources[resource_id] = edited

    with pytest.raises(Conflict):
        await tenant.kinds[service.kind].write(caller, replace(content, text="{}"))

    assert tenant.world.resources[resource_id] == edited


@pytest.mark.parametrize(
    ("service", "path", "properties", "is_connected", "reason"),
    [
        (FACTORY, "pipelines/nightly", {}, True, "Git repository contoso/data/pipelines"),
        (FACTORY, "triggers/nightly", {}, False, "started trigger"),
        (
            FACTORY,
            "linkedservices/crm",
            {"typeProperties": {"password": {"type": "SecureString", "value": "**********"}}},
            False,
            "secure values",
        ),
        (
            FACTORY,
            "linkedservices/crm",
            {"typeProperties": {"encryptedCredential": "ew0KICAi"}},
            False,
            "secure values",
        ),
        (SYNAPSE, "pipelines/nightly", {}, True, "in main and publish"),
        (SYNAPSE, "triggers/nightly", {}, False, "started trigger"),
        (
            SYNAPSE,
            "linkedservices/crm",
            {"encryptedCredential": "ew0KICAi"},
            False,
            "secure values",
        ),
    ],
)
async def test_part_that_the_app_must_not_write_is_changed_by_a_person(
    tenant: Tenant,
    service: Service,
    path: str,
    properties: dict[str, object],
    is_connected: bool,
    reason: str,
) -> None:
    url = tenant.builder.get_trigger_url(tenant.original)
    repository = service.repository if is_connected else None
    service.add(tenant.builder, path, {**properties, "url": url}, repository=repository)

    [caller] = await tenant.list_found_callers(service.kind)
    content = await tenant.read(caller)
    with pytest.raises(JobBlocked) as raised:
        await tenant.kinds[service.kind].write(caller, replace(content, text="{}"))

    assert reason in caller.manual_reason
    assert reason in raised.value.fix
    assert await tenant.read(caller) == content


async def test_part_without_an_id_hides_no_other_caller(tenant: Tenant) -> None:
    url = tenant.builder.get_trigger_url(tenant.original)
    resource_id = tenant.builder.add_factory_part("datasets/crm", {"url": url})
    broken = tenant.builder.add_factory_part("datasets/broken", {})
    resources = tenant.world.resources
    resources[broken.lower()] = {**resources[broken.lower()], "id": None}

    assert [caller.address for caller in await tenant.list_found_callers(FACTORY.kind)] == [
        resource_id
    ]


async def test_missing_role_is_named(tenant: Tenant) -> None:
    denied = "Microsoft.Synapse/workspaces/pipelines/write"
    tenant.builder.add_synapse_caller(tenant.original)
    tenant.world.denied_synapse_actions.add(denied)
    kind = tenant.kinds[SYNAPSE.kind]
    assert isinstance(kind, SynapseCallers)
    [caller] = await tenant.list_found_callers(SYNAPSE.kind)

    with pytest.raises(PlatformError) as rejected:
        await tenant.update_caller(caller)
    with pytest.raises(PlatformError, match=denied):
        await kind.require_searchable_scope("contoso")

    assert is_permission_missing(rejected.value)
    assert "Synapse Artifact Publisher" in kind.required_permissions.fix
    assert await kind.read_scopes() == ["contoso"]


async def test_workspace_that_left_its_repository_is_written(tenant: Tenant) -> None:
    """Azure may still return the repository's properties, but with empty values."""
    empty = dict.fromkeys(SYNAPSE.repository, "") | {"type": "WorkspaceGitHubConfiguration"}
    properties = {"url": tenant.builder.get_trigger_url(tenant.original)}
    tenant.builder.add_synapse_part("pipelines/nightly", properties, repository=empty)

    [caller] = await tenant.list_found_callers(SYNAPSE.kind)
    await tenant.update_caller(caller)

    assert caller.manual_reason == ""


@both
async def test_secure_parameter_is_found_by_its_name_only(tenant: Tenant, service: Service) -> None:
    """Azure never returns the default value of a secure parameter."""
    secure = {"type": "secureString", "defaultValue": "**********"}
    service.add(tenant.builder, "pipelines/nightly", {"parameters": {"url": secure}})
    search = CallerSearchPosition()

    with pytest.raises(JobBlocked):
        _ = [caller async for caller in tenant.kinds[service.kind].find([], search)]

    place = f"the pipeline nightly of the {service.name}"
    assert search.unreadable == [f"secure parameter url of {place}"]


@both
async def test_time_that_each_write_sets_is_no_change_by_somebody_else(
    tenant: Tenant, service: Service
) -> None:
    """A pipeline shows when it was last published, and each write changes that time."""
    url = tenant.builder.get_trigger_url(tenant.original)
    properties = {"url": url, "lastPublishTime": "2021-02-24T03:06:23Z", "activities": []}
    resource_id = service.add(tenant.builder, "pipelines/nightly", properties).lower()
    resources = tenant.world.resources

    def publish(_: object) -> list[str]:
        there = resources[resource_id]
        now = {"lastPublishTime": tenant.world.clock.now().isoformat()}
        resources[resource_id] = {
            **there,
            "properties": {**mapping_at(there, "properties"), **now},
        }
        return []

    tenant.world.watchers.append(publish)
    [caller] = await tenant.list_found_callers(service.kind)
    old = await tenant.update_caller(caller)
    published = mapping_at(resources[resource_id], "properties")
    tenant.world.clock.advance(timedelta(hours=1))
    await tenant.revert_caller(caller, old)

    restored = mapping_at(resources[resource_id], "properties")
    assert [*restored] == [*properties], "the order is kept"
    assert {**restored, "lastPublishTime": ""} == {**properties, "lastPublishTime": ""}
    assert restored["lastPublishTime"] != published["lastPublishTime"]
