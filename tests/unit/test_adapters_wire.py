import json

import pytest

from shared.adapters.azure.app_settings import SiteEntity
from shared.adapters.azure.key_vault import VaultClient
from shared.adapters.azure.key_vault_keys import PolicyEntity, VaultProtectionEntity
from shared.adapters.azure.key_vault_secrets import VaultSecrets
from shared.adapters.azure.resource_manager import ResourceManager
from shared.adapters.azure.signing_keys import VaultSigningKeys
from shared.adapters.dataverse.workflows import WorkflowEntity
from shared.adapters.entra.no_service_account import NoServiceAccount
from shared.adapters.flow_service.access import FlowServiceAccountFlows
from shared.adapters.flow_service.flows import FlowServiceReports
from shared.adapters.flow_service.service import FlowService
from shared.adapters.flow_service.wire import FlowEntity, RunEntity, RunWithActions
from shared.adapters.http.client import HttpClient, HttpService
from shared.adapters.http.wire import Wire, parse_wire
from shared.adapters.power_platform import EnvironmentEntity
from shared.domain.clouds import PUBLIC
from shared.domain.environment import PolicyLinkStatus
from shared.domain.flow import FlowState
from shared.errors import PlatformError, ServiceUnavailable
from tests.unit.adapter_wire import (
    FixedEndpoint,
    NumberedCredential,
    Scripted,
    ScriptedTransport,
)

HEX = "0123456789abcdef0123456789abcdef"


def build_scripted_service(*bodies: object) -> tuple[HttpClient, HttpService]:
    http = HttpClient(ScriptedTransport(*(Scripted(body=body) for body in bodies)))
    return http, HttpService(name="x", scope="https://x/.default", credential=NumberedCredential())


def build_flow_service(*bodies: object) -> FlowService:
    return FlowService(*build_scripted_service(*bodies), FixedEndpoint(), PUBLIC)


def build_environment(policies: object, **properties: object) -> object:
    return {"name": "e", "properties": {"enterprisePolicies": policies, **properties}}


@pytest.mark.parametrize("name", ["customerManagedKeys", "CustomerManagedKeys"])
def test_policy_is_read_from_a_property_name_in_any_case(name: str) -> None:
    """See platform.md#property-case."""
    policy = {"id": "/Subscriptions/S/x", "systemId": "/regions/e", "linkStatus": "LinkingOnline"}

    read = parse_wire(EnvironmentEntity, build_environment({name: policy, "vNets": {}})).to_domain()

    assert read.policy is not None
    assert read.policy.status is PolicyLinkStatus.LINKING_ONLINE
    assert read.policy.policy_id == "/subscriptions/s/x"
    assert not read.is_linked


@pytest.mark.parametrize("policies", [None, {}, {"vnets": {"id": "x"}}])
def test_environment_without_an_encryption_policy_has_no_policy(policies: object) -> None:
    """Enterprise policies of other kinds, such as for networks, do not count."""
    assert parse_wire(EnvironmentEntity, build_environment(policies)).to_domain().policy is None


@pytest.mark.parametrize(("level", "managed"), [("Standard", True), ("Basic", False), ("", None)])
def test_protection_level_decides_if_an_environment_is_managed(
    level: str, managed: bool | None
) -> None:
    """`Standard` means managed, `Basic` means not managed."""
    entity = build_environment({}, governanceConfiguration={"protectionLevel": level})

    assert parse_wire(EnvironmentEntity, entity).to_domain().is_managed is managed


def test_error_for_an_invalid_answer_names_the_member_and_not_its_value() -> None:
    """The value in the response may be a secret."""

    class Model(Wire):
        number: int

    with pytest.raises(ServiceUnavailable, match="number") as caught:
        parse_wire(Model, {"number": "sig=secret"})

    assert "secret" not in f"{caught.value} {caught.value.__cause__}"


async def test_reports_omit_shadow_flows_and_deleted_flows() -> None:
    """See platform.md#shadow-flows, #flow-lists."""

    def build_flow(name: str, state: str = "Started") -> object:
        return {"name": name, "properties": {"displayName": name, "state": state}}

    first = {
        "value": [build_flow("a"), build_flow("b-azshadow")],
        "nextLink": "https://emea.api.flow.microsoft.com/2",
    }
    second = {"value": [build_flow("a"), build_flow("c", "Deleted"), build_flow("d", "New")]}

    flows = await FlowServiceReports(build_flow_service(first, second)).list_flows("e")

    assert [(each.flow_name, each.state) for each in flows] == [("a", FlowState.ON), ("d", None)]


def test_connection_reference_is_converted_to_the_format_of_dataverse() -> None:
    """See platform.md#flow-read, #client-data."""
    references = {
        "shared_office365": {
            "connectionName": "shared-office365-1",
            "connectionReferenceLogicalName": "cr1_office",
            "source": "Invoker",
            "id": "/providers/Microsoft.PowerApps/apis/shared_office365",
        },
        "shared_sql": {"apiName": "sql"},
    }
    entity = {
        "name": "f",
        "properties": {"definition": {"triggers": {}}, "connectionReferences": references},
    }

    detail = parse_wire(FlowEntity, entity).to_detail()

    assert json.loads(detail.client_data or "")["properties"]["connectionReferences"] == {
        "shared_office365": {
            "runtimeSource": "invoker",
            "connection": {
                "connectionReferenceLogicalName": "cr1_office",
                "name": "shared-office365-1",
            },
            "api": {"name": "shared_office365"},
        },
        "shared_sql": {
            "runtimeSource": "embedded",
            "connection": {},
            "api": {"name": "shared_sql"},
        },
    }


def test_flow_without_a_definition_in_the_answer_has_no_client_data() -> None:
    """An invented empty definition would look like a flow without a trigger."""
    assert parse_wire(FlowEntity, {"name": "f", "properties": {}}).to_detail().client_data is None


def test_run_in_progress_has_no_end_time() -> None:
    running = {"name": "r", "properties": {"startTime": "2026-01-02T03:04:05.1234567Z"}}
    link = {"uri": f"https://host:443/workflows/{HEX.upper()}/runs/1/contents/x?sig=s"}
    ended = {
        "name": "r",
        "properties": {
            "startTime": "2026-01-02T03:04:05Z",
            "endTime": "2026-01-02T03:04:06Z",
            "trigger": {"outputsLink": link},
        },
    }

    going, over = (parse_wire(RunEntity, item).to_domain() for item in (running, ended))

    assert going.is_running
    assert going.trigger_url_id is None
    assert over.trigger_url_id == HEX
    assert over.ended_at is not None
    assert "sig" not in repr(over)


@pytest.mark.parametrize("body", [{"response": {"value": "https://u"}}, {"value": "https://u"}])
async def test_trigger_url_is_read_from_the_old_and_the_new_format(body: object) -> None:
    """Newer responses have the URL in `response`, older ones beside it. See
    platform.md#trigger-url-read.
    """
    service = build_flow_service(body)

    access = FlowServiceAccountFlows(service, service, NoServiceAccount())

    assert await access.read_trigger_url("e", "f", "manual") == "https://u"


async def test_an_answer_without_a_trigger_url_is_no_answer() -> None:
    """The response may contain a signature, so the error does not quote it."""
    service = build_flow_service({"response": {"basePath": "https://u?sig=secret"}})

    with pytest.raises(ServiceUnavailable) as caught:
        await FlowServiceAccountFlows(service, service, NoServiceAccount()).read_trigger_url(
            "e", "f", "m"
        )

    assert "secret" not in str(caught.value)


def test_error_of_a_failed_action_is_read_without_secrets() -> None:
    url = f"https://p.logic.azure.com/workflows/{HEX}/triggers/m/paths/invoke?sig={'s' * 43}"
    actions = {
        "Call": {"status": "Failed", "code": "BadRequest", "error": {"message": f"No: {url}"}},
        "Wait": {"status": "TimedOut", "error": {"code": "ActionTimedOut"}},
        "After": {"status": "Skipped", "code": "ActionSkipped"},
    }

    run = parse_wire(RunWithActions, {"properties": {"actions": actions}})
    call, wait = run.list_failed_actions()

    assert (call.name, call.code, wait.name, wait.code) == (
        *("Call", "BadRequest"),
        *("Wait", "ActionTimedOut"),
    )
    assert call.message.startswith("No: https://p.logic.azure.com")
    assert "sss" not in call.message
    assert parse_wire(RunWithActions, {"properties": {}}).list_failed_actions() == []


def test_dataverse_row_is_read_with_its_annotations() -> None:
    """Members such as `@odata.etag` are not Python identifiers."""
    row = {
        "@odata.etag": 'W/"7"',
        "workflowid": "ABC",
        "statecode": 2,
        "clientdata": None,
        "_ownerid_value": "o",
    }

    read = parse_wire(WorkflowEntity, row).to_domain()

    assert (read.workflow_id, read.etag, read.owner_id) == ("abc", 'W/"7"', "o")
    assert (read.state, read.client_data) == (FlowState.SUSPENDED, "")


async def test_disabled_secrets_and_secrets_of_certificates_are_not_listed() -> None:
    base = "https://v.vault.azure.net/secrets/"
    items = [
        {"id": base + "a", "attributes": {"enabled": True}},
        {"id": base + "b", "attributes": {"enabled": False}},
        {"id": base + "c", "managed": True},
    ]
    http, service = build_scripted_service(
        {"value": [{"properties": {"vaultUri": "https://v.vault.azure.net/"}}]},
        {"value": items},
    )
    resources = ResourceManager(http, service, ["s"], PUBLIC)

    secrets = VaultSecrets(VaultClient(http, service), resources)
    [vault_url] = [item async for item in secrets.read_vault_urls()]
    listed = [item async for item in secrets.list(vault_url)]

    assert (vault_url, listed) == ("https://v.vault.azure.net", ["a"])


def test_identity_of_a_policy_is_read_in_both_spellings() -> None:
    """See platform.md#enterprise-policies."""
    for name in ("principalId", "systemAssignedIdentityPrincipalId"):
        entity = {"id": "/X", "name": "p", "kind": "Encryption", "identity": {name: "i"}}
        assert parse_wire(PolicyEntity, entity).to_domain().principal_id == "i"


def test_vault_without_a_purge_protection_value_has_no_purge_protection() -> None:
    entity = {
        "id": "/V",
        "properties": {
            "vaultUri": "https://v.vault.azure.net/",
            "accessPolicies": [{"objectId": "P", "permissions": {"keys": ["Get", "wrapKey"]}}],
        },
    }

    vault = parse_wire(VaultProtectionEntity, entity).to_domain()

    assert (vault.soft_delete, vault.purge_protection, vault.uses_rbac) == (True, False, False)
    assert vault.key_permissions == {"p": frozenset({"get", "wrapkey"})}


def test_site_lists_each_of_its_hosts_once() -> None:
    properties = {"defaultHostName": "A.example", "hostNames": ["a.example", "b.example"]}

    site = parse_wire(SiteEntity, {"id": "/s", "name": "s", "properties": properties}).to_domain()

    assert site.hosts == ("a.example", "b.example")


def test_signature_in_a_name_is_redacted_when_the_name_is_read() -> None:
    """A comparison of the redacted name with an unredacted one would report a change each time."""
    name = f"Call https://p.logic.azure.com/workflows/{HEX}/triggers/m/paths/invoke?sig={'s' * 43}"
    row = {"workflowid": "W", "name": name, "statecode": 1, "@odata.etag": "1"}
    flow = {"name": "f", "properties": {"displayName": name, "definition": {}}}

    names = [
        parse_wire(WorkflowEntity, row).to_domain().name,
        parse_wire(FlowEntity, flow).to_list_entry().display_name,
        parse_wire(FlowEntity, flow).to_detail().display_name,
        parse_wire(EnvironmentEntity, build_environment({}, displayName=name))
        .to_domain()
        .display_name,
    ]

    assert set(names) == {f"Call https://p.logic.azure.com/…/workflows/{HEX}/…"}


@pytest.mark.parametrize("key", [{"kty": "EC", "x": "AA"}, {"kty": "RSA", "n": "AQAB", "e": "AA"}])
async def test_key_that_is_not_an_rsa_key_is_rejected_for_signing(key: dict[str, str]) -> None:
    vaults = VaultClient(*build_scripted_service({"key": {"kid": "https://v/keys/k/1", **key}}))

    with pytest.raises(PlatformError, match="not an RSA key"):
        await VaultSigningKeys(vaults).read("https://v/keys/k")
