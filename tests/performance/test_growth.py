"""Test that the cost of timers, health, status and pages does not grow with the history.

The store has no index except the keys of its rows, so the test counts the rows that a query has to
read, not only those that it returns.
"""

import re
from typing import Any

from functions import dashboard_api
from functions.dashboard.flow_lists import FLOWS_ON_PAGE
from shared.bootstrap import provide
from tests.functional.scenarios.app_calls import call
from tests.performance.growth import (
    SIZES,
    Cost,
    Grown,
    build_grown_tenant,
    list_flat_uses,
    list_linear_uses,
)

#: The most operations, rows and bytes of a page at any size.
MOST_OPERATIONS, MOST_ROWS, MOST_BYTES = 130, 700, 300_000

#: Rows for each retired flow, and operations at 10,000, of what is linear (docs/performance.md).
SLOPES = {
    "page: the list of remediations": (1, 120),
    "`GET /api/remediations`": (1, 120),
    "`GET /api/remediations`, filtered": (3, 20),
    "page: a remediation, its last flows": (1.1, 20),
    "page: a remediation, `search` or `undo`": (2.1, 20),
    "`GET /api/remediations/{id}`": (1.1, 20),
    "plan of a remediation": (2.1, 20),
    "order: retry": (2.1, 20),
    "daily: compare the index": (3, 20),
}


async def measure_costs(tenant: Grown, named: dict[str, Any]) -> dict[str, Cost]:
    return {name: await tenant.measure_cost(use) for name, use in named.items()}


async def test_cost_does_not_grow_with_the_number_of_retired_flows() -> None:
    flat: dict[str, list[Cost]] = {}
    linear: dict[str, list[Cost]] = {}
    for size in SIZES:
        tenant = await build_grown_tenant(size)
        for name, cost in (await measure_costs(tenant, list_flat_uses(tenant.scenario))).items():
            flat.setdefault(name, []).append(cost)
        named = {
            name: use
            for name, use in list_linear_uses(tenant.scenario, size).items()
            if name in SLOPES
        }
        for name, cost in (await measure_costs(tenant, named)).items():
            linear.setdefault(name, []).append(cost)
        await check_pages(tenant, size)

    for name, row in flat.items():
        few, some, many = row
        assert (some.operations, some.rows) == (many.operations, many.rows), (name, row)
        assert many.operations <= max(few.operations, MOST_OPERATIONS), (name, row)
        assert many.rows <= max(few.rows, MOST_ROWS), (name, row)
        assert many.size <= MOST_BYTES, (name, many.size)
    for name, row in linear.items():
        slope, operations = SLOPES[name]
        assert row[-1].operations <= operations, (name, row)
        assert row[-1].rows <= slope * SIZES[-1] + MOST_ROWS, (name, row)


async def check_pages(tenant: Grown, size: int) -> None:
    """Check that the first, second and last page of a remediation are complete."""
    provide(tenant.services)
    identity = tenant.scenario.remediation.id
    seen: list[str] = []
    for start in sorted({0, FLOWS_ON_PAGE, size - FLOWS_ON_PAGE} - ({FLOWS_ON_PAGE} & {size})):
        reply = await call(
            dashboard_api.show_remediation_page,
            id=identity,
            query={"state": "all", "start": str(start)},
        )
        listed = set(re.findall(r'<li[^>]*><b><a href="[^"]*/flows/([^"]*)"', reply.text))
        assert len(listed) == FLOWS_ON_PAGE, (size, start, len(listed))
        assert not listed & set(seen)
        seen += listed
        assert f">all ({size:,})<" in reply.text
        assert f">migrated ({size:,})<" in reply.text
        if size > FLOWS_ON_PAGE:
            assert f"{start + 1:,} to {start + FLOWS_ON_PAGE:,} of {size:,}" in reply.text
