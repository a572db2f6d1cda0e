import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from local_cloud.tenant.core.profiles import Profile
from shared.domain.jobs.flow_states import FlowJobState
from tests.functional.copying.test_copied_definitions import ACTIONS, TRIGGER
from tests.functional.scenarios.remediation_scenario import on_both_platforms
from tests.functional.wire.wire_scenario import WireScenario, serve_wire_scenario
from tests.functional.wire.wire_seed import COLLEAGUE, ORDERS, build_orders_seed, build_tenant_seed
from tests.local_cloud.tenant.tenant_world import APP, MAKER, build_definition, build_references

CONNECTOR = "shared_office365"
SHORT = timedelta(hours=1)
EMBEDDED = {
    CONNECTOR: {
        "runtimeSource": "embedded",
        "connection": {"name": "mail-1"},
        "api": {"name": CONNECTOR},
    }
}


def build_orders_with_connections(**more: Any) -> dict[str, Any]:
    flow = {"definition": build_definition(TRIGGER, ACTIONS), "connectionReferences": EMBEDDED}
    return build_orders_seed(**{**flow, **more})


def build_tenant(
    *flows: dict[str, Any],
    owner: str = MAKER,
    profile: Profile = Profile.DOCUMENTED,
    **assumptions: Any,
) -> dict[str, Any]:
    """Return the seed of a tenant with these flows, and one connection that `owner` owns."""
    connection = {"name": "mail-1", "api": CONNECTOR, "owner": owner}
    return build_tenant_seed(
        *flows, assumptions=assumptions, profile=profile, connections=[connection]
    )


async def copy_flow(scenario: WireScenario) -> dict[str, Any]:
    """Run a remediation that copies and retires the flow. Return the `properties` of the copy."""
    await scenario.order()
    job = await scenario.read_job()
    assert job.state is FlowJobState.RETIRED, (job.message, job.fix)
    copy = scenario.find_flow(job.copy.id)
    properties: dict[str, Any] = json.loads(copy.client_data)["properties"]
    return properties


@pytest.mark.parametrize("state", ["Started", "Stopped"])
@pytest.mark.parametrize("in_solution", [True, False])
@on_both_platforms
async def test_copy_has_the_same_definition_and_a_connection_reference(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    state: str,
    profile: Profile,
    *,
    in_solution: bool,
) -> None:
    seed = build_tenant(
        build_orders_with_connections(state=state, inSolution=in_solution),
        profile=profile,
        older_host_shapes_refused=False,
    )
    async with serve_wire_scenario(monkeypatch, tmp_path, seed) as scenario:
        before = json.loads(scenario.find_flow().client_data)["properties"]

        after = await copy_flow(scenario)

        (reference,) = scenario.environment.get_table("connectionreferences").values()
        assert after["definition"] == before["definition"]
        assert after["connectionReferences"][CONNECTOR]["connection"] == {
            "connectionReferenceLogicalName": reference["connectionreferencelogicalname"]
        }
        assert reference["connectionid"] == "mail-1"
        assert reference["_ownerid_value"] == scenario.environment.users[MAKER]["systemuserid"]
        copy = scenario.find_flow((await scenario.read_job()).copy.id)
        assert (copy.state, copy.owner) == (state, MAKER)


async def test_older_connector_actions_are_converted_if_the_platform_rejects_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seed = build_tenant(build_orders_with_connections(), older_host_shapes_refused=True)
    async with serve_wire_scenario(monkeypatch, tmp_path, seed) as scenario:
        before = json.loads(scenario.find_flow().client_data)["properties"]["definition"]

        after = (await copy_flow(scenario))["definition"]

        for action in (before["actions"]["Send"], before["actions"]["Each"]["actions"]["Old"]):
            action["inputs"]["host"]["connectionReferenceName"] = CONNECTOR
            del action["inputs"]["authentication"]
        assert after == before


@pytest.mark.parametrize("in_solution", [True, False])
async def test_definition_in_runtime_format_is_converted_for_the_copy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, in_solution: bool
) -> None:
    """The platform does not save the format in which the flow service returns a definition."""
    seed = build_tenant(
        build_orders_with_connections(inSolution=in_solution),
        profile=Profile.ADVERSARIAL,
        flow_service_shows_runtime_shape=True,
    )
    async with serve_wire_scenario(monkeypatch, tmp_path, seed) as scenario:
        after = (await copy_flow(scenario))["definition"]

        assert after["actions"]["Send"]["inputs"]["host"]["connectionReferenceName"] == CONNECTOR


async def test_copy_is_verified_although_the_platform_adds_the_connection_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seed = build_tenant(build_orders_with_connections(), saves_name_connections=True)
    async with serve_wire_scenario(monkeypatch, tmp_path, seed) as scenario:
        after = await copy_flow(scenario)

        connection = after["connectionReferences"][CONNECTOR]["connection"]
        assert connection["name"] == "mail-1"
        assert connection["connectionReferenceLogicalName"].startswith("cmk_")


async def test_definition_with_connection_references_is_copied_byte_for_byte(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seed = build_tenant(build_orders_seed(connectionReferences=build_references("cr1_mail")))
    (environment,) = seed["environments"]
    connector = f"/providers/Microsoft.PowerApps/apis/{CONNECTOR}"
    environment["connectionReferences"] = [
        {"connectionreferencelogicalname": "cr1_mail", "connectorid": connector}
        | {"connectionid": "mail-1"}
    ]
    (flow,) = environment["flows"]
    text = json.dumps(
        {
            "properties": {
                "definition": flow.pop("definition"),
                "connectionReferences": flow.pop("connectionReferences"),
            },
            "schemaVersion": "1.0.0.0",
        },
        indent=3,
    )
    flow["clientData"] = text.replace("done", "d\\u006fne \\u00e9 é")
    async with serve_wire_scenario(monkeypatch, tmp_path, seed) as scenario:
        await scenario.order()

        job = await scenario.read_job()
        assert job.state is FlowJobState.RETIRED, job.message
        assert scenario.find_flow(job.copy.id).client_data == flow["clientData"]


async def test_connection_of_another_person_blocks_the_job_until_it_is_shared(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seed = build_tenant(build_orders_with_connections(state="Stopped"), owner=COLLEAGUE)
    async with serve_wire_scenario(monkeypatch, tmp_path, seed) as scenario:
        await scenario.order(run=SHORT)

        job = await scenario.read_job()
        assert (job.state, job.reason_code) == (
            FlowJobState.BLOCKED,
            "ConnectionAuthorizationFailed",
        )
        assert "mail-1 (shared_office365) of Colleague" in job.message
        assert "Ask Colleague to share the connection with the app" in job.fix
        assert scenario.environment.get_table("connectionreferences") == {}

        scenario.environment.connections["mail-1"].shared_with.add(APP)
        await scenario.retry()

        job = await scenario.read_job(ORDERS)
        assert job.state is FlowJobState.RETIRED, (job.message, job.fix)
        (reference,) = scenario.environment.get_table("connectionreferences").values()
        assert reference["_ownerid_value"] == scenario.environment.users[APP]["systemuserid"]
