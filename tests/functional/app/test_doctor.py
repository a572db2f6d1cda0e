import asyncio
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from functions import doctor_api
from shared.bootstrap import provide
from shared.callers.synapse import SynapseCallers
from shared.domain.permissions import get_resource_group_id
from shared.errors import JobBlocked, NotFound, PlatformError, ServiceUnavailable
from shared.ports import QueueMessage, ResourceReader
from shared.queues import POISON
from shared.reason import Reason
from shared.settings import Settings, get_setting_name
from shared.use_cases import check_deployment
from shared.use_cases.set_kill_switch import set_kill_switch
from tests.fakes.clock import build_store_clock
from tests.fakes.evidence_key import KEY_URL, VAULT_URL, add_evidence_key
from tests.fakes.fault_injection import Failing
from tests.fakes.services import build_fake_settings
from tests.functional.cli.cli_app import CommandLine
from tests.functional.scenarios.app_calls import build_sign_in_header, call
from tests.functional.scenarios.remediation_scenario import Scenario

SUBSCRIPTION = "11111111-2222-3333-4444-555555555555"
FORBIDDEN = PlatformError("not for you", code="Forbidden", status=403)
OUT = ServiceUnavailable("out")


@pytest.fixture
async def scenario() -> Scenario:
    scenario = Scenario(
        settings=build_fake_settings(subscription_ids=(SUBSCRIPTION,), evidence_key=KEY_URL)
    )
    add_evidence_key(scenario.world)
    scenario.build.add_app_setting_caller(scenario.build.add_http_flow("Orders"))
    scenario.build.apply_key()
    await scenario.opt_in()
    provide(scenario.services)
    return scenario


async def list_findings() -> list[dict[str, str]]:
    reply = await call(doctor_api.check_deployment)
    assert reply.status == 200
    items: list[dict[str, str]] = reply.document["items"]
    return items


async def find_finding(code: str, subject: str = "") -> dict[str, str]:
    (found,) = [
        one for one in await list_findings() if (one["code"], one["subject"]) == (code, subject)
    ]
    return found


async def test_check_of_a_complete_deployment_has_no_problem(scenario: Scenario) -> None:
    before = dict(scenario.fakes.store.rows)

    found = await list_findings()

    codes = list(dict.fromkeys(one["code"] for one in found))
    assert [one for one in found if one["level"] in {"problem", "unknown"}] == []
    assert [one for one in codes if one not in {"sign_in", "channels", "settings"}] == [
        *("state", "archive", "queues", "timers", "power_platform", "flow_service", "dataverse"),
        *("service_account", "subscriptions", "keys", "evidence_key", "service_tags", "callers"),
        *("firewalls", "firewall_fixes"),
    ]
    assert scenario.fakes.store.rows == before


class _NoFunctionKeys:
    """A function key check that cannot reach the Functions host."""

    async def accepts(self, key: str) -> bool:
        raise ServiceUnavailable(f"no answer about {len(key)} characters")


async def test_function_keys_that_cannot_be_checked_are_reported(scenario: Scenario) -> None:
    without = replace(scenario.services, function_keys=_NoFunctionKeys())
    provide(without)
    reply = await call(doctor_api.check_deployment, headers=build_sign_in_header("admin"), key="")
    no_keys = without.settings.model_copy(update={"function_key_roles": ()})
    provide(replace(without, settings=no_keys))
    unused = await call(doctor_api.check_deployment, headers=build_sign_in_header("admin"))

    (found,) = [one for one in reply.document["items"] if one["level"] == "unknown"]
    assert found["code"] == "sign_in"
    assert "WEBSITE_HOSTNAME" in found["fix"]
    assert "unknown" not in {one["level"] for one in unused.document["items"]}


REMEDIES = {
    "archive": ("archive", "Storage Blob Data Owner"),
    "environments": ("power_platform", "New-PowerAppManagementApp"),
    "flow_reports": ("flow_service", "New-PowerAppManagementApp"),
    "principals": ("dataverse", "System Administrator and Delegate"),
    "flow_access": ("service_account", "cmkflow service-account sign-in"),
    "keys": ("keys", "Key Vault Reader"),
    "service_tags": ("service_tags", "CMK_SERVICE_TAGS_FILE"),
    "messages": ("queues", "Azure Service Bus Data Owner"),
}
GONE = NotFound("gone")


@pytest.mark.parametrize(
    ("port", "error", "level"),
    [
        (port, error, level)
        for port in REMEDIES
        for error, level in ((FORBIDDEN, "problem"), (GONE, "problem"), (OUT, "unknown"))
        if (port, error) != ("archive", GONE)  # that is an answer
    ],
)
async def test_failed_check_has_a_fix_and_stops_no_other_check(
    scenario: Scenario, port: str, error: Exception, level: str
) -> None:
    code, remedy = REMEDIES[port]
    failing: Any = {port: Failing(error)}
    provide(replace(scenario.services, **failing))

    found = await list_findings()

    failed = [one for one in found if one["level"] in {"problem", "unknown"}]
    assert {(one["code"], one["level"]) for one in failed} == {(code, level)}
    assert all(remedy in one["fix"] for one in failed)
    assert found[-1]["code"] == "firewall_fixes"


async def test_unreadable_settings_of_an_environment_stop_no_check(scenario: Scenario) -> None:
    rows = scenario.fakes.store.rows
    [name] = [name for name in rows if name[0] == "environmentsettings"]
    rows[name] = replace(rows[name], columns={**rows[name].columns, "data0": "{"})

    found = await list_findings()

    failed = [one for one in found if one["level"] == "problem"]
    assert [one["code"] for one in failed] == ["power_platform", "firewall_fixes"]
    assert all(name[2] in one["message"] and "delete the row" in one["fix"] for one in failed)
    assert {"power_platform", "flow_service"} <= {
        one["code"] for one in found if one["level"] == "ok"
    }


async def test_bug_in_one_check_stops_no_other_check(scenario: Scenario) -> None:
    failing: Any = {"keys": Failing(KeyError("properties"))}
    provide(replace(scenario.services, **failing))

    found = await list_findings()

    [failed] = [one for one in found if one["level"] == "problem"]
    assert (failed["code"], failed["fix"]) == ("keys", "Report the message to the project.")
    assert failed["message"].startswith("The check failed: KeyError at ")
    assert found[-1]["code"] == "firewall_fixes"


class _NoAnswer(SynapseCallers):
    """A caller search in two workspaces, one of which never answers."""

    async def read_scopes(self) -> list[str]:
        return ["silent", "there"]

    async def require_searchable_scope(self, scope: str) -> None:
        if scope == "silent":
            await asyncio.Event().wait()


async def test_check_without_an_answer_ends_in_time_and_stops_no_other_check(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Azure ends a request to a function after 230 seconds."""
    services = scenario.services
    artifacts = scenario.fakes.ports.synapse_artifacts
    silent = _NoAnswer(services.assessment.resources, artifacts)
    provide(replace(services, callers={**services.callers, "synapse": silent}))
    monkeypatch.setattr(check_deployment, "_SECONDS", 2.0)

    found = await list_findings()

    levels = {one["subject"]: one["level"] for one in found if one["code"] == "callers"}
    assert (levels["silent"], levels["there"]) == ("unknown", "ok")
    assert [one["subject"] for one in found if one["level"] in {"problem", "unknown"}] == ["silent"]


class _WithoutVaults:
    """A reader of resources that may not list key vaults."""

    def __init__(self, resources: ResourceReader) -> None:
        self._resources = resources

    def __getattr__(self, name: str) -> Any:
        return getattr(self._resources, name)

    async def list(self, resource_type: str, api_version: str) -> Any:
        if resource_type == "Microsoft.KeyVault/vaults":
            raise FORBIDDEN
        return await self._resources.list(resource_type, api_version)


async def test_vault_that_cannot_be_found_stops_no_check_of_callers(scenario: Scenario) -> None:
    scenario.settings = scenario.settings.model_copy(update={"trigger_url_vault": VAULT_URL})
    services = scenario.services
    resources: Any = _WithoutVaults(services.assessment.resources)
    provide(replace(services, assessment=replace(services.assessment, resources=resources)))

    found = [one for one in await list_findings() if one["code"] == "callers"]

    failed = [one["subject"] for one in found if one["level"] == "problem"]
    assert failed == [VAULT_URL, "key_vault_secret"]
    assert len(found) > len(failed)


async def test_finding_shows_the_fix_of_its_error(scenario: Scenario) -> None:
    error = JobBlocked("No operator.", fix="Do that.", code=Reason.SERVICE_ACCOUNT_SIGNED_OUT)
    provide(replace(scenario.services, flow_access=Failing(error)))

    found = await find_finding("service_account")

    assert (found["level"], found["message"], found["fix"]) == (
        *("problem", "No operator."),
        "Do that.",
    )


SETTINGS = [
    "Microsoft.Web/sites/config/list/action",
    "Microsoft.Web/sites/config/write",
    "Microsoft.Web/sites/slots/config/list/action",
    "Microsoft.Web/sites/slots/config/write",
]


@pytest.mark.parametrize(
    ("given", "level", "text"),
    [
        ({"actions": ["*/read", *SETTINGS]}, "ok", "update 1 of 1 resource groups"),
        ({"actions": ["*/read"]}, "warning", "update 0 of 1 resource groups. Not in: rg"),
        ({"actions": ["*/read", SETTINGS[0]]}, "problem", "missing in: rg"),
    ],
)
async def test_finding_names_missing_permission_for_callers(
    scenario: Scenario, given: Mapping[str, object], level: str, text: str
) -> None:
    site = {
        "id": "/subscriptions/s/resourceGroups/RG/providers/Microsoft.Web/sites/shop",
        "type": "Microsoft.Web/sites",
        "name": "shop",
    }
    scenario.world.resources[site["id"].lower()] = site
    scenario.world.resources[f"{site['id']}/config/web".lower()] = {"properties": {}}
    scenario.world.permissions[get_resource_group_id(site["id"]).lower()] = given

    found = await find_finding("callers", "app_setting")

    assert found["level"] == level
    assert text in found["message"]
    assert ("CMK_CALLER_RESOURCE_GROUP_IDS" in found["fix"]) == (level != "ok")


@pytest.mark.parametrize(
    ("denied", "level", "text"),
    [
        (set(), "ok", "can search"),
        ({"Microsoft.Synapse/workspaces/pipelines/write"}, "problem", "pipelines/write"),
    ],
)
async def test_finding_names_missing_role_in_a_synapse_workspace(
    scenario: Scenario, denied: set[str], level: str, text: str
) -> None:
    """No deployment template can assign this role."""
    scenario.build.add_synapse_caller(scenario.build.add_http_flow("Nightly"))
    scenario.world.denied_synapse_actions = denied

    found = await find_finding("callers", "contoso")

    assert found["level"] == level
    assert text in found["message"]
    assert ("Synapse Artifact Publisher" in found["fix"]) == bool(denied)


@pytest.mark.parametrize(("action", "level"), [("*", "ok"), ("*/read", "problem")])
async def test_write_permission_for_firewalls_that_plans_may_change_is_checked(
    scenario: Scenario, action: str, level: str
) -> None:
    scenario.has_azure_firewalls = True
    provide(scenario.services)
    group = "/subscriptions/s/resourcegroups/rg"
    firewall = f"{group}/providers/microsoft.network/networksecuritygroups/erp"
    await scenario.opt_in(writable_firewalls=frozenset({firewall}))
    scenario.world.permissions[group] = {"actions": [action]}

    found = await find_finding("firewall_fixes", "erp")

    assert found["level"] == level
    assert ("CMK_FIREWALL_RESOURCE_GROUP_IDS" in found["fix"]) == (level != "ok")


@pytest.mark.parametrize(
    ("given", "level"),
    [
        ({"actions": ["*/read"], "dataActions": ["Microsoft.KeyVault/vaults/*/read"]}, "ok"),
        ({"actions": ["*/read"]}, "problem"),
        ({"dataActions": ["Microsoft.KeyVault/vaults/*/read"]}, "problem"),
    ],
)
async def test_read_permission_for_a_watched_subscription_is_checked(
    scenario: Scenario, given: Mapping[str, object], level: str
) -> None:
    scenario.world.permissions[f"/subscriptions/{SUBSCRIPTION}"] = given

    found = await find_finding("subscriptions", SUBSCRIPTION)

    assert found["level"] == level
    assert ("Reader and Key Vault Reader" in found["fix"]) == (level != "ok")


@pytest.mark.parametrize(
    ("change", "privilege"),
    [("may_share", "prvShareWorkflow"), ("may_act_on_behalf", "prvActOnBehalfOfAnotherUser")],
)
async def test_finding_names_the_missing_dataverse_privilege(
    scenario: Scenario, change: str, privilege: str
) -> None:
    setattr(scenario.world, change, False)

    found = await find_finding("dataverse", scenario.build.environment.display_name)

    assert found["level"] == "problem"
    assert privilege in found["message"]
    assert "System Administrator and Delegate" in found["fix"]


@pytest.mark.parametrize("why", ["is not a user", "is disabled", "has no role"])
async def test_service_account_without_a_dataverse_role_is_a_problem(
    scenario: Scenario, why: str
) -> None:
    operator = scenario.world.operator
    if why == "is not a user":
        del scenario.world.users[operator.user_id]
    elif why == "is disabled":
        operator.is_disabled = True
    else:
        scenario.world.without_roles.add(operator.user_id)

    found = await find_finding("service_account", scenario.build.environment.display_name)

    assert found["level"] == "problem"
    assert why in found["message"]
    assert "Environment Maker" in found["fix"]


@pytest.mark.parametrize("is_signed_out", [False, True])
async def test_finding_names_the_expiry_of_the_service_account_sign_in(
    scenario: Scenario, is_signed_out: bool
) -> None:
    scenario.world.is_operator_signed_out = is_signed_out

    found = await find_finding("service_account")

    assert found["level"] == ("problem" if is_signed_out else "ok")
    assert ("unused, it expires on 2026-05-31" in found["message"]) is not is_signed_out
    assert ("Sign the service account in again" in found["fix"]) is is_signed_out


@pytest.mark.parametrize(
    ("lead", "words"),
    [
        (timedelta(days=3), "4,320 minutes ahead of the store's"),
        (timedelta(hours=-1), "60 minutes behind the store's"),
        (timedelta(minutes=4), ""),
    ],
)
async def test_wrong_clock_of_the_machine_is_a_warning(
    scenario: Scenario, lead: timedelta, words: str
) -> None:
    clock = build_store_clock(scenario.services.now, local=scenario.services.now + lead)
    provide(replace(scenario.services, clock=clock))

    found = [one for one in await list_findings() if one["code"] == "clock"]

    assert [one["level"] for one in found] == (["warning"] if words else [])
    assert all(words in one["message"] and "Restart the app" in one["fix"] for one in found)


async def test_poison_messages_and_kill_switch_are_warnings(scenario: Scenario) -> None:
    await scenario.services.messages.send(QueueMessage(queue=POISON, message_id="x", body={}))
    await set_kill_switch(scenario.services, is_on=True, by="admin", reason="an audit")

    parked, switch = await find_finding("queues", POISON), await find_finding("kill_switch")

    assert (parked["level"], switch["level"]) == ("warning", "warning")
    assert parked["message"].endswith(": 1.")
    assert "an audit" in switch["message"]
    assert "cmkflow kill-switch off" in switch["fix"]


@pytest.mark.parametrize(("error", "code"), [(None, 0), (FORBIDDEN, 4), (OUT, 5)])
async def test_command_lists_the_worst_findings_first_and_sets_the_exit_code(
    scenario: Scenario, cli: CommandLine, error: Exception | None, code: int
) -> None:
    if error:
        provide(replace(scenario.services, principals=Failing(error)))

    shown = await cli.run("doctor")
    as_json = await cli.run("doctor", "-o", "json")

    assert (shown.exit_code, as_json.exit_code) == (code, code)
    full = await cli.run("doctor", "--full")
    items = json.loads(as_json.stdout)["items"]
    passed = [one for one in items if one["level"] == "ok"]
    titles = re.findall(r"^(Failed|No answer|Warnings|Passed) \((\d+)\)$", shown.stdout, re.M)
    ranks = [["Failed", "No answer", "Warnings", "Passed"].index(title) for title, _ in titles]
    assert ranks == sorted(ranks)
    assert titles[-1] == ("Passed", str(len(passed)))
    assert sum(int(number) for _, number in titles) == len(items)
    assert "    Fix    " in shown.stdout
    assert not any(one["message"] in shown.stdout for one in passed)
    assert all(one["message"] in full.stdout for one in passed)


async def test_evidence_key_that_can_sign_is_ok(scenario: Scenario) -> None:
    found = await find_finding("evidence_key", f"{KEY_URL}/v1")

    assert found["level"] == "ok"


async def test_evidence_key_that_is_off_or_missing_is_a_problem(scenario: Scenario) -> None:
    add_evidence_key(scenario.world, is_enabled=False)
    disabled = await find_finding("evidence_key")
    scenario.world.keys.clear()
    missing = await find_finding("evidence_key")

    assert (disabled["level"], missing["level"]) == ("problem", "problem")
    assert "azd up" in missing["fix"]


async def test_evidence_key_that_permits_more_than_signing_is_a_warning(scenario: Scenario) -> None:
    (version,) = scenario.world.keys[VAULT_URL, "evidence"]
    operations = version.operations | {"wrapkey"}
    scenario.world.keys[VAULT_URL, "evidence"] = [replace(version, operations=operations)]

    found = [one for one in await list_findings() if one["code"] == "evidence_key"]

    assert [one["level"] for one in found] == ["ok", "warning"]
    assert "wrapkey" in found[1]["message"]


async def test_missing_evidence_key_setting_is_a_warning(scenario: Scenario) -> None:
    settings = scenario.services.settings.model_copy(update={"evidence_key": ""})
    provide(replace(scenario.services, settings=settings))

    found = await find_finding("evidence_key")

    assert found["level"] == "warning"
    assert "not signed" in found["message"]


async def test_configured_time_stamp_authority_is_checked(scenario: Scenario) -> None:
    before = [one for one in await list_findings() if one["code"] == "time_stamps"]
    settings = scenario.services.settings.model_copy(
        update={"time_stamp_authority": "https://tsa.example/"}
    )
    provide(replace(scenario.services, settings=settings))

    found = await find_finding("time_stamps", "https://tsa.example/")

    assert before == []
    assert found["level"] == "ok"


@pytest.mark.parametrize(
    ("field", "code"),
    [
        ("subscription_ids", "settings"),
        ("client_id", "settings"),
        ("storage_account", "settings"),
        ("sign_in_client_id", "sign_in"),
        ("evidence_key", "evidence_key"),
    ],
)
async def test_each_setting_that_a_deployment_makes_is_named_if_it_is_empty(
    scenario: Scenario, field: str, code: str
) -> None:
    """The app starts without these settings."""
    complete = {
        "client_id": "c",
        "storage_account": "stprod",
        "sign_in_client_id": "s",
        "subscription_ids": (SUBSCRIPTION,),
    }
    settings = scenario.services.settings.model_copy(update=complete)
    name = get_setting_name(field)

    async def find_lines(settings: Settings) -> list[str]:
        provide(replace(scenario.services, settings=settings))
        found = [one for one in await list_findings() if one["level"] != "ok"]
        return [
            one["code"] for one in found if re.search(rf"\b{name}\b", one["message"] + one["fix"])
        ]

    empty = settings.model_copy(update={field: () if field == "subscription_ids" else ""})

    assert await find_lines(settings) == []
    assert await find_lines(empty) == [code]
