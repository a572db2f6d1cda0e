"""How many calls one flow takes from its approved plan to its retirement, by capability.

Counted at the tenant, over the wire, and held to the table in docs/performance.md. Beside it
stands what an administrator calls who does the same by hand, looking after each write.
"""

import re
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from shared.domain.environment import EnvironmentSettings, Mode
from shared.domain.jobs.flow_states import JobState
from tests.contract.tenant_world import (
    DAILY,
    ENVIRONMENT,
    GROUP,
    HTTP,
    child_action,
    definition,
)
from tests.functional.stories.remediation_story import approve_shown
from tests.functional.wire.wire_seed import CHILD, ORDERS, flow_seed, orders, tenant_seed
from tests.functional.wire.wire_story import PLENTY, SHORT, WireStory, wire_story

MANY = 50
#: Columns of the table: services of the local tenant.
SERVICES = ("flow_service", "dataverse", "resource_manager", "key_vault", "bap")
#: The table may be this far above what is counted, so that it does not grow stale.
SLACK = 2

#: One called flow with an app setting as its caller, by hand: each line is one call (contract
#: sections in brackets). Whoever does it is an administrator and a co-owner of every flow.
BY_HAND = (
    ("flow_service", "list the flows on Microsoft's key (5.1)"),
    ("dataverse", "read the original's row (6.1)"),
    ("dataverse", "create the copy (6.3)"),
    ("dataverse", "read it back"),
    ("dataverse", "turn it on"),
    ("dataverse", "read it back"),
    ("flow_service", "find the copy by its id (14.1)"),
    ("flow_service", "list the flows on Microsoft's key: the copy is not among them"),
    ("flow_service", "become co-owner of the copy (14.9)"),
    ("flow_service", "ask for the copy's URL (5.7)"),
    ("flow_service", "ask for the original's URL, to know it in its callers"),
    ("resource_manager", "list the apps (8)"),
    ("resource_manager", "list an app's settings"),
    ("resource_manager", "replace them"),
    ("resource_manager", "read them back"),
    ("flow_service", "read the original's runs, now (5.7)"),
    ("flow_service", "read them again after the quiet days"),
    ("dataverse", "turn the original off"),
    ("dataverse", "read it back"),
    ("dataverse", "rename it"),
    ("dataverse", "rename the copy"),
    ("flow_service", "step back from the copy"),
)


def with_callers(description: dict[str, Any], flow_ids: Sequence[str]) -> dict[str, Any]:
    """Add an app with a setting for the URL of each flow."""
    site = f"{GROUP}/providers/Microsoft.Web/sites/shop"
    settings = {f"URL_{n}": f"{{{{trigger_url:{one}}}}}" for n, one in enumerate(flow_ids)}
    app = {"id": site, "hostNames": ["shop.contoso.example"], "appSettings": settings}
    description["azure"]["sites"] = [app]
    return description


def many() -> dict[str, Any]:
    """Return a tenant of many called flows, each with a caller."""
    ids = [f"f0000000-0000-4000-8000-{number:012d}" for number in range(MANY)]
    flows = [flow_seed(one, f"Flow {one[-2:]}", definition(HTTP)) for one in ids]
    return with_callers(tenant_seed(*flows), ids)


def stories() -> dict[str, dict[str, Any]]:
    """Return a tenant for each row of the table."""
    daily = flow_seed(ORDERS, "Daily", definition(DAILY), heldBack=True)
    child = flow_seed(CHILD, "Book", definition(HTTP))
    parent = flow_seed(ORDERS, "Take orders", definition(HTTP, child_action(CHILD)))
    return {
        "one called flow, a caller": with_callers(tenant_seed(orders()), [ORDERS]),
        "one self-starting flow": tenant_seed(daily),
        "a family of two called flows": tenant_seed(child, parent),
        f"each of {MANY} called flows, a caller each": many(),
    }


def table() -> dict[str, dict[str, int]]:
    """Return the table of docs/performance.md: row → service → calls."""
    text = (Path(__file__).parents[2] / "docs" / "performance.md").read_text()
    section = text.partition("## Calls for each flow")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| ([^|]+?) \|((?: \d+ \|)+)$", section, re.MULTILINE)
    return {
        name: dict(zip(SERVICES, map(int, re.findall(r"\d+", cells)), strict=True))
        for name, cells in rows
    }


async def counted(story: WireStory) -> Counter[str]:
    """Return the calls from the approval to the end, by service; each flow is retired by then."""
    settings = EnvironmentSettings(environment_id=ENVIRONMENT, mode=Mode.APPROVE, limit=PLENTY)
    await story.services.tables.environments.upsert(settings)
    await story.order(run=SHORT)
    story.tenant.calls.reset()
    await approve_shown(story.services, story.remediation.id)
    await story.run(timedelta(days=40))

    assert {job.state for job in (await story.jobs()).values()} == {JobState.RETIRED}
    calls: Counter[str] = Counter()
    for capability, count in story.tenant.calls.capabilities.items():
        calls[capability.partition(".")[0]] += count
    return calls


@pytest.mark.parametrize("name", stories())
async def test_a_flow_takes_the_calls_that_are_written_down(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Never more than the table says, and the table says no more than it must."""
    async with wire_story(monkeypatch, tmp_path, stories()[name]) as story:
        calls = await counted(story)

    flows = MANY if name.startswith("each") else 1
    each = {service: -(-calls[service] // flows) for service in SERVICES}
    told = table()[name]
    assert all(each[one] <= told[one] <= each[one] + SLACK for one in SERVICES), f"{each} {told}"


def test_what_it_takes_by_hand_is_written_down() -> None:
    """The steps of the documents, one call each."""
    told = Counter(service for service, _ in BY_HAND)

    assert table()["one called flow, a caller, by hand"] == {one: told[one] for one in SERVICES}
