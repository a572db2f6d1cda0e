"""Measure what timers, actions and pages read from a store with a long history.

Run as a module, it prints the table of docs/performance.md, with processor seconds on SQLite:

    .venv/bin/python -m tests.performance.growth
"""

import argparse
import asyncio
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from functions import (
    dashboard_api,
    health_api,
    network_page_api,
    remediations_api,
    settings_page_api,
    status_api,
)
from shared.adapters.state.sqlite_store import SqliteStore
from shared.bootstrap import provide
from shared.domain.environment import ApprovalPolicy
from shared.domain.ids import derive_flow_job_id
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.plans.job_index import SETTLED_AFTER
from shared.domain.plans.remediation import (
    Remediation,
    RemediationMode,
    StartSource,
    build_environment_job_id,
)
from shared.ports import StoreRow, UpsertRow
from shared.services import Services
from shared.state.tables import Tables
from shared.use_cases import change_remediation
from shared.use_cases.check_health import check_health
from shared.use_cases.compare_job_index import compare_job_index
from shared.use_cases.notify import notify
from shared.use_cases.run_daily_check import run_daily_check
from shared.use_cases.send_due_and_overdue_messages import send_due_and_overdue_messages
from shared.use_cases.show_remediation import show_plan
from shared.use_cases.show_status import show_status
from tests.fakes.observed_store import ObservedStore
from tests.functional.app.notified_scenario import RecordingChannel
from tests.functional.scenarios.app_calls import Reply, call
from tests.functional.scenarios.remediation_scenario import Scenario

SIZES = (100, 1_000, 10_000)
#: For each retired flow so many old environment jobs, each of a remediation of its own.
OLD_JOBS = 0.9


@dataclass(slots=True)
class Walked(ObservedStore):
    """A store that counts its requests, and the rows that it has to read for them."""

    #: Rows by table and partition.
    sizes: Mapping[tuple[str, str], int]
    operations: int = 0
    rows: int = 0
    by_query: Counter[str] = field(default_factory=Counter)

    def observe(self, request: str, table: str, _partition: str | None) -> None:
        """Count the request. A `get` reads one row."""
        self.operations += 1
        if request == "get":
            self.rows += 1
            self.by_query[f"get {table}"] += 1

    async def query(
        self, table: str, partition: str | None = None, **bounds: Any
    ) -> AsyncIterator[StoreRow]:
        """Count the rows that the query has to read.

        A query with bounds only reads the rows that it returns.
        """
        given = 0
        async for row in ObservedStore.query(self, table, partition, **bounds):
            given += 1
            self._count_rows(table, 1)
            yield row
        if bounds.get("before") is None and bounds.get("after") is None:
            places = self.sizes.items()
            whole = sum(n for (t, p), n in places if t == table and partition in (None, p))
            self._count_rows(table, max(whole - given, 0))

    def _count_rows(self, table: str, rows: int) -> None:
        self.rows += rows
        self.by_query[f"query {table}"] += rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one use case costs: requests to the store, rows and processor time."""

    operations: int
    rows: int
    #: Of the processor.
    seconds: float
    #: Bytes of a page; 0: it makes none.
    size: int
    by_query: Mapping[str, int]


type Use = Callable[[Services], Awaitable[object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Grown:
    """A tenant after long use: one flow is being migrated, all others are retired."""

    scenario: Scenario
    services: Services
    sizes: Mapping[tuple[str, str], int]

    async def measure_cost(self, use: Use) -> Cost:
        store = Walked(self.services.tables.store, self.sizes)
        services = replace(self.services, tables=Tables(store))
        provide(services)
        began = time.process_time()
        result = await use(services)
        seconds = time.process_time() - began
        size = len(result.content) if isinstance(result, Reply) else 0
        assert not isinstance(result, Reply) or result.status == 200, result.text
        return Cost(
            operations=store.operations,
            rows=store.rows,
            seconds=seconds,
            size=size,
            by_query=store.by_query,
        )


async def build_grown_tenant(flows: int, file: Path | None = None) -> Grown:
    """Return a tenant with this number of retired flows.

    If a file is given, its store is SQLite.
    """
    scenario = Scenario(mode=ApprovalPolicy.AUTOMATIC)
    scenario.build.add_http_flow("Orders")
    scenario.build.apply_key()
    await scenario.opt_in()
    await scenario.order(run=timedelta(days=30))
    await _copy_rows(scenario, flows)
    await compare_job_index(scenario.services)
    scenario.world.clock.advance(SETTLED_AFTER)
    await compare_job_index(scenario.services)
    retired = scenario.remediation
    more = scenario.build.add_http_flow("Invoices").workflow_id
    await scenario.order(RemediationMode.APPLY, more, cause="more", run=timedelta(hours=3))
    scenario.remediation = retired
    for _ in range(20):  # reminders of what is done are dropped
        scenario.world.clock.advance(timedelta(minutes=1))
        await send_due_and_overdue_messages(scenario.services)
    rows = scenario.fakes.store.rows
    services = replace(scenario.services, channels=(RecordingChannel(),))
    if file:
        store = SqliteStore(file)
        for row in rows.values():
            await store.write(UpsertRow(row))
        services = replace(services, tables=Tables(store))
    sizes = Counter((table, partition) for table, partition, _ in rows)
    return Grown(scenario=scenario, services=services, sizes=sizes)


async def _copy_rows(scenario: Scenario, flows: int) -> None:
    """Copy many times the rows of the retired flow, of its plan item and of a remediation without
    changes.

    The copies are not in the job index until the daily comparison adds them.
    """
    tables = scenario.services.tables
    job, environment_job = await scenario.read_job("Orders"), await scenario.read_environment_job()
    assert job.state is FlowJobState.RETIRED, job
    (item,) = await tables.plan_items.read_all(environment_job.id)
    ids = [f"f0000000-0000-4000-8000-{number:012d}" for number in range(1, flows)]
    jobs = [
        replace(
            job,
            id=derive_flow_job_id(job.environment_id, one, job.policy_id),
            original=replace(job.original, id=one),
            display_name=f"Flow {number}",
        )
        for number, one in enumerate(ids)
    ]
    store = tables.store
    await tables.plan_items.upsert(
        *(replace(item, workflow_id=one, display_name=f"Flow {n}") for n, one in enumerate(ids))
    )
    for one in jobs:
        await store.write(UpsertRow(tables.flow_jobs.build_row(one)))
    for number in range(int(flows * OLD_JOBS)):
        at = environment_job.history[0].changed_at - timedelta(hours=number + 1)
        old = Remediation(
            created_at=at,
            mode=RemediationMode.APPLY,
            start_source=StartSource.DAILY_CHECK,
            idempotency_key=f"old {number}",
            environment_ids=(job.environment_id,),
        )
        past = replace(
            environment_job,
            id=build_environment_job_id(old.id, job.environment_id),
            remediation_id=old.id,
            planned_at=at,
            history=(replace(environment_job.history[-1], changed_at=at),),
            not_migrated={},
        )
        await tables.remediations.upsert(old)
        await store.write(UpsertRow(tables.environment_jobs.build_row(past)))


def list_flat_uses(scenario: Scenario) -> dict[str, Use]:
    """Return by name the use cases whose cost must not grow with the history."""
    identity = scenario.remediation.id
    return {
        "timer `notify`": notify,
        "timer `send_due_and_overdue_messages`": send_due_and_overdue_messages,
        "health": check_health,
        "status": show_status,
        "`GET /api/health`": lambda _: call(health_api.show_health),
        "`GET /api/status`": lambda _: call(status_api.show_status),
        "page: status": lambda _: call(dashboard_api.show_status_page),
        "page: environments": lambda _: call(dashboard_api.show_environments_page),
        "page: network": lambda _: call(network_page_api.show_network_page),
        "page: settings": lambda _: call(settings_page_api.show_settings_page),
        "page: a remediation": lambda _: call(dashboard_api.show_remediation_page, id=identity),
        "page: a remediation, one state": lambda _: call(
            dashboard_api.show_remediation_page, id=identity, query={"state": "retired"}
        ),
    }


def list_linear_uses(scenario: Scenario, flows: int) -> dict[str, Use]:
    """Return by name the use cases whose cost may grow with the history."""
    identity = scenario.remediation.id
    return {
        "page: the list of remediations": lambda _: call(dashboard_api.show_remediations_page),
        "`GET /api/remediations`": lambda _: call(remediations_api.list_remediations),
        "`GET /api/remediations`, filtered": lambda _: call(
            remediations_api.list_remediations, query={"state": "blocked"}
        ),
        "page: a remediation, its last flows": lambda _: call(
            dashboard_api.show_remediation_page,
            id=identity,
            query={"start": str(flows - 1)},
        ),
        "page: a remediation, `search` or `undo`": lambda _: call(
            dashboard_api.show_remediation_page, id=identity, query={"undo": "true"}
        ),
        "`GET /api/remediations/{id}`": lambda _: call(
            remediations_api.show_remediation, id=identity
        ),
        "plan of a remediation": lambda services: show_plan(services, identity),
        "order: retry": lambda services: change_remediation.retry(services, identity),
        "daily: compare the index": compare_job_index,
        "daily: the sweep": lambda services: run_daily_check(services, "today"),
    }


async def main() -> None:
    costs: dict[str, list[Cost]] = {}
    for size in SIZES:
        with tempfile.TemporaryDirectory() as folder:
            tenant = await build_grown_tenant(size, Path(folder) / "state.db")
            for name, use in (
                list_flat_uses(tenant.scenario) | list_linear_uses(tenant.scenario, size)
            ).items():
                costs.setdefault(name, []).append(await tenant.measure_cost(use))
    for name, row in costs.items():
        asked = " / ".join(f"{one.operations:,}" for one in row)
        rows = " / ".join(f"{one.rows:,}" for one in row)
        seconds = " / ".join(f"{one.seconds:.3f}" for one in row)
        kilobytes = f"{row[-1].size / 1000:.0f}" if row[-1].size else ""
        print(f"| {name} | {asked} | {rows} | {seconds} | {kilobytes} |", flush=True)


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    asyncio.run(main())
