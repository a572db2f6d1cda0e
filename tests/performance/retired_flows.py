"""Measure a tenant of retired originals in simulated time.

It prints what days without changes cost, and how much a year of them adds to the store:

    python -m tests.performance.retired_flows --flows 1000 --days 5
"""

import argparse
import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from shared.domain.definitions.trigger_kinds import TriggerCategory
from shared.domain.environment import ApprovalPolicy, EnvironmentSettings
from shared.domain.ids import derive_copy_id, derive_flow_job_id
from shared.domain.jobs.flow_job import FlowJob, MigrationMethod
from shared.domain.jobs.flow_pair import Copy, Original
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.jobs.transitions import move_to_state
from shared.use_cases.run_daily_check import DailyCheckResult, run_daily_check
from tests.functional.wire.wire_seed import build_flow_seed, build_tenant_seed
from tests.local_cloud.tenant.tenant_world import ENVIRONMENT, HTTP, build_definition
from tests.performance.many_flows import build_flow_ids
from tests.performance.remediation_figures import SimulatedRun, count_by_service, open_simulated_run

#: Seconds of a day; and how long deliveries are let run after a sweep.
DAY = 24 * 3600
HOUR = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    result: DailyCheckResult
    #: Calls of each service by the sweep, and by the environment's job.
    sweep_calls: dict[str, int]
    plan_calls: dict[str, int]
    #: Reads of the store by the deliveries of the environment's job.
    plan_reads: int
    rows: Counter[str]
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Retired:
    """The app in simulated time, in an environment in which all flows are retired."""

    moved: SimulatedRun
    jobs: list[FlowJob]

    async def run_day(self) -> Day:
        """Run the daily check, and then deliver messages for an hour. Return what the day costs."""
        scenario, store, calls = (
            self.moved.scenario,
            self.moved.store,
            self.moved.scenario.tenant.calls,
        )
        scenario.tenant.clock.advance(DAY - HOUR)
        calls.reset()
        result = await run_daily_check(scenario.services, f"{scenario.services.now:%Y-%m-%d}")
        sweep_calls = _count_requests(calls.capabilities)
        calls.reset()
        store.reads = 0
        for _ in range(60):
            while await scenario.deliver():
                pass
            scenario.tenant.clock.advance(HOUR / 60)
        plan_reads = store.reads
        rows, size = self.count_rows()
        return Day(
            result=result,
            sweep_calls=sweep_calls,
            plan_calls=_count_requests(calls.capabilities),
            plan_reads=plan_reads,
            rows=rows,
            bytes=size,
        )

    def count_rows(self) -> tuple[Counter[str], int]:
        """Return the number of rows of each table, and of the characters in all rows."""
        database = self.moved.store.store._database  # type: ignore[attr-defined]
        found = database.execute(
            "select tbl, count(*), sum(length(columns)) from entity group by 1"
        )
        rows = found.fetchall()
        return Counter({table: count for table, count, _ in rows}), sum(size for *_, size in rows)


def _count_requests(capabilities: Counter[str]) -> dict[str, int]:
    return {name: count for name, count in count_by_service(capabilities).items() if count}


@asynccontextmanager
async def open_retired_tenant(flows: int) -> AsyncIterator[Retired]:
    """Yield the app in an environment with this number of retired originals, and without their
    copies.
    """
    ids = build_flow_ids(flows)
    seeds = [
        build_flow_seed(one, f"Flow {n:05}", build_definition(HTTP), state="Stopped")
        for n, one in enumerate(ids)
    ]
    async with open_simulated_run(build_tenant_seed(*seeds)) as moved_time:
        services = moved_time.scenario.services
        settings = EnvironmentSettings(
            environment_id=ENVIRONMENT, approval_policy=ApprovalPolicy.AUTOMATIC
        )
        await services.tables.environment_settings.upsert(settings)
        environment = await services.environments.get(ENVIRONMENT)
        assert environment.policy is not None
        policy = environment.policy.policy_id
        jobs = [
            move_to_state(
                FlowJob(
                    id=derive_flow_job_id(ENVIRONMENT, one, policy),
                    environment_id=ENVIRONMENT,
                    policy_id=policy,
                    remediation_id="done",
                    environment_job_id="done",
                    original=Original(
                        id=one,
                        flow_name=one,
                        category=TriggerCategory.HTTP,
                        trigger_name="manual",
                        has_trigger_url=True,
                        in_solution=True,
                        digest="",
                    ),
                    display_name=f"Flow {n:05}",
                    migration_method=MigrationMethod.UPDATE_CALLERS,
                    state=FlowJobState.CHECKING_FOR_CALLS,
                    copy=Copy(id=derive_copy_id(ENVIRONMENT, one, policy)),
                ),
                FlowJobState.RETIRED,
                "Retired.",
                now=services.now,
            )
            for n, one in enumerate(ids)
        ]
        await services.tables.flow_jobs.upsert(*jobs)
        yield Retired(moved=moved_time, jobs=jobs)


async def main(flows: int, days: int) -> None:
    async with open_retired_tenant(flows) as retired:
        before = retired.count_rows()[1]
        for _ in range(days):
            day = await retired.run_day()
            print(
                f"sweep {day.sweep_calls}, plan {day.plan_calls} and {day.plan_reads} reads, "
                f"{day.rows.total()} rows, {day.bytes - before:+} bytes"
            )
            print(f"   {dict(day.rows)}")
            before = day.bytes


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--flows", type=int, default=1_000)
    parser.add_argument("--days", type=int, default=5)
    asked = parser.parse_args()
    asyncio.run(main(asked.flows, asked.days))
