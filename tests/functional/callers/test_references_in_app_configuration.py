"""Test that keys of App Configuration refer to URL secrets only if a person has decided so."""

import json
from dataclasses import replace

import pytest

from shared.domain.environment import UrlSecretUse
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.plans.unknowns import READERS_OF_APP_CONFIGURATION
from shared.ports import KeyValue
from tests.fakes.app_configuration import REFERENCE_TYPE, read_key_value
from tests.fakes.invariants import find_signatures_in_store
from tests.fakes.tenant import FakeFlow
from tests.functional.callers.test_url_secret_choices import choose_for_flows, read_shown_plan
from tests.functional.callers.test_url_secrets import (
    VAULT,
    assign_user_identity,
    build_scenario,
    change_key,
    find_copy,
    format_secret_name,
    list_caller_writes,
    make_named_value_plain,
    read_app_secrets,
    read_properties,
)
from tests.functional.scenarios.remediation_scenario import Scenario
from tests.functional.scenarios.traffic_scenario import assert_nothing_lost, plan_remediation

STORE = "https://contoso.azconfig.io"
PLACE = (STORE, "Flow:Urls", "production")
RISK = "Its readers must resolve Key Vault references and have access to the vault"


def build_with_key_value(content_type: str | None = "text/plain") -> tuple[Scenario, FakeFlow]:
    scenario, flow, _ = build_scenario(0)
    scenario.build.add_key_value_caller(flow)
    scenario.build.add_url_vault()
    kept = scenario.world.key_values
    kept[PLACE] = replace(kept[PLACE], content_type=content_type)
    return scenario, flow


def add_reference(scenario: Scenario) -> None:
    place = (STORE, "Password", "")
    kept = scenario.world.key_values
    kept[place] = replace(
        kept[PLACE],
        key=place[1],
        label=place[2],
        value='{"uri":"https://other.vault.azure.net/secrets/password"}',
        content_type=REFERENCE_TYPE.upper().replace(";", " ; "),
    )


def clear_etag(key_value: KeyValue) -> KeyValue:
    return replace(key_value, etag="")


async def test_key_holds_the_url_by_default_and_the_plan_says_why() -> None:
    scenario, flow = build_with_key_value()
    await plan_remediation(scenario)

    item = (await read_shown_plan(scenario))[1]["Orders"]
    await scenario.approve()

    [caller] = item.callers
    assert caller.by_value_reason == item.unknown_readers
    assert item.unknown_readers.startswith(RISK)
    assert item.unknown_readers.endswith(f"No key of {STORE} is a Key Vault reference.")
    assert item.url_secret == ""
    assert scenario.world.key_values[PLACE].value == scenario.build.get_trigger_url(
        find_copy(scenario, flow)
    )
    assert (VAULT, format_secret_name(flow)) not in scenario.world.secrets
    assert_nothing_lost(scenario)


async def test_references_in_the_store_are_named_as_evidence() -> None:
    """Other references in a store suggest that its readers can resolve references."""
    scenario, _ = build_with_key_value()
    add_reference(scenario)
    await plan_remediation(scenario)

    item = (await read_shown_plan(scenario))[1]["Orders"]

    text = f"1 key of {STORE} already is a Key Vault reference: its readers seem to resolve them."
    assert item.unknown_readers.endswith(text)


@pytest.mark.parametrize("content_type", ["text/plain", "", None])
async def test_key_refers_by_choice_and_is_reverted_byte_for_byte(content_type: str | None) -> None:
    scenario, flow = build_with_key_value(content_type)
    before = scenario.world.key_values[PLACE]
    await plan_remediation(scenario)
    await choose_for_flows(scenario, UrlSecretUse.WITH_APP_CONFIGURATION, "Orders")
    item = (await read_shown_plan(scenario))[1]["Orders"]
    scenario.world.writes.clear()
    await scenario.approve()
    first, policy = scenario.remediation, scenario.build.environment.policy
    writes, copy = list_caller_writes(scenario), find_copy(scenario, flow)
    moved = scenario.world.key_values[PLACE]

    await change_key(scenario, copy)
    second, last = list_caller_writes(scenario), find_copy(scenario, flow, copy)
    kept, used = scenario.world.key_values[PLACE], read_key_value(scenario.world, PLACE)
    await scenario.roll_back()
    scenario.remediation, scenario.build.environment.policy = first, policy
    await scenario.roll_back()

    uri = f"{VAULT}/secrets/{format_secret_name(flow)}"
    assert READERS_OF_APP_CONFIGURATION.text in item.unknowns
    assert sorted(writes) == ["write key-value", "write secret"]
    assert second == ["write secret"]
    assert json.loads(moved.value) == {"uri": uri}
    assert clear_etag(moved) == clear_etag(
        replace(before, value=moved.value, content_type=REFERENCE_TYPE)
    )
    assert kept == moved
    assert used == scenario.build.get_trigger_url(last)
    assert clear_etag(scenario.world.key_values[PLACE]) == clear_etag(before)
    assert find_signatures_in_store(scenario.world, scenario.fakes.store) == []
    assert_nothing_lost(scenario)


async def test_setting_of_the_environment_lets_keys_refer_to_url_secrets() -> None:
    scenario, flow = build_with_key_value()
    other = scenario.build.add_http_flow("Returns")
    scenario.build.add_key_value_caller(other, key="Returns")
    await plan_remediation(scenario, has_url_secrets_in_app_configuration=True)
    await choose_for_flows(scenario, UrlSecretUse.VERIFIED_CALLERS, "Returns")

    await scenario.approve()

    held = scenario.world.key_values[STORE, "Returns", "production"]
    assert scenario.world.key_values[PLACE].content_type == REFERENCE_TYPE
    assert held.content_type == "text/plain"
    assert (await scenario.read_job("Orders")).state is FlowJobState.RETIRED
    assert (VAULT, format_secret_name(other)) not in scenario.world.secrets
    assert scenario.world.secrets[VAULT, format_secret_name(flow)]
    assert_nothing_lost(scenario)


@pytest.mark.parametrize("why", ["locked", "more"])
async def test_key_that_cannot_refer_has_no_choice(why: str) -> None:
    scenario, _ = build_with_key_value()
    kept = scenario.world.key_values
    if why == "locked":
        kept[PLACE] = replace(kept[PLACE], is_locked=True)
    else:
        kept[PLACE] = replace(kept[PLACE], value=f"{kept[PLACE].value} ")
    await plan_remediation(scenario)

    item = (await read_shown_plan(scenario))[1]["Orders"]

    assert (item.can_choose_url_secret, item.unknown_readers) == (False, "")


async def test_second_key_change_writes_one_secret_for_callers_of_all_kinds() -> None:
    scenario, flow, (site,) = build_scenario(1)
    world = scenario.world
    strings = scenario.build.add_connection_string_caller(flow)
    secret_value = scenario.build.add_named_value_caller(flow).lower()
    plain_value = scenario.build.add_named_value_caller(flow, name="plain").lower()
    app = scenario.build.add_container_app_caller(flow).lower()
    scenario.build.add_key_value_caller(flow)
    service = secret_value.partition("/namedvalues/")[0]
    scenario.build.add_url_vault(site, strings, app, service)
    make_named_value_plain(scenario, plain_value)
    for path in (service, app):
        assign_user_identity(scenario, path)

    def read_callers() -> list[object]:
        values = [read_properties(scenario, path) for path in (secret_value, plain_value)]
        texts = [dict(site.settings), dict(strings.connection_strings)]
        secrets, key_value = read_app_secrets(scenario, app), clear_etag(world.key_values[PLACE])
        return [*texts, *values, secrets, (key_value, key_value.value)]

    before = read_callers()
    await plan_remediation(scenario, has_url_secrets_in_app_configuration=True)
    world.writes.clear()
    await scenario.approve()
    first, policy = scenario.remediation, scenario.build.environment.policy
    writes, copy, moved = list_caller_writes(scenario), find_copy(scenario, flow), read_callers()

    await change_key(scenario, copy)
    second, after = list_caller_writes(scenario), read_callers()
    await scenario.roll_back()
    scenario.remediation, scenario.build.environment.policy = first, policy
    await scenario.roll_back()

    assert sorted(writes) == [
        "write app settings",
        "write connection strings",
        "write key-value",
        *["write resource"] * 3,
        "write secret",
    ]
    assert all(format_secret_name(flow) in str(one) for one in moved)
    assert second == ["write secret"]
    assert after == moved
    assert read_callers() == before
    assert find_signatures_in_store(world, scenario.fakes.store) == []
    assert_nothing_lost(scenario)
