"""Flows that are saved because they call an original, where older shapes are rejected."""

import json
from pathlib import Path
from typing import Any

import pytest

from shared.domain.jobs.flow_states import FlowJobState
from shared.reason import Reason
from tests.functional.copying.test_copied_definitions import ACTIONS
from tests.functional.wire.test_copies_on_the_wire import CONNECTOR, EMBEDDED
from tests.functional.wire.wire_scenario import SHORT, WireScenario, wire_scenario
from tests.functional.wire.wire_seed import flow_seed, orders, tenant_seed
from tests.local_cloud.tenant.tenant_world import DAILY, MAKER, definition, http_action

CALLER = "f0000000-0000-4000-8000-0000000000aa"
VARIABLE = "cr1_OrdersUrl"
HARMFUL = {"older_host_shapes_refused": True, "refused_saves_wipe_references": True}


def described(**more: Any) -> dict[str, Any]:
    """Return a tenant with an original, and a flow in the older shape."""
    caller = flow_seed(
        CALLER,
        "Nightly",
        definition(DAILY, ACTIONS),
        connectionReferences=EMBEDDED,
        inSolution=True,
    )
    connections = [{"name": "mail-1", "api": CONNECTOR, "owner": MAKER}]
    return tenant_seed(orders(), caller, assumptions=HARMFUL, connections=connections, **more)


def let_it_call(scenario: WireScenario, uri: str, parameters: dict[str, Any]) -> None:
    """Let the flow call a URL, which may be a parameter of the flow."""
    flow = scenario.flow(CALLER)
    document = json.loads(flow.client_data)
    document["properties"]["definition"].setdefault("parameters", {}).update(parameters)
    document["properties"]["definition"]["actions"] |= http_action(uri)
    flow.client_data = json.dumps(document)


async def moved(scenario: WireScenario) -> None:
    """Let the callers be updated, and require that the flow keeps its connection references."""
    before = json.loads(scenario.flow(CALLER).client_data)["properties"]["connectionReferences"]
    await scenario.order(run=SHORT)
    (job,) = (await scenario.jobs()).values()
    assert (job.state, job.reason_code) == (FlowJobState.WAITING, Reason.NO_CALL_PERIOD), (
        job.message
    )
    after = json.loads(scenario.flow(CALLER).client_data)["properties"]["connectionReferences"]
    assert after == before
    assert scenario.flow(CALLER).references_wiped == 1


async def test_a_caller_is_converted_and_keeps_its_references(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The first save is rejected and removes the references. The second save restores them."""
    async with wire_scenario(monkeypatch, tmp_path, described()) as scenario:
        let_it_call(scenario, scenario.url_of(), {})
        old = scenario.url_of().partition("?")[0]

        await moved(scenario)

        assert old not in scenario.flow(CALLER).client_data


async def test_a_flow_that_uses_a_variable_is_converted_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The variable has the new value, and the flow takes it over."""
    variable: dict[str, Any] = {"schemaName": VARIABLE, "schemaname": VARIABLE, "name": VARIABLE}
    variable |= {"displayname": "Orders", "value": "x", "type": 100000000}
    seed = described(environmentVariables=[variable])
    async with wire_scenario(monkeypatch, tmp_path, seed) as scenario:
        values = scenario.environment.table("environmentvariablevalues")
        for row in values.values():
            row["value"] = scenario.url_of()
        metadata = {"schemaName": VARIABLE}
        parameter = {"type": "String", "defaultValue": "", "metadata": metadata}
        name = f"Orders ({VARIABLE})"
        let_it_call(scenario, f"@parameters('{name}')", {name: parameter})
        old = scenario.url_of()

        await moved(scenario)

        assert [row["value"] == old for row in values.values()] == [False]
