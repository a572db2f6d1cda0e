"""Test how often an app restarts if the URLs of many flows are in its settings."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from local_cloud.tenant.azure.state import Azure
from tests.functional.wire.wire_scenario import WIDE
from tests.performance.many_flows import build_many_flows
from tests.performance.remediation_figures import open_simulated_run

FLOWS = 10
BUDGETS: Mapping[str, Mapping[str, int] | None] = {"wide": WIDE, "five calls a minute": None}


def read_table() -> dict[str, tuple[int, int]]:
    """Return for each budget of the table the number of restarts, and of flow service requests per
    flow.
    """
    text = (Path(__file__).parents[2] / "docs" / "performance.md").read_text()
    section = text.partition("## One app, many flows")[2].partition("\n## ")[0]
    rows = re.findall(
        r"^\| 10 flows, one app, ([\w ]+) \| (\d+) \| (\d+) \|", section, re.MULTILINE
    )
    return {name: (int(restarts), int(calls)) for name, restarts, calls in rows}


@pytest.mark.parametrize("name", BUDGETS)
async def test_app_restarts_as_often_as_documented(name: str) -> None:
    most, calls = read_table()[name]
    async with open_simulated_run(build_many_flows(FLOWS, FLOWS), BUDGETS[name]) as moved:
        found = await moved.approve_and_retire(await moved.start_and_plan())
        restarts = moved.scenario.tenant.get_part(Azure).restarts

    assert len(restarts) == 1
    assert restarts.total() <= most
    assert found.calls["flow_service"] <= calls
