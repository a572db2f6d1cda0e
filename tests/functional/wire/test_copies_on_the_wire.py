"""A copy by the product's own services on the tenant over TLS: what it keeps, what it names."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from local_cloud.tenant.core.profiles import Profile
from shared.domain.jobs.flow_states import FlowJobState
from tests.functional.copying.test_copied_definitions import ACTIONS, TRIGGER
from tests.functional.scenarios.remediation_scenario import on_both_platforms
from tests.functional.wire.wire_scenario import WireScenario, wire_scenario
from tests.functional.wire.wire_seed import COLLEAGUE, ORDERS, orders, tenant_seed
from tests.local_cloud.tenant.tenant_world import APP, MAKER, bound, definition

CONNECTOR = "shared_office365"
SHORT = timedelta(hours=1)
EMBEDDED = {
    CONNECTOR: {
        "runtimeSource": "embedded",
        "connection": {"name": "mail-1"},
        "api": {"name": CONNECTOR},
    }
}


def settled_orders(**more: Any) -> dict[str, Any]:
    """Return the orders' flow with everything set that a maker can set."""
    flow = {"definition": definition(TRIGGER, ACTIONS), "connectionReferences": EMBEDDED}
    return orders(**{**flow, **more})


def described(
    *flows: dict[str, Any],
    owner: str = MAKER,
    profile: Profile = Profile.DOCUMENTED,
    **assumptions: Any,
) -> dict[str, Any]:
    """Return a tenant whose one connection belongs to `owner`."""
    connection = {"name": "mail-1", "api": CONNECTOR, "owner": owner}
    return tenant_seed(*flows, assumptions=assumptions, profile=profile, connections=[connection])


async def copied(scenario: WireScenario, *, run: timedelta = timedelta(days=40)) -> dict[str, Any]:
    """Let the original be copied and retired; return the copy's `properties`."""
    await scenario.order(run=run)
    job = await scenario.job()
    assert job.state is FlowJobState.RETIRED, (job.message, job.fix)
    copy = scenario.flow(job.copy_id)
    properties: dict[str, Any] = json.loads(copy.client_data)["properties"]
    return properties


@pytest.mark.parametrize("state", ["Started", "Stopped"])
@pytest.mark.parametrize("in_solution", [True, False])
@on_both_platforms
async def test_a_copy_keeps_everything_and_names_a_reference(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    state: str,
    profile: Profile,
    *,
    in_solution: bool,
) -> None:
    """Flows inside and outside solutions are copied completely, on or off."""
    seed = described(
        settled_orders(state=state, inSolution=in_solution),
        profile=profile,
        older_host_shapes_refused=False,
    )
    async with wire_scenario(monkeypatch, tmp_path, seed) as scenario:
        before = json.loads(scenario.flow().client_data)["properties"]

        after = await copied(scenario)

        (reference,) = scenario.environment.table("connectionreferences").values()
        assert after["definition"] == before["definition"]
        assert after["connectionReferences"][CONNECTOR]["connection"] == {
            "connectionReferenceLogicalName": reference["connectionreferencelogicalname"]
        }
        assert reference["connectionid"] == "mail-1"
        assert reference["_ownerid_value"] == scenario.environment.users[MAKER]["systemuserid"]
        copy = scenario.flow((await scenario.job()).copy_id)
        assert (copy.state, copy.owner) == (state, MAKER)


async def test_older_shapes_are_converted_where_saves_refuse_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Each operation names its reference and has no authentication; nothing else changes."""
    seed = described(settled_orders(), older_host_shapes_refused=True)
    async with wire_scenario(monkeypatch, tmp_path, seed) as scenario:
        before = json.loads(scenario.flow().client_data)["properties"]["definition"]

        after = (await copied(scenario))["definition"]

        for action in (before["actions"]["Send"], before["actions"]["Each"]["actions"]["Old"]):
            action["inputs"]["host"]["connectionReferenceName"] = CONNECTOR
            del action["inputs"]["authentication"]
        assert after == before


@pytest.mark.parametrize("in_solution", [True, False])
async def test_a_flow_that_the_flow_service_shows_in_another_shape_is_copied(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, in_solution: bool
) -> None:
    """No save takes what is read there; outside solutions nothing else can be read."""
    seed = described(
        settled_orders(inSolution=in_solution),
        profile=Profile.ADVERSARIAL,
        flow_service_shows_runtime_shape=True,
    )
    async with wire_scenario(monkeypatch, tmp_path, seed) as scenario:
        after = (await copied(scenario))["definition"]

        assert after["actions"]["Send"]["inputs"]["host"]["connectionReferenceName"] == CONNECTOR


async def test_a_platform_that_names_the_connection_beside_the_reference_is_no_difference(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The platform stores what was sent, although it shows more when it is read."""
    seed = described(settled_orders(), saves_name_connections=True)
    async with wire_scenario(monkeypatch, tmp_path, seed) as scenario:
        after = await copied(scenario)

        connection = after["connectionReferences"][CONNECTOR]["connection"]
        assert connection["name"] == "mail-1"
        assert connection["connectionReferenceLogicalName"].startswith("cmk_")


async def test_a_definition_that_names_references_is_the_same_byte_for_byte(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The text keeps its spaces, escapes and numbers."""
    seed = described(orders(connectionReferences=bound("cr1_mail")))
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
    async with wire_scenario(monkeypatch, tmp_path, seed) as scenario:
        await scenario.order()

        job = await scenario.job()
        assert job.state is FlowJobState.RETIRED, job.message
        assert scenario.flow(job.copy_id).client_data == flow["clientData"]


async def test_a_connection_that_nobody_here_may_use_blocks_until_it_is_shared(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The row says which connection, whose it is, and who has to share it."""
    seed = described(settled_orders(state="Stopped"), owner=COLLEAGUE)
    async with wire_scenario(monkeypatch, tmp_path, seed) as scenario:
        await scenario.order(run=SHORT)

        job = await scenario.job()
        assert (job.state, job.reason_code) == (
            FlowJobState.BLOCKED,
            "ConnectionAuthorizationFailed",
        )
        assert "mail-1 (shared_office365) of Colleague" in job.message
        assert "Ask Colleague to share the connection with the app" in job.fix
        assert scenario.environment.table("connectionreferences") == {}

        scenario.environment.connections["mail-1"].shared_with.add(APP)
        await scenario.retry()

        job = await scenario.job(ORDERS)
        assert job.state is FlowJobState.RETIRED, (job.message, job.fix)
        (reference,) = scenario.environment.table("connectionreferences").values()
        assert reference["_ownerid_value"] == scenario.environment.users[APP]["systemuserid"]
