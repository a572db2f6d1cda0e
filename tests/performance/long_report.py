"""Count the requests of a remediation in an environment with many flows on Microsoft's key.

It counts them from the start of the remediation to its plan, and from the approval until each flow
of the plan is retired. By default, a plan has a hundred flows. The budgets are the default ones,
and time is simulated.

    python -m tests.performance.long_report --stay 10000 --flows 100
"""

import argparse
import asyncio
from dataclasses import dataclass

from tests.performance.many_flows import build_many_flows
from tests.performance.remediation_figures import Figures, format_table, open_simulated_run

#: The two reports of the flow service.
REPORT = "flow_service.admin_list_flows_on_microsoft_key"


@dataclass(frozen=True, slots=True, kw_only=True)
class LongReport:
    figures: Figures
    plan_pages: int
    pages: int


async def measure_long_report(stay: int, flows: int) -> LongReport:
    """Discover `stay` flows on Microsoft's key, migrate `flows` of them in a plan, and return the
    figures.
    """
    async with open_simulated_run(
        build_many_flows(stay, flows_per_app=max(stay // 100, 1))
    ) as moved:
        calls = moved.scenario.tenant.calls
        plan = await moved.start_and_plan(limit=flows)
        plan_pages = calls.routes[REPORT]
        figures = await moved.approve_and_retire(plan)
        return LongReport(figures=figures, plan_pages=plan_pages, pages=calls.routes[REPORT])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stay", type=int, default=10_000)
    parser.add_argument("--flows", type=int, default=100, help="of them in the plan")
    asked = parser.parse_args()
    found = asyncio.run(measure_long_report(asked.stay, asked.flows))
    print(format_table(found.figures))
    print(f"pages of reports: {found.plan_pages} for the plan, {found.pages} after its approval")


if __name__ == "__main__":
    main()
