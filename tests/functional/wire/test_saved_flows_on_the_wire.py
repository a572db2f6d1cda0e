import json
from pathlib import Path
from typing import Any

import pytest

from shared.domain.jobs.flow_states import FlowJobState
from shared.reason import Reason
from tests.functional.copying.test_copied_definitions import ACTIONS
from tests.functional.wire.test_copies_on_the_wire import CONNECTOR, EMBEDDED
from tests.functional.wire.wire_scenario import SHORT, WireScenario, serve_wire_scenario
from tests.functional.wire.wire_seed import build_flow_seed, build_orders_seed, build_tenant_seed
from tests.local_cloud.tenant.tenant_world import DAILY, MAKER, build_definition, build_http_action

CALLER = "f0000000-0000-4000-8000-0000000000aa"
VARIABLE = "cr1_OrdersUrl"
HARMFUL = {"older_host_shapes_refused": True, "refused_saves_wipe_references": True}


def build_tenant_with_caller(**more: Any) -> dict[str, Any]:
    caller = build_flow_seed(
        CALLER,
        "Nightly",
        build_definition(DAILY, ACTIONS),
        connectionReferences=EMBEDDED,
        inSolution=True,
    )
    connections = [{"name": "mail-1", "api": CONNECTOR, "owner": MAKER}]
    return build_tenant_seed(
        build_orders_seed(), caller, assumptions=HARMFUL, connections=connections, **more
    )


def add_call(scenario: WireScenario, uri: str, parameters: dict[str, Any]) -> None:
    flow = scenario.find_flow(CALLER)
    document = json.loads(flow.client_data)
    document["properties"]["definition"].setdefault("parameters", {}).update(parameters)
    document["properties"]["definition"]["actions"] |= build_http_action(uri)
    flow.client_data = json.dumps(document)


async def update_callers(scenario: WireScenario) -> None:
    """Update the callers, and require that the calling flow keeps its connection references."""
    before = json.loads(scenario.find_flow(CALLER).client_data)["properties"][
        "connectionReferences"
    ]
    await scenario.order(run=SHORT)
    (job,) = (await scenario.read_jobs()).values()
    assert (job.state, job.reason_code) == (FlowJobState.WAITING, Reason.NO_CALL_PERIOD), (
        job.message
    )
    after = json.loads(scenario.find_flow(CALLER).client_data)["properties"]["connectionReferences"]
    assert after == before
    assert scenario.find_flow(CALLER).references_wiped == 1


async def test_calling_flow_is_converted_and_keeps_its_connection_references(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with serve_wire_scenario(monkeypatch, tmp_path, build_tenant_with_caller()) as scenario:
        add_call(scenario, scenario.get_trigger_url(), {})
        old = scenario.get_trigger_url().partition("?")[0]

        await update_callers(scenario)

        assert old not in scenario.find_flow(CALLER).client_data


async def test_flow_that_reads_an_environment_variable_is_converted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    variable: dict[str, Any] = {"schemaName": VARIABLE, "schemaname": VARIABLE, "name": VARIABLE}
    variable |= {"displayname": "Orders", "value": "x", "type": 100000000}
    seed = build_tenant_with_caller(environmentVariables=[variable])
    async with serve_wire_scenario(monkeypatch, tmp_path, seed) as scenario:
        values = scenario.environment.get_table("environmentvariablevalues")
        for row in values.values():
            row["value"] = scenario.get_trigger_url()
        metadata = {"schemaName": VARIABLE}
        parameter = {"type": "String", "defaultValue": "", "metadata": metadata}
        name = f"Orders ({VARIABLE})"
        add_call(scenario, f"@parameters('{name}')", {name: parameter})
        old = scenario.get_trigger_url()

        await update_callers(scenario)

        assert [row["value"] == old for row in values.values()] == [False]
