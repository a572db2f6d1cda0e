from pathlib import Path
from typing import Any

import pytest

from tests.functional.wire.wire_scenario import require_retired, serve_wire_scenario
from tests.functional.wire.wire_seed import ORDERS, build_flow_seed, build_tenant_seed
from tests.local_cloud.tenant.tenant_world import HTTP, build_definition

TITLE = "Take orders \u202e📦\u200f"


def build_nested_definition(depth: int) -> dict[str, Any]:
    actions: dict[str, Any] = {"Last": {"type": "Compose", "inputs": 1, "runAfter": {}}}
    for number in range(depth):
        actions = {f"Scope_{number}": {"type": "Scope", "actions": actions, "runAfter": {}}}
    return build_definition(HTTP, actions)


@pytest.mark.parametrize("has_row", [True, False])
async def test_flow_with_unusual_name_and_400_scopes_is_copied(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, has_row: bool
) -> None:
    flow = build_flow_seed(ORDERS, TITLE, build_nested_definition(400), inSolution=has_row)
    seed = build_tenant_seed(flow, assumptions={"my_flows_have_rows": has_row})
    async with serve_wire_scenario(monkeypatch, tmp_path, seed) as scenario:
        await scenario.order()

        await require_retired(scenario)
        job = await scenario.read_job()
        copy = scenario.find_flow(job.copy.id)
        assert (job.display_name, copy.display_name) == (TITLE, TITLE)
        assert copy.client_data.count("Scope_") == 400
