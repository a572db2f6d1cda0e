"""Test how often an app restarts that contains the URLs of many flows, and the requests of a flow.

In moved time, at the shipped budgets and at wide ones, held to the table in docs/performance.md.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from local_cloud.tenant.azure.state import Azure
from tests.functional.wire.wire_scenario import WIDE
from tests.performance.many_flows import many_flows
from tests.performance.remediation_figures import moved_scenario

FLOWS = 10
BUDGETS: Mapping[str, Mapping[str, int] | None] = {"wide": WIDE, "five calls a minute": None}


def table() -> dict[str, tuple[int, int]]:
    """Return restarts, and requests of the flow service for each flow, by budget."""
    text = (Path(__file__).parents[2] / "docs" / "performance.md").read_text()
    section = text.partition("## One app, many flows")[2].partition("\n## ")[0]
    rows = re.findall(
        r"^\| 10 flows, one app, ([\w ]+) \| (\d+) \| (\d+) \|", section, re.MULTILINE
    )
    return {name: (int(restarts), int(calls)) for name, restarts, calls in rows}


@pytest.mark.parametrize("name", BUDGETS)
async def test_an_app_restarts_as_seldom_as_is_written_down(name: str) -> None:
    """With enough requests the app restarts once, else once for each invocation's share of URLs."""
    most, calls = table()[name]
    async with moved_scenario(many_flows(FLOWS, FLOWS), BUDGETS[name]) as moved:
        found = await moved.carry_out(await moved.plan())
        restarts = moved.scenario.tenant.part(Azure).restarts

    assert len(restarts) == 1
    assert restarts.total() <= most
    assert found.calls["flow_service"] <= calls
