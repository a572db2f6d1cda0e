"""Who may do what on what is deployed, and in what is watched."""

import json

from shared.callers.app_setting import AppSettingCallers
from shared.callers.key_vault_secret import KeyVaultSecretCallers
from shared.kinds import kinds_in
from tests.unit.bicep_source import (
    FILES,
    INFRA,
    ROOT,
    member,
    nodes,
    properties_of,
    resources,
    strings,
    text,
    tree,
)

ROLE = "Microsoft.Authorization/roleAssignments"
CUSTOM_ROLE = "Microsoft.Authorization/roleDefinitions"


def test_no_account_key_and_no_connection_string_works() -> None:
    """Everything is reached with an identity."""
    storage = properties_of("Microsoft.Storage/storageAccounts", "modules/state.bicep")
    bus = properties_of("Microsoft.ServiceBus/namespaces", "modules/messaging.bicep")

    assert storage["allowSharedKeyAccess"] == "false"
    assert storage["allowBlobPublicAccess"] == "false"
    assert bus["disableLocalAuth"] == "true"


def test_nobody_publishes_with_a_password() -> None:
    """Neither over scm nor over ftp."""
    kind = "Microsoft.Web/sites/basicPublishingCredentialsPolicies"
    policies = resources(kind, "modules/function-app.bicep")

    assert {text(member(policy, "name")) for policy in policies} == {"scm", "ftp"}
    assert {text(member(policy, "allow")) for policy in policies} == {"false"}


def test_in_a_watched_subscription_the_app_may_only_read() -> None:
    """Reader and Key Vault Reader, and nothing beside them."""
    path = "modules/watched-subscription.bicep"
    (roles,) = resources(ROLE, path)
    given = {
        text(declared.children[1]): text(declared.children[-1])
        for declared in nodes(tree(path), "variable_declaration")
    }

    assert "for role in [reader, keyVaultReader]: {" in text(roles)
    assert given == {
        "reader": "acdd72a7-3385-48ef-bd42-f606fba81ae7",
        "keyVaultReader": "21090545-7ca7-4776-b22c-e363652d74d2",
    }


def test_in_a_resource_group_with_callers_the_app_may_do_what_it_calls_and_no_more() -> None:
    """App settings are listed and replaced, secrets listed, read and given versions."""
    path = "modules/caller-group.bicep"
    settings, secrets = resources(CUSTOM_ROLE, path)

    assert tuple(strings(member(settings, "actions"))) == AppSettingCallers.needs.actions
    assert (
        tuple(strings(member(secrets, "dataActions"))) == KeyVaultSecretCallers.needs.data_actions
    )
    for role in (settings, secrets):
        assert text(member(role, "assignableScopes")) == "[resourceGroup().id]"
    given = [text(member(one, "roleDefinitionId")) for one in resources(ROLE, path)]
    assert [one.partition(", ")[2] for one in given] == ["appSettings.name)", "secrets.name)"]


def test_in_a_resource_group_with_firewalls_the_app_may_write_what_it_opens_and_no_more() -> None:
    """No firewall, no policy, no group as a whole: a rule, an IP group, a site's restrictions."""
    path = "modules/firewall-group.bicep"
    (role,) = resources(CUSTOM_ROLE, path)
    (given,) = resources(ROLE, path)

    needs = [getattr(kind, "needs", None) for kind in kinds_in("shared.firewalls")]
    assert sorted(strings(member(role, "actions"))) == sorted(
        action for one in needs if one for action in one.actions
    )
    assert text(member(role, "assignableScopes")) == "[resourceGroup().id]"
    assert "firewalls.name)" in text(member(given, "roleDefinitionId"))


def test_event_grid_may_send_to_the_queues_of_events_only() -> None:
    """Not to the namespace, so to none of the others."""
    path = "modules/messaging.bicep"
    senders = [
        role for role in resources(ROLE, path) if "eventsPrincipalId" in text(member(role, "name"))
    ]

    assert [text(member(role, "scope")) for role in senders] == ["queues[index]"]
    assert "for (name, index) in eventQueueNames: {" in text(senders[0])
    queues = (INFRA / path).read_text()
    assert "var queueNames = concat(eventQueueNames, jobQueueNames)" in queues, "one order"


def test_every_role_is_documented() -> None:
    """By the name that the portal shows, in the table of the deployment."""
    page = (ROOT / "docs/deployment.md").read_text()
    names = {
        "acdd72a7-3385-48ef-bd42-f606fba81ae7": "Reader",
        "21090545-7ca7-4776-b22c-e363652d74d2": "Key Vault Reader",
        "b86a8fe4-44ce-4948-aee5-eccb2c155cd7": "Key Vault Secrets Officer",
        "4633458b-17de-408a-b874-0445c86b69e6": "Key Vault Secrets User",
        "090c5cfd-751d-490a-894a-3ce6f1109419": "Azure Service Bus Data Owner",
        "69a216fc-b8fb-44d8-bc22-1f3c2cd27a39": "Azure Service Bus Data Sender",
        "b7e6dc6d-f1e8-4753-8033-0f276bb0955b": "Storage Blob Data Owner",
        "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3": "Storage Table Data Contributor",
        "3913510d-42f4-4e42-8a64-420c390055eb": "Monitoring Metrics Publisher",
    }
    deployed = {
        value
        for path in FILES
        for value in strings(tree(str(path.relative_to(INFRA))))
        if len(value) == 36 and value.count("-") == 4
    }

    assert deployed == set(names)
    assert [name for name in names.values() if name not in page] == []


def test_a_deleted_vault_is_in_the_way_of_no_new_one() -> None:
    """It keeps its name for ninety days, so the name is that of an identity, which is new too."""
    (vault,) = resources("Microsoft.KeyVault/vaults", "modules/operator-vault.bicep")

    assert text(member(vault, "enablePurgeProtection")) == "true"
    assert text(member(vault, "name")) == "kv-${uniqueString(principalId)}"


def test_the_system_topic_of_the_subscription_can_be_left_out() -> None:
    """It can have one only, and may have it already."""
    source = (INFRA / "main.bicep").read_text()
    document = json.loads((INFRA / "main.parameters.json").read_text())

    assert "module policyEvents 'modules/policy-events.bicep' = if (createPolicyTopic) {" in source
    assert document["parameters"]["createPolicyTopic"] == {
        "value": "${CMK_CREATE_POLICY_TOPIC=true}"
    }


def test_the_storage_has_a_redundancy_that_every_region_knows() -> None:
    """Zones are a choice: not every region has them."""
    assert "param storageRedundancy string = 'Standard_LRS'" in (INFRA / "main.bicep").read_text()
    account = resources("Microsoft.Storage/storageAccounts", "modules/state.bicep")[0]
    assert text(member(member(account, "sku"), "name")) == "redundancy"
