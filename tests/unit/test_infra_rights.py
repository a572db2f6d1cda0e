import json
from collections.abc import Iterable
from typing import Any

import pytest

from shared.domain.permissions import (
    WATCHED,
    PermissionLevel,
    RequiredPermissions,
    RolePermissions,
    check_permissions,
)
from shared.kind_discovery import find_kinds
from tests import caller_roles
from tests.unit.deployed import (
    INFRA,
    ROOT,
    SETS,
    Resource,
    find_resource,
    find_resources,
    read_predicted_resources,
)

ROLE = "Microsoft.Authorization/roleAssignments"
CUSTOM_ROLE = "Microsoft.Authorization/roleDefinitions"
#: Built-in roles by their ids: learn.microsoft.com/azure/role-based-access-control/built-in-roles.
BUILT_IN = {
    "acdd72a7-3385-48ef-bd42-f606fba81ae7": "Reader",
    "21090545-7ca7-4776-b22c-e363652d74d2": "Key Vault Reader",
    "b86a8fe4-44ce-4948-aee5-eccb2c155cd7": "Key Vault Secrets Officer",
    "4633458b-17de-408a-b874-0445c86b69e6": "Key Vault Secrets User",
    "090c5cfd-751d-490a-894a-3ce6f1109419": "Azure Service Bus Data Owner",
    "69a216fc-b8fb-44d8-bc22-1f3c2cd27a39": "Azure Service Bus Data Sender",
    "b7e6dc6d-f1e8-4753-8033-0f276bb0955b": "Storage Blob Data Owner",
    "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3": "Storage Table Data Contributor",
    "3913510d-42f4-4e42-8a64-420c390055eb": "Monitoring Metrics Publisher",
    "e147488a-f6f5-4113-8e2d-b22465e65bf6": "Key Vault Crypto Service Encryption User",
}
#: What the two roles of a watched subscription allow.
WATCHING = {
    "Reader": RolePermissions(actions=("*/read",)),
    "Key Vault Reader": RolePermissions(
        actions=(
            "Microsoft.Authorization/*/read",
            "Microsoft.KeyVault/vaults/*/read",
        ),
        data_actions=(
            "Microsoft.KeyVault/vaults/*/read",
            "Microsoft.KeyVault/vaults/secrets/readMetadata/action",
        ),
    ),
}
#: Resource groups of the snapshot of everything, by the package of the kinds that need them.
GROUPS = {
    "shared.callers": "/resourceGroups/orders",
    "shared.firewalls": "/resourceGroups/edge",
}


def get_role_id(assignment: Resource) -> str:
    role_id: str = assignment["properties"]["roleDefinitionId"]
    return role_id.rpartition("/")[2]


def find_assignments(scope: str) -> list[Resource]:
    return [one for one in find_resources(ROLE) if scope in one["id"].partition("guid(")[0]]


def find_custom_roles(group: str) -> list[Resource]:
    return [
        one
        for one in find_resources(CUSTOM_ROLE)
        if all(scope.endswith(group) for scope in one["properties"]["assignableScopes"])
    ]


def find_granted_permissions(group: str) -> list[RolePermissions]:
    roles = find_custom_roles(group)
    given = {get_role_id(one) for one in find_assignments(f"'{group.rpartition('/')[2]}'")}
    assert given == {one["name"] for one in roles}
    return [
        *WATCHING.values(),
        *(
            RolePermissions(
                actions=tuple(permission.get("actions", ())),
                data_actions=tuple(permission.get("dataActions", ())),
            )
            for role in roles
            for permission in role["properties"]["permissions"]
        ),
    ]


def find_kinds_without_permissions(
    kinds: Iterable[Any], permissions: list[RolePermissions]
) -> list[str]:
    return [
        one.kind
        for one in kinds
        if (needs := getattr(one, "required_permissions", None))
        and check_permissions(needs, permissions) is not PermissionLevel.FULL
    ]


@pytest.mark.parametrize("package", GROUPS)
def test_template_grants_the_permissions_of_each_kind(package: str) -> None:
    assert (
        find_kinds_without_permissions(
            find_kinds(package), find_granted_permissions(GROUPS[package])
        )
        == []
    )


@pytest.mark.parametrize("package", GROUPS)
def test_kind_with_missing_permissions_is_reported(package: str) -> None:
    """This shows that the check of the granted permissions can fail."""

    class FrontDoorRule:
        kind = "front_door_rule"
        required_permissions = RequiredPermissions(
            fix="", actions=("Microsoft.Cdn/profiles/ruleSets/rules/write",)
        )

    kinds = [*find_kinds(package), FrontDoorRule]

    assert find_kinds_without_permissions(kinds, find_granted_permissions(GROUPS[package])) == [
        "front_door_rule"
    ]


@pytest.mark.parametrize("package", GROUPS)
def test_template_grants_no_unneeded_permission(package: str) -> None:
    """After a kind was removed, its permissions must be removed, too."""
    needs = [
        one.required_permissions
        for one in find_kinds(package)
        if getattr(one, "required_permissions", None)
    ]
    permissions = [
        permission
        for role in find_custom_roles(GROUPS[package])
        for permission in role["properties"]["permissions"]
    ]

    assert {action for one in permissions for action in one.get("actions", ())} == {
        action for one in needs for action in one.actions
    }
    assert {action for one in permissions for action in one.get("dataActions", ())} == {
        action for one in needs for action in one.data_actions
    }


def test_roles_of_callers_and_their_table_are_up_to_date() -> None:
    """If this fails, run `python -m tests.caller_roles`, which writes both from the caller
    kinds.
    """
    page = caller_roles.PAGE.read_text()

    assert caller_roles.ROLES.read_text() == caller_roles.build_text()
    assert page == caller_roles.with_table(page)


def test_app_may_only_read_in_a_watched_subscription() -> None:
    watched = [
        one for one in find_resources(ROLE) if one["id"].startswith("[subscriptionResourceId(")
    ]

    assert len(watched) == 2 * len(WATCHING), "the snapshot watches two subscriptions"
    assert {BUILT_IN[get_role_id(one)] for one in watched} == set(WATCHING)
    assert check_permissions(WATCHED, [*WATCHING.values()]) is PermissionLevel.FULL


def test_every_assigned_role_is_a_custom_role_or_documented() -> None:
    """The deployment document names each built-in role as the portal does."""
    page = (ROOT / "docs/deployment.md").read_text()
    own = {one["name"] for one in find_resources(CUSTOM_ROLE)}
    given = {get_role_id(one) for one in find_resources(ROLE)} - own

    assert given == set(BUILT_IN)
    assert [name for name in BUILT_IN.values() if name not in page] == []
    for role in find_resources(CUSTOM_ROLE):
        assert role["properties"]["roleName"].partition(" (")[0] in page


def test_account_keys_and_connection_strings_are_disabled() -> None:
    """The storage account and Service Bus accept only identities, so no key can leak."""
    storage = find_resource("Microsoft.Storage/storageAccounts", "st")["properties"]
    bus = find_resource("Microsoft.ServiceBus/namespaces", "sb-")["properties"]

    assert storage["allowSharedKeyAccess"] is False
    assert storage["allowBlobPublicAccess"] is False
    assert bus["disableLocalAuth"] is True


def test_publishing_with_a_password_is_disabled() -> None:
    policies = find_resources("Microsoft.Web/sites/basicPublishingCredentialsPolicies")

    assert {one["name"].partition("/")[2] for one in policies} == {"scm", "ftp"}
    assert [one["properties"]["allow"] for one in policies] == [False, False]


def test_event_grid_may_send_only_to_the_event_queues() -> None:
    senders = [
        one
        for one in find_resources(ROLE)
        if BUILT_IN.get(get_role_id(one)) == "Azure Service Bus Data Sender"
    ]
    topics = {one["name"] for one in find_resources("Microsoft.EventGrid/systemTopics")}

    for role, queue in zip(senders, ("policy-events", "key-events"), strict=True):
        scope = role["id"].partition("'/'")[0]
        assert "'Microsoft.ServiceBus/namespaces/queues'" in scope
        assert scope.endswith(f"'{queue}'), ")
        assert [name for name in topics if f"/{name}'" in role["properties"]["principalId"]]


def test_app_may_read_secrets_of_the_vaults_in_its_settings() -> None:
    [role] = [
        one
        for one in find_resources(ROLE)
        if BUILT_IN.get(get_role_id(one)) == "Key Vault Secrets User"
        and "appPrincipalId" in one["properties"]["principalId"]
    ]
    without = [BUILT_IN.get(get_role_id(one)) for one in find_resources(ROLE, "open")]

    assert "/resourceGroups/team/providers/Microsoft.KeyVault/vaults/kv-team'" in role["id"]
    assert "Key Vault Secrets User" not in without


def test_named_apps_may_read_the_secrets_with_trigger_urls() -> None:
    readers = {
        one["properties"]["principalId"][0]: BUILT_IN[get_role_id(one)]
        for one in find_resources(ROLE)
        if "/providers/Microsoft.KeyVault/vaults/kv-urls/" in one["id"]
    }

    assert readers == dict.fromkeys("56", "Key Vault Secrets User")


def test_app_may_only_read_and_sign_with_the_evidence_key() -> None:
    [key] = find_resources("Microsoft.KeyVault/vaults/keys")
    [role] = [
        one
        for one in find_resources(CUSTOM_ROLE)
        if "evidence key" in one["properties"]["roleName"]
    ]
    [assignment] = [one for one in find_resources(ROLE) if get_role_id(one) == role["name"]]
    [permission] = role["properties"]["permissions"]

    assert (key["properties"]["kty"], key["properties"]["keyOps"]) == ("RSA", ["sign", "verify"])
    assert "vaults/keys', " in assignment["id"].partition("roleAssignments")[0]
    assert permission == {
        "dataActions": [
            "Microsoft.KeyVault/vaults/keys/read",
            "Microsoft.KeyVault/vaults/keys/sign/action",
        ]
    }


def test_vault_name_changes_with_the_identity() -> None:
    """Azure reserves the name of a deleted vault for 90 days."""
    [vault] = find_resources("Microsoft.KeyVault/vaults")

    assert vault["properties"]["enablePurgeProtection"] is True
    assert vault["name"].startswith("[format('kv-{0}', uniqueString(reference(")
    assert vault["name"].endswith(".outputs.appPrincipalId.value))]")


def test_system_topic_of_the_subscription_is_optional() -> None:
    """A subscription can have only one such topic, and may already have it."""
    topic = "Microsoft.EventGrid/systemTopics"
    document = json.loads((INFRA / "main.parameters.json").read_text())

    assert len(find_resources(topic, "open")) == 1
    assert find_resources(topic, "no-policy-topic") == []
    assert document["parameters"]["createPolicyTopic"] == {
        "value": "${CMK_CREATE_POLICY_TOPIC=true}"
    }


def test_system_topic_of_a_vault_has_the_region_of_the_vault() -> None:
    """Event Grid rejects a topic in a region other than its vault's."""
    topic = find_resource("Microsoft.EventGrid/systemTopics", "evgt-keys-", "another-region")

    assert topic["location"] == "francecentral"
    assert {
        one["location"]
        for one in read_predicted_resources("another-region")
        if one.get("location", "global") not in ("global", "francecentral")
    } == {"swedencentral"}


def test_storage_is_locally_redundant_by_default() -> None:
    """Some regions have no zones."""
    account = "Microsoft.Storage/storageAccounts"

    assert find_resource(account, "st", "open")["sku"] == {"name": "Standard_LRS"}
    assert find_resource(account, "st")["sku"] == {"name": "Standard_ZRS"}


def test_every_parameter_file_has_a_snapshot() -> None:
    snapshots = {path.name for path in (INFRA / "snapshots").glob("*.json")}

    assert snapshots == {f"{path.stem}.snapshot.json" for path in SETS}
