from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.domain.definitions.json_values import mapping_at, objects_at
from shared.domain.flow import FlowState
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.plans.remediation import RemediationMode
from shared.errors import PlatformError
from shared.ports import Secret
from tests.fakes.container_secrets import read_secret_in_use
from tests.fakes.invariants import find_signatures_in_store
from tests.fakes.named_values import read_named_value
from tests.fakes.resource_writer import FakeResourceWriter
from tests.fakes.secrets import FakeSecrets
from tests.fakes.services import build_fake_settings
from tests.fakes.site_references import REFETCH_AFTER, read_setting
from tests.fakes.tenant import FakeFlow, FakeSite
from tests.functional.scenarios.remediation_scenario import Scenario
from tests.functional.scenarios.traffic_scenario import assert_nothing_lost, plan_remediation

DAY = timedelta(days=1)
VAULT = "https://kv-urls.vault.azure.net"
CALLERS = 4


def build_scenario(count: int = CALLERS) -> tuple[Scenario, FakeFlow, list[FakeSite]]:
    settings = build_fake_settings().model_copy(update={"trigger_url_vault": VAULT})
    scenario = Scenario(settings=settings)
    flow = scenario.build.add_http_flow("Orders")
    names = [f"app-{number}" for number in range(count)]
    sites = [scenario.build.add_app_setting_caller(flow, site=name) for name in names]
    assert scenario.build.add_url_vault(*sites) == VAULT
    return scenario, flow, sites


def build_with_named_value() -> tuple[Scenario, FakeFlow, str]:
    """Return a scenario, its flow, and the path of a secret named value that contains the flow's
    URL.
    """
    scenario, flow, _ = build_scenario(0)
    path = scenario.build.add_named_value_caller(flow)
    assert scenario.build.add_url_vault(path.partition("/namedValues/")[0]) == VAULT
    return scenario, flow, path.lower()


def build_with_container_app() -> tuple[Scenario, FakeFlow, str]:
    """Return a scenario, its flow, and the path of a container app with a secret that contains the
    flow's URL.
    """
    scenario, flow, _ = build_scenario(0)
    path = scenario.build.add_container_app_caller(flow)
    assert scenario.build.add_url_vault(path) == VAULT
    return scenario, flow, path.lower()


def read_app_secrets(scenario: Scenario, path: str) -> list[Mapping[str, object]]:
    configuration = mapping_at(scenario.world.resources[path], "properties", "configuration")
    return objects_at(configuration, "secrets")


def read_properties(scenario: Scenario, path: str) -> dict[str, object]:
    return dict(mapping_at(scenario.world.resources[path], "properties"))


def format_secret_name(flow: FakeFlow) -> str:
    return f"trigger-url-{flow.workflow_id}"


def format_reference(flow: FakeFlow) -> str:
    return f"@Microsoft.KeyVault(SecretUri={VAULT}/secrets/{format_secret_name(flow)})"


def list_caller_writes(scenario: Scenario) -> list[str]:
    """Return the writes to callers and secrets in Azure, without those in Dataverse."""
    return [write.what for write in scenario.world.writes if write.environment_id is None]


async def change_key(scenario: Scenario, copy: FakeFlow) -> None:
    """Apply another key to the environment, and migrate the copy. Forget all writes before the
    approval.
    """
    for flow in scenario.world.list_flows():
        flow.is_protected, flow.protected_since = False, None
    scenario.build.apply_key(name="cmk-next")
    await scenario.order(RemediationMode.APPLY, copy.workflow_id, cause="order-2")
    scenario.world.writes.clear()
    await scenario.approve()


def find_copy(scenario: Scenario, *known: FakeFlow) -> FakeFlow:
    """Return the only flow that is on and is not in `known`."""
    (copy,) = (
        flow
        for flow in scenario.world.list_flows()
        if flow.state is FlowState.ON and flow.workflow_id not in {one.workflow_id for one in known}
    )
    return copy


async def test_second_key_change_writes_one_secret_for_all_callers() -> None:
    scenario, flow, sites = build_scenario()
    await plan_remediation(scenario)
    scenario.world.writes.clear()
    await scenario.approve()
    first = list_caller_writes(scenario)
    copy = find_copy(scenario, flow)
    values = [site.settings["FLOW_URL"] for site in sites]

    await change_key(scenario, copy)

    last = find_copy(scenario, flow, copy)
    assert sorted(first) == ["write app settings"] * CALLERS + ["write secret"]
    assert values == [format_reference(flow)] * CALLERS
    assert list_caller_writes(scenario) == ["write secret"]
    assert [site.settings["FLOW_URL"] for site in sites] == values
    assert [site.restarts for site in sites] == [1] * CALLERS
    secret = scenario.world.secrets[VAULT, format_secret_name(flow)]
    assert secret.value == scenario.build.get_trigger_url(last)
    assert secret.tags == {
        "cmk-environment-id": flow.environment_id,
        "cmk-flow-id": flow.workflow_id,
    }
    assert {read_setting(scenario.world, site, "FLOW_URL") for site in sites} == {secret.value}
    assert find_signatures_in_store(scenario.world, scenario.fakes.store) == []
    assert_nothing_lost(scenario)


async def test_rollbacks_restore_each_value_byte_for_byte() -> None:
    scenario, flow, sites = build_scenario()
    before = [dict(site.settings) for site in sites]
    await plan_remediation(scenario)
    await scenario.approve()
    first, secret = scenario.remediation, scenario.world.secrets[VAULT, format_secret_name(flow)]
    after_first, policy = secret.value, scenario.build.environment.policy
    await change_key(scenario, find_copy(scenario, flow))

    await scenario.roll_back()
    after_second_rollback = (secret.value, [site.settings["FLOW_URL"] for site in sites])
    scenario.remediation, scenario.build.environment.policy = first, policy
    await scenario.roll_back()

    assert after_second_rollback == (after_first, [format_reference(flow)] * CALLERS)
    assert [site.settings for site in sites] == before
    assert secret.value == scenario.build.get_trigger_url(flow)
    assert_nothing_lost(scenario)


async def test_connection_string_refers_to_the_secret_and_is_reverted() -> None:
    scenario, flow, sites = build_scenario(1)
    site = scenario.build.add_connection_string_caller(flow)
    assert scenario.build.add_url_vault(*sites, site) == VAULT
    before = dict(site.connection_strings)
    await plan_remediation(scenario)

    await scenario.approve()
    moved = dict(site.connection_strings)
    await scenario.roll_back()

    assert moved == {"Custom|Flow": format_reference(flow)}
    assert site.connection_strings == before
    assert_nothing_lost(scenario)


async def test_second_key_change_leaves_a_named_value_that_refers_to_the_secret() -> None:
    scenario, flow, path = build_with_named_value()
    before = read_properties(scenario, path)
    await plan_remediation(scenario)
    scenario.world.writes.clear()
    await scenario.approve()
    first, policy = scenario.remediation, scenario.build.environment.policy
    writes, copy = list_caller_writes(scenario), find_copy(scenario, flow)
    moved = read_properties(scenario, path)

    await change_key(scenario, copy)
    second = list_caller_writes(scenario)
    last = find_copy(scenario, flow, copy)
    used = read_named_value(scenario.world, path)
    await scenario.roll_back()
    scenario.remediation, scenario.build.environment.policy = first, policy
    await scenario.roll_back()

    assert sorted(writes) == ["write resource", "write secret"]
    assert second == ["write secret"]
    identifier = f"{VAULT}/secrets/{format_secret_name(flow)}"
    assert moved == {
        **{name: before[name] for name in ("displayName", "secret", "tags")},
        "keyVault": {"secretIdentifier": identifier, "lastStatus": {"code": "Success"}},
    }
    assert used == scenario.build.get_trigger_url(last)
    assert read_properties(scenario, path) == before
    assert find_signatures_in_store(scenario.world, scenario.fakes.store) == []
    assert_nothing_lost(scenario)


@pytest.mark.parametrize(
    ("lacks", "why"),
    [
        ("identity", "The API Management service contoso has no identity"),
        ("right", "The API Management service contoso may not read the secret"),
    ],
)
async def test_named_value_that_cannot_refer_holds_the_url(lacks: str, why: str) -> None:
    scenario, flow, path = build_with_named_value()
    world, service = scenario.world, path.partition("/namedvalues/")[0]
    match lacks:
        case "identity":
            world.resources[service] = {**world.resources[service], "identity": None}
        case _:
            world.roles.clear()
    await plan_remediation(scenario)

    [caller] = (await scenario.plan())["Orders"].callers
    await scenario.approve()

    assert (caller.by_value_reason or "").startswith(why)
    url = scenario.build.get_trigger_url(find_copy(scenario, flow))
    assert read_properties(scenario, path)["value"] == url
    assert_nothing_lost(scenario)


def make_named_value_plain(scenario: Scenario, path: str) -> None:
    value = {**read_properties(scenario, path), "secret": False}
    scenario.world.resources[path] = {**scenario.world.resources[path], "properties": value}


def assign_user_identity(scenario: Scenario, path: str) -> str:
    """Move the rights of a resource to a user-assigned identity.

    Return the identity's resource id. The system-assigned identity and another user-assigned one
    may read no secret.
    """
    resource = scenario.world.resources[path]
    principal = mapping_at(resource, "identity")["principalId"]
    ids = [f"/identities/{name}" for name in ("a-other", "reader")]
    assigned = {
        ids[0]: {"principalId": "other", "clientId": "client of other"},
        ids[1]: {"principalId": principal, "clientId": "client of reader"},
    }
    identity = {"principalId": "no right", "userAssignedIdentities": assigned}
    scenario.world.resources[path] = {**resource, "identity": identity}
    return ids[1]


async def test_plain_named_value_is_a_secret_while_it_refers() -> None:
    """API Management accepts a reference only in a secret named value."""
    scenario, _, path = build_with_named_value()
    make_named_value_plain(scenario, path)
    before = read_properties(scenario, path)
    await plan_remediation(scenario)

    await scenario.approve()
    moved = read_properties(scenario, path)
    await scenario.roll_back()

    assert "keyVault" in moved
    assert moved["secret"] is True
    assert read_properties(scenario, path) == before
    assert before["secret"] is False
    assert find_signatures_in_store(scenario.world, scenario.fakes.store) == []
    assert_nothing_lost(scenario)


async def test_named_value_refers_with_a_user_assigned_identity() -> None:
    scenario, flow, path = build_with_named_value()
    assign_user_identity(scenario, path.partition("/namedvalues/")[0])
    before = read_properties(scenario, path)
    await plan_remediation(scenario)

    await scenario.approve()
    moved, used = read_properties(scenario, path), read_named_value(scenario.world, path)
    copy = find_copy(scenario, flow)
    await scenario.roll_back()

    assert mapping_at(moved, "keyVault")["identityClientId"] == "client of reader"
    assert used == scenario.build.get_trigger_url(copy)
    assert read_properties(scenario, path) == before
    assert_nothing_lost(scenario)


async def test_container_app_refers_with_a_user_assigned_identity() -> None:
    scenario, flow, path = build_with_container_app()
    identity = assign_user_identity(scenario, path)
    before = read_app_secrets(scenario, path)
    await plan_remediation(scenario)

    await scenario.approve()
    moved, used = read_app_secrets(scenario, path), read_secret_in_use(scenario.world, path, "url0")
    copy = find_copy(scenario, flow)
    await scenario.roll_back()

    url = f"{VAULT}/secrets/{format_secret_name(flow)}"
    assert moved == [{"name": "url0", "keyVaultUrl": url, "identity": identity}]
    assert used == scenario.build.get_trigger_url(copy)
    assert read_app_secrets(scenario, path) == before
    assert_nothing_lost(scenario)


@pytest.mark.parametrize("is_plain", [True, False])
@pytest.mark.parametrize("fault", ["rejected", "rejected later", "not read"])
async def test_named_value_whose_secret_is_not_read_holds_the_url(
    fault: str, monkeypatch: pytest.MonkeyPatch, *, is_plain: bool
) -> None:
    scenario, flow, path = build_with_named_value()
    if is_plain:
        make_named_value_plain(scenario, path)
    before = read_properties(scenario, path)
    await plan_remediation(scenario)
    match fault:
        case "rejected":
            scenario.world.are_references_denied = True
            code = "ValidationError"
        case "rejected later":
            put = FakeResourceWriter.put

            async def drop_references(*given: Any, **more: Any) -> None:
                if "keyVault" not in str(given):
                    await put(*given, **more)

            monkeypatch.setattr(FakeResourceWriter, "put", drop_references)
            code = "not stored"
        case _:
            scenario.world.refresh_status = code = "AccessDenied"

    await scenario.approve()
    job, moved = await scenario.read_job("Orders"), read_properties(scenario, path)
    copy = find_copy(scenario, flow)
    await scenario.roll_back()

    assert job.state is FlowJobState.RETIRED, job.message
    assert moved == {**before, "value": scenario.build.get_trigger_url(copy)}
    assert any(f"Its reference is not resolved: {code}" in note for note in job.notes)
    assert read_properties(scenario, path) == before
    assert_nothing_lost(scenario)


async def test_second_key_change_leaves_a_container_app_that_refers_to_the_secret() -> None:
    scenario, flow, path = build_with_container_app()
    before = read_app_secrets(scenario, path)
    await plan_remediation(scenario)
    scenario.world.writes.clear()
    await scenario.approve()
    first, policy = scenario.remediation, scenario.build.environment.policy
    writes, copy = list_caller_writes(scenario), find_copy(scenario, flow)
    moved = read_app_secrets(scenario, path)

    await change_key(scenario, copy)
    second = list_caller_writes(scenario)
    last = find_copy(scenario, flow, copy)
    used = read_secret_in_use(scenario.world, path, "url0")
    await scenario.roll_back()
    scenario.remediation, scenario.build.environment.policy = first, policy
    await scenario.roll_back()

    assert sorted(writes) == ["write resource", "write secret"]
    assert second == ["write secret"]
    url = f"{VAULT}/secrets/{format_secret_name(flow)}"
    assert moved == [{"name": "url0", "keyVaultUrl": url, "identity": "system"}]
    assert used == scenario.build.get_trigger_url(last)
    assert read_app_secrets(scenario, path) == before
    assert find_signatures_in_store(scenario.world, scenario.fakes.store) == []
    assert_nothing_lost(scenario)


@pytest.mark.parametrize("lacks", ["identity", "right", "answer", "late answer", "place"])
async def test_container_app_that_cannot_refer_holds_the_url(
    lacks: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenario, flow, path = build_with_container_app()
    world, why = scenario.world, ""
    match lacks:
        case "identity":
            world.resources[path] = {**world.resources[path], "identity": None}
            why = "The container app till has no identity"
        case "right":
            world.roles.clear()
            why = "The container app till may not read the secret"
        case "late answer":
            patch = FakeResourceWriter.patch

            async def drop_references(*given: Any, **more: Any) -> None:
                if "keyVaultUrl" not in str(given):
                    await patch(*given, **more)

            monkeypatch.setattr(FakeResourceWriter, "patch", drop_references)
        case "place":
            other = scenario.build.add_http_flow("Returns")
            scenario.build.add_container_app_caller(other, flow)
            scenario.build.add_url_vault(path)
            why = "Only a secret of the app"
    await plan_remediation(scenario)
    world.are_references_denied = lacks == "answer"

    callers = (await scenario.plan())["Orders"].callers
    await scenario.approve()

    assert [one.by_value_reason.startswith(why) for one in callers if one.by_value_reason] == (
        [True] if why else []
    )
    url = scenario.build.get_trigger_url(find_copy(scenario, flow)) if lacks != "place" else ""
    assert lacks == "place" or read_app_secrets(scenario, path) == [{"name": "url0", "value": url}]
    notes = (await scenario.read_job("Orders")).notes
    assert any("Its reference is not resolved" in note for note in notes) is (
        lacks.endswith("answer")
    )
    assert_nothing_lost(scenario)


async def test_original_stays_on_until_apps_have_fetched_the_new_secret() -> None:
    """An app may use the old URL for a day after the secret has changed."""
    scenario, flow, sites = build_scenario(1)
    scenario.settings = scenario.settings.model_copy(update={"no_call_period": timedelta(0)})
    await plan_remediation(scenario)
    await scenario.approve()
    copy = find_copy(scenario, flow)
    for one in scenario.world.list_flows():
        one.is_protected, one.protected_since = False, None
    scenario.build.apply_key(name="cmk-next")
    await scenario.order(RemediationMode.APPLY, copy.workflow_id, cause="order-2")

    await scenario.approve(run=REFETCH_AFTER - timedelta(hours=1))
    is_on, text = copy.is_on, read_setting(scenario.world, sites[0], "FLOW_URL")
    await scenario.run(60 * DAY)

    assert (is_on, text) == (True, scenario.build.get_trigger_url(copy))
    assert not copy.is_on
    assert_nothing_lost(scenario)


@pytest.mark.parametrize("lacks", ["identity", "right", "network", "slot's right", "setting"])
async def test_caller_that_may_be_unable_to_read_the_secret_gets_the_url(lacks: str) -> None:
    scenario, flow, (site, other) = build_scenario(2)
    world = scenario.world
    (vault,) = (one for one in world.vaults.values() if one.url == VAULT)
    match lacks:
        case "identity":
            site.principal_id, why = "", "app-0 has no identity"
        case "right":
            world.roles[vault.id, site.principal_id] = []
            why = "app-0 may not read the secret"
        case "network":
            world.vaults[vault.id] = replace(vault, default_action="Deny")
            why = "The network rules of the vault kv-urls may deny app-0"
        case "slot's right":
            slot = scenario.build.add_app_setting_caller(flow, site="app-0/slots/staging")
            del slot.settings["FLOW_URL"], world.traffic.systems[-1]
            why = "app-0/slots/staging has no identity"
        case _:
            site.settings["FLOW_URL"] += " "
            why = "It holds more than the URL"
    await plan_remediation(scenario)

    planned_callers = {one.label: one for one in (await scenario.plan())["Orders"].callers}
    await scenario.approve()

    copy = find_copy(scenario, flow)
    url = scenario.build.get_trigger_url(copy)
    assert (planned_callers["setting FLOW_URL of the app app-0"].by_value_reason or "").startswith(
        why
    )
    assert site.settings["FLOW_URL"].strip() == url
    expected = url if lacks == "network" else format_reference(flow)
    assert other.settings["FLOW_URL"] == expected
    assert_nothing_lost(scenario)


async def test_reference_that_is_not_resolved_is_replaced_by_the_url() -> None:
    scenario, flow, (site,) = build_scenario(1)
    before = dict(site.settings)
    await plan_remediation(scenario)
    scenario.world.are_references_denied = True

    await scenario.approve()
    job = await scenario.read_job("Orders")
    moved = site.settings["FLOW_URL"]
    copy = find_copy(scenario, flow)
    await scenario.roll_back()

    assert job.state is FlowJobState.RETIRED
    assert moved == scenario.build.get_trigger_url(copy)
    assert any("AccessToKeyVaultDenied" in note for note in job.notes)
    assert site.settings == before


class ClosedVault(FakeSecrets):
    """A secrets port that may read but not write."""

    async def write(self, secret: Secret, value: str) -> None:
        raise PlatformError(f"no write of {secret.name}", code="Forbidden", status=403)


async def test_job_that_cannot_create_the_secret_continues_without_url_secrets() -> None:
    scenario, flow, (site,) = build_scenario(1)
    scenario.around = lambda ports: replace(ports, secrets=ClosedVault(scenario.world))
    await plan_remediation(scenario)
    await scenario.approve()
    blocked, before = await scenario.read_job("Orders"), site.settings["FLOW_URL"]

    await scenario.opt_in(has_url_secrets=False)
    await scenario.retry()

    assert blocked.state is FlowJobState.BLOCKED
    assert format_secret_name(flow) in blocked.message
    assert before == scenario.build.get_trigger_url(flow)
    assert (await scenario.read_job("Orders")).state is FlowJobState.RETIRED
    assert site.settings["FLOW_URL"] == scenario.build.get_trigger_url(find_copy(scenario, flow))
    assert_nothing_lost(scenario)


async def test_environment_without_url_secrets_keeps_urls() -> None:
    scenario, flow, (site,) = build_scenario(1)
    scenario.build.apply_key()
    scenario.build.share_connections()
    await scenario.run_remediation(has_url_secrets=False)

    assert site.settings["FLOW_URL"] == scenario.build.get_trigger_url(find_copy(scenario, flow))
    assert (VAULT, format_secret_name(flow)) not in scenario.world.secrets


async def test_plan_names_the_secret_and_the_callers_that_refer_to_it() -> None:
    scenario, flow, (site,) = build_scenario(1)

    await plan_remediation(scenario)

    changes = (await scenario.plan())["Orders"].planned_changes
    assert f"store the copy's URL in the secret {format_secret_name(flow)} in {VAULT}" in changes
    assert f"make the setting FLOW_URL of the app {site.name} refer to the secret" in changes


async def test_secret_with_other_content_is_not_used() -> None:
    scenario, flow, (site,) = build_scenario(1)
    fake = scenario.build.add_secret_caller(flow, name=format_secret_name(flow))
    scenario.world.secrets.clear()
    scenario.world.traffic.systems.pop()
    fake.vault_url = VAULT
    fake.versions = [scenario.world.create_secret_version("something else")]
    scenario.world.secrets[VAULT, format_secret_name(flow)] = fake
    await plan_remediation(scenario)

    await scenario.approve()

    assert fake.value == "something else"
    assert site.settings["FLOW_URL"] == scenario.build.get_trigger_url(find_copy(scenario, flow))
    notes = (await scenario.read_job("Orders")).notes
    assert any("holds something else" in note for note in notes)
