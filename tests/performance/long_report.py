"""What an environment takes of which many flows stay on Microsoft's key: its report has many pages.

From the order to the plan, and from the approval until so many flows have moved: the callers of
each have the new URL. At the budgets that the app comes with, in moved time.

    python -m tests.performance.long_report --flows 10000 --moved 100
"""

import argparse
import asyncio
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta

from shared.domain.jobs.flow_states import JobState
from tests.functional.stories.remediation_story import approve_shown
from tests.performance.many_flows import many_flows
from tests.performance.remediation_figures import Moved, by_service, moved_story

#: The two reports of the flow service.
REPORT = "flow_service.admin_microsoft_key_flows"
MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class LongReport:
    """What it took. Calls are by service."""

    flows: int
    minutes_to_plan: float
    plan_calls: Mapping[str, int]
    #: Pages of the report that were read for the plan.
    plan_pages: int
    #: Flows whose callers have moved, and from the approval on: minutes to the first and the last.
    moved: int
    minutes_to_first: float
    minutes_to_last: float
    move_calls: Mapping[str, int]
    move_pages: int
    #: The most calls of the flow service in any minute.
    most_in_a_minute: int


async def long_report(flows: int, moved: int) -> LongReport:
    """Plan so many flows, and move the first of them."""
    async with moved_story(many_flows(flows, flows_per_app=max(flows // 100, 1))) as tenant:
        calls = tenant.story.tenant.calls
        plan = await tenant.plan()
        plan_pages = calls.routes[REPORT]
        calls.reset()
        approved = tenant.story.services.now
        await approve_shown(tenant.story.services, tenant.story.remediation.id)
        await tenant.time.until_so(lambda: _quiet(tenant) >= moved)
        jobs = (await tenant.story.jobs()).values()
        done = sorted(job.cut_over_at for job in jobs if job.cut_over_at)
        return LongReport(
            flows=flows,
            minutes_to_plan=plan.minutes_to_plan,
            plan_calls=plan.plan_calls,
            plan_pages=plan_pages,
            moved=moved,
            minutes_to_first=(done[0] - approved) / MINUTE,
            minutes_to_last=(done[moved - 1] - approved) / MINUTE,
            move_calls=by_service(calls.capabilities),
            move_pages=calls.routes[REPORT],
            most_in_a_minute=tenant.wire.most_in(MINUTE),
        )


def _quiet(tenant: Moved) -> int:
    return sum(state == JobState.QUIET for state, _ in tenant.store.jobs.values())


def main() -> None:
    """Measure, and print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--flows", type=int, default=10_000)
    parser.add_argument("--moved", type=int, default=100)
    asked = parser.parse_args()
    for name, value in asdict(asyncio.run(long_report(asked.flows, asked.moved))).items():
        print(f"{name:>20}  {value}")


if __name__ == "__main__":
    main()
