"""Flows as they are: names that turn round, scopes in scopes; copied like any other."""

from pathlib import Path
from typing import Any

import pytest

from tests.functional.wire.wire_scenario import retired, wire_scenario
from tests.functional.wire.wire_seed import ORDERS, flow_seed, tenant_seed
from tests.local_cloud.tenant.tenant_world import HTTP, definition

TITLE = "Take orders \u202e📦\u200f"


def nested(depth: int) -> dict[str, Any]:
    """Return an HTTP flow whose one action stands in this many scopes."""
    actions: dict[str, Any] = {"Last": {"type": "Compose", "inputs": 1, "runAfter": {}}}
    for number in range(depth):
        actions = {f"Scope_{number}": {"type": "Scope", "actions": actions, "runAfter": {}}}
    return definition(HTTP, actions)


@pytest.mark.parametrize("has_row", [True, False])
async def test_a_flow_is_copied_whatever_its_name_and_however_deep(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, has_row: bool
) -> None:
    """Read from Dataverse, and by the flow service alone."""
    flow = flow_seed(ORDERS, TITLE, nested(400), inSolution=has_row)
    seed = tenant_seed(flow, assumptions={"my_flows_have_rows": has_row})
    async with wire_scenario(monkeypatch, tmp_path, seed) as scenario:
        await scenario.order()

        await retired(scenario)
        job = await scenario.job()
        copy = scenario.flow(job.copy_id)
        assert (job.display_name, copy.display_name) == (TITLE, TITLE)
        assert copy.client_data.count("Scope_") == 400
