from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import pytest

from shared.domain.definitions.json_values import as_mapping, mapping_at, objects_at
from shared.domain.permissions import get_resource_group_id
from shared.errors import AlreadyExists, Conflict, NotFound, PlatformError
from shared.resumable_resources import resume_reading
from tests.contract.adapter_world import CONTAINER_APP, SITE_ID, SITE_IDENTITY, VAULT_URL
from tests.contract.ports.described_tenant import (
    NAMED_VALUE,
    POLICY_NAME,
    RUNBOOK,
    SETTINGS,
    SQL_SERVER,
)
from tests.contract.ports.sides import Side
from tests.local_cloud.tenant.tenant_world import (
    VAULT_ID,
)

API_VERSION = "2023-12-01"


async def test_write_replaces_all_app_settings(side: Side) -> None:
    apps = side.ports.app_settings
    [site] = await apps.read_sites()
    read = await apps.read(site.id)
    await apps.write(site.id, {**read, "URL": "https://x.example/?a=1&b=2"})
    more = await apps.read(site.id)
    await apps.write(site.id, {"ONLY": "this"})

    assert (site.id.lower(), site.name) == (SITE_ID.lower(), "shop")
    assert "shop.contoso.example" in site.hosts
    assert read == {"COLOUR": "blue"}
    assert more == {"COLOUR": "blue", "URL": "https://x.example/?a=1&b=2"}
    assert await apps.read(site.id) == {"ONLY": "this"}


async def test_write_keeps_the_type_of_connection_strings(side: Side) -> None:
    strings = side.ports.connection_strings
    [site] = await strings.read_sites()
    await strings.write(site.id, {"SQLAzure|Orders": "Server=x", "Custom|Url": "https://x"})
    both = await strings.read(site.id)
    await strings.write(site.id, {"Custom|Url": "https://y"})

    assert both == {"SQLAzure|Orders": "Server=x", "Custom|Url": "https://x"}
    assert await strings.read(site.id) == {"Custom|Url": "https://y"}
    assert await side.ports.app_settings.read(site.id) == {"COLOUR": "blue"}


async def test_reference_is_resolved_with_the_right_of_the_identity(side: Side) -> None:
    apps = side.ports.app_settings
    [site] = await apps.read_sites()
    [reader] = await apps.read_secret_readers(site.id)
    reference = f"@Microsoft.KeyVault(SecretUri={VAULT_URL}/secrets"
    other = reference.replace("kv-cmk", "kv-other")
    [name] = [one async for one in side.ports.secrets.list(VAULT_URL)]
    await apps.write(
        site.id,
        {"A": f"{reference}/{name})", "B": f"{reference}/none)", "C": f"{other}/x)", "D": "x"},
    )

    assert (reader.name, reader.principal_id) == ("shop", SITE_IDENTITY)
    assert await apps.read_reference_statuses(site.id) == {
        "A": "Resolved",
        "B": "SecretNotFound",
        "C": "VaultNotFound",
    }
    strings = side.ports.connection_strings
    await strings.write(site.id, {"Custom|A": f"{reference}/{name})", "Custom|B": "x"})
    assert await strings.read_reference_statuses(site.id) == {"A": "Resolved"}


async def test_key_values_are_written_with_their_etag(side: Side) -> None:
    stores = side.ports.app_configuration
    [url] = [one async for one in stores.read_stores()]
    listed = {(one.key, one.label): one for one in await stores.list(url)}
    red = listed["Colour", "p&d"]
    await stores.write(red, "orange")
    after = await stores.read(url, "Colour", "p&d")
    await stores.write(replace(after, content_type=None), "orange")
    changed = await stores.read(url, "Colour", "p&d")
    with pytest.raises(Conflict):
        await stores.write(red, "yellow")
    with pytest.raises((Conflict, PlatformError)):
        await stores.write(listed["Fixed", ""], "yellow")
    with pytest.raises(NotFound):
        await stores.read(url, "Colour", "test")
    rest = len("Colour" + "p&d") + sum(map(len, [*red.tags, *red.tags.values()]))
    await stores.write(changed, "x" * (10_000 - rest))
    longest = await stores.read(url, "Colour", "p&d")
    with pytest.raises(PlatformError) as too_long:
        await stores.write(longest, longest.value + "x")

    assert too_long.value.status == 413
    assert (await stores.read(url, "Colour", "p&d")) == longest
    assert [*listed] == [("Colour", ""), ("Colour", "p&d"), ("Fixed", "")]
    assert [one.is_locked for one in listed.values()] == [False, False, True]
    assert (after.value, after.content_type) == ("orange", "text/plain")
    assert after.etag != red.etag
    assert (changed.content_type, changed.tags) == (None, red.tags)
    assert await stores.read(url, "Colour", "") == listed["Colour", ""]


async def test_parts_of_a_synapse_workspace_are_read_by_name(side: Side) -> None:
    artifacts = side.ports.synapse_artifacts
    listed = await artifacts.list("contoso", "pipelines")
    found = await artifacts.read("contoso", "pipelines", "Send mail")
    with pytest.raises(NotFound):
        await artifacts.read("contoso", "pipelines", "missing")

    assert [one["name"] for one in listed] == ["load", "Send mail"]
    assert mapping_at(found, "properties")["description"] == "Send mail"
    assert await artifacts.list("contoso", "datasets") == []


async def test_part_of_a_synapse_workspace_is_replaced_by_its_etag(side: Side) -> None:
    artifacts, name = side.ports.synapse_artifacts, "Send mail"
    before = await artifacts.read("contoso", "pipelines", name)
    properties = {"activities": [], "description": "ä"}
    await artifacts.write("contoso", "pipelines", name, properties, etag=str(before["etag"]))
    after = await artifacts.read("contoso", "pipelines", name)
    with pytest.raises(Conflict):
        await artifacts.write("contoso", "pipelines", name, {}, etag=str(before["etag"]))
    with pytest.raises(NotFound):
        await artifacts.read("contoso2", "pipelines", name)

    stored = mapping_at(after, "properties")
    assert {key: stored[key] for key in properties} == properties
    assert stored.keys() - properties.keys() <= {"lastPublishTime"}  # Azure sets it
    assert after["name"] == name
    assert after["etag"] != before["etag"]
    assert await artifacts.read("contoso", "pipelines", name) == after


async def test_app_has_all_permissions_in_its_synapse_workspace(side: Side) -> None:
    action = "Microsoft.Synapse/workspaces/pipelines/write"

    assert await side.ports.synapse_artifacts.find_denied_actions("contoso", [action]) == []


async def test_secrets_of_a_container_app_are_read_by_an_action(side: Side) -> None:
    ports, version = side.ports, "2025-07-01"
    shown = await ports.resources.get(CONTAINER_APP, version)
    read = await ports.resource_secrets.read(CONTAINER_APP, "listSecrets", version)
    [flow, db] = objects_at(read, "value")
    change = {"properties": {"configuration": {"secrets": [{**flow, "value": "new"}, db]}}}
    await ports.resource_writer.patch(CONTAINER_APP, version, change)
    after = await ports.resource_secrets.read(CONTAINER_APP, "listSecrets", version)
    with pytest.raises(NotFound):
        await ports.resource_secrets.read(f"{CONTAINER_APP}2", "listSecrets", version)
    with pytest.raises(NotFound):
        await ports.resource_writer.restart(f"{CONTAINER_APP}2/revisions/first", version)

    names = objects_at(mapping_at(shown, "properties", "configuration"), "secrets")
    assert names == [{"name": "flow"}, db]
    assert (flow, db["name"]) == ({"name": "flow", "value": "old"}, "db")
    assert objects_at(after, "value") == [{"name": "flow", "value": "new"}, db]
    unchanged = mapping_at(await ports.resources.get(CONTAINER_APP, version), "properties")
    assert mapping_at(unchanged, "template") == mapping_at(shown, "properties", "template")


async def test_missing_azure_resource_is_not_found(side: Side) -> None:
    ports, gone = side.ports, f"{SITE_ID}-gone"

    with pytest.raises(NotFound):
        await ports.app_settings.read(gone)
    with pytest.raises(NotFound):
        await ports.app_settings.write(gone, {})
    with pytest.raises(NotFound):
        await ports.app_settings.read_secret_readers(gone)
    with pytest.raises(NotFound):
        await ports.app_settings.read_reference_statuses(gone)
    with pytest.raises(NotFound):
        await ports.resources.get(gone, API_VERSION)
    with pytest.raises(NotFound):
        await ports.secrets.read(VAULT_URL, "nothing")
    with pytest.raises(NotFound):
        await ports.secrets.read_values_since(VAULT_URL, "nothing", side.hands.read_time())
    with pytest.raises(NotFound):
        await ports.keys.read_key_versions(await ports.keys.read_vault(VAULT_ID), "nothing")
    with pytest.raises(NotFound):
        await ports.keys.read_vault(f"{VAULT_ID}-gone")


async def test_service_tag_list_has_a_change_number_and_prefixes(side: Side) -> None:
    tags = await side.ports.service_tags.get_list()

    found = tags.find("powerplatformplex.WESTEUROPE")
    assert found is not None
    assert "20.61.88.128/26" in found.prefixes
    assert "westeurope" in {region.lower() for region in tags.list_regions("PowerPlatformPlex")}
    assert tags.change_number > 300


async def test_resources_of_a_type_are_listed_and_read(side: Side) -> None:
    sites = await side.ports.resources.list("microsoft.web/SITES", API_VERSION)
    web = await side.ports.resources.get(SITE_ID.upper(), API_VERSION, "/config/web")

    assert [site["name"] for site in sites] == ["shop"]
    assert "properties" in web


async def test_children_of_a_resource_are_listed(side: Side) -> None:
    rules = await side.ports.resources.list_children(SQL_SERVER, "firewallRules", "2021-11-01")

    assert [rule["name"] for rule in rules] == ["office"]
    with pytest.raises(NotFound):
        await side.ports.resources.list_children(
            f"{SQL_SERVER}-gone", "firewallRules", "2021-11-01"
        )


@dataclass(slots=True)
class StoredAnswers:
    kept: dict[str, Mapping[str, object]] = field(default_factory=dict)

    def find_answer(self, request: str) -> Mapping[str, object] | None:
        return self.kept.get(request)

    async def store_answer(self, request: str, answer: Mapping[str, object]) -> None:
        self.kept[request] = answer

    async def delete_answers(self, start: str) -> None:
        raise AssertionError(start)


async def test_resumed_reading_returns_the_same_resources(side: Side) -> None:
    resources, answers = side.ports.resources, StoredAnswers()
    gone = f"{SQL_SERVER}-gone"

    async def read() -> list[object]:
        sites = await resources.list("microsoft.web/SITES", API_VERSION)
        web = await resources.get(SITE_ID, API_VERSION, "/config/web")
        rules = await resources.list_children(SQL_SERVER, "firewallRules", "2021-11-01")
        with pytest.raises(NotFound):
            await resources.list_children(gone, "firewallRules", "2021-11-01")
        with pytest.raises(NotFound):
            await resources.get(gone, API_VERSION)
        return [sites, web, rules]

    whole = await read()
    with resume_reading(answers):
        resumed = await read()
        requests = len(answers.kept)
        again = await read()

    assert resumed == again == whole
    assert requests == len(answers.kept) >= 5


async def test_permissions_in_a_resource_group_are_listed(side: Side) -> None:
    group = get_resource_group_id(SITE_ID)
    found = await side.ports.resources.list_children(
        group, "providers/Microsoft.Authorization/permissions", "2022-04-01"
    )

    assert [one["actions"] for one in found] == [["*"]]
    assert [one["dataActions"] for one in found] == [["*"]]


NETWORK_VERSION = "2023-09-01"
IP_GROUP = f"{SITE_ID.partition('/providers/')[0]}/providers/Microsoft.Network/ipGroups/flows"


def build_ip_group(*addresses: str) -> dict[str, object]:
    return {"location": "westeurope", "properties": {"ipAddresses": [*addresses]}}


async def test_resource_is_created_replaced_by_its_etag_and_deleted(side: Side) -> None:
    writer, reader = side.ports.resource_writer, side.ports.resources

    await writer.put(IP_GROUP, NETWORK_VERSION, build_ip_group("198.51.100.1"), etag=None)
    made = await reader.get(IP_GROUP, NETWORK_VERSION)
    with pytest.raises(AlreadyExists):
        await writer.put(IP_GROUP, NETWORK_VERSION, build_ip_group(), etag=None)
    first = str(made["etag"])
    await writer.put(IP_GROUP, NETWORK_VERSION, build_ip_group("198.51.100.2"), etag=first)
    with pytest.raises(Conflict):
        await writer.put(IP_GROUP, NETWORK_VERSION, build_ip_group("198.51.100.3"), etag=first)
    replaced = await reader.get(IP_GROUP, NETWORK_VERSION)
    await writer.put(IP_GROUP, NETWORK_VERSION, build_ip_group(), etag="*")
    await writer.delete(IP_GROUP, NETWORK_VERSION)
    await writer.delete(IP_GROUP, NETWORK_VERSION)

    assert as_mapping(made["properties"])["ipAddresses"] == ["198.51.100.1"]
    assert as_mapping(replaced["properties"])["ipAddresses"] == ["198.51.100.2"]
    with pytest.raises(NotFound):
        await reader.get(IP_GROUP, NETWORK_VERSION)


async def test_patch_of_a_resource_keeps_its_other_members(side: Side) -> None:
    writer, reader = side.ports.resource_writer, side.ports.resources
    rule = {"name": "flows", "ipAddress": "198.51.100.0/24", "action": "Allow", "priority": 100}
    config = f"{SITE_ID}/config/web"

    await writer.patch(config, API_VERSION, {"properties": {"ipSecurityRestrictions": [rule]}})
    await writer.patch(config, API_VERSION, {"properties": {"http20Enabled": True}})
    web = as_mapping((await reader.get(SITE_ID, API_VERSION, "/config/web"))["properties"])

    listed = web["ipSecurityRestrictions"]
    assert isinstance(listed, list)
    assert as_mapping(listed[0])["ipAddress"] == "198.51.100.0/24"
    assert web["http20Enabled"] is True
    with pytest.raises(NotFound):
        await writer.patch(f"{SITE_ID}-gone/config/web", API_VERSION, {"properties": {}})


async def test_resource_that_is_text_is_read(side: Side) -> None:
    reader, version = side.ports.tagged_resources, "2024-10-23"

    assert await reader.get_text(f"{RUNBOOK}/content", version) == "Write-Output 'Grüße'"
    with pytest.raises(NotFound):
        await reader.get_text(f"{RUNBOOK}-gone/content", version)


async def test_resource_with_an_etag_is_changed_if_it_still_has_it(side: Side) -> None:
    writer, reader, version = side.ports.resource_writer, side.ports.tagged_resources, "2024-05-01"
    secrets = side.ports.resource_secrets
    before = await reader.get_tagged_resource(NAMED_VALUE, version)
    await writer.patch(NAMED_VALUE, version, {"properties": {"value": "red"}}, etag=before.etag)
    after = await reader.get_tagged_resource(NAMED_VALUE, version)
    with pytest.raises(Conflict):
        await writer.patch(
            NAMED_VALUE, version, {"properties": {"value": "green"}}, etag=before.etag
        )
    found = await secrets.read(NAMED_VALUE, "listValue", version)

    assert before.document["properties"] == {"displayName": "colour", "secret": True}
    assert after.etag != before.etag
    assert found["value"] == "red"
    for gone in (
        reader.get_tagged_resource(f"{NAMED_VALUE}-gone", version),
        secrets.read(f"{NAMED_VALUE}-gone", "listValue", version),
        writer.patch(f"{NAMED_VALUE}-gone", version, {"properties": {"value": "x"}}, etag="*"),
    ):
        with pytest.raises(NotFound):
            await gone


async def test_policy_that_denies_a_write_is_known_before(side: Side) -> None:
    restrictions, version = side.ports.policy_restrictions, "2024-11-01"

    [denying] = await restrictions.find_denying_assignments(SITE_ID, {"type": SETTINGS}, version)
    others = await restrictions.find_denying_assignments(
        SITE_ID, {"type": "Microsoft.Web/sites"}, version
    )

    assert denying.endswith(f"/providers/Microsoft.Authorization/policyAssignments/{POLICY_NAME}")
    assert others == []


async def test_file_of_a_logic_app_is_replaced_if_it_has_its_etag(side: Side) -> None:
    [site], files = await side.ports.app_settings.read_sites(), side.ports.site_files
    path, text = "call/workflow.json", '{\r\n  "definition": "ö"}\n'
    before = await files.read(site.id, path)
    await files.write(site.id, path, text, etag=before.etag)
    after = await files.read(site.id, path)
    with pytest.raises(Conflict):
        await files.write(site.id, path, "{}", etag=before.etag)

    assert site.is_workflow_app
    assert await files.list_workflows(site.id) == ["call"]
    assert before.text == '{ "definition": "ä" }'
    assert after.text == text
    assert after.etag != before.etag
    for gone in (
        files.list_workflows(f"{site.id}-gone"),
        files.read(site.id, "parameters.json"),
        files.read(f"{site.id}-gone", path),
    ):
        with pytest.raises(NotFound):
            await gone
