"""Count what a remediation of many flows needs: requests, messages, rows, and time.

The app is built by `build_services` with its default budgets, against the local tenant in this
process. Time is simulated: days pass in seconds, and every request takes 50 ms of simulated time.

    python -m tests.performance.remediation_figures --flows 100
"""

import argparse
import asyncio
import json
import tempfile
from bisect import bisect_right
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from local_cloud.tenant.core.clock import SimulatedClock
from local_cloud.tenant.core.requests import BATCH, CallLog
from local_cloud.tenant.core.routing import HostTable
from local_cloud.tenant.core.tenant import Tenant
from local_cloud.tenant.environments.power_platform import PowerPlatform
from local_cloud.tenant.serving.server import TenantServer
from local_cloud.tenant.serving.services import SERVICES as TENANT_SERVICES
from shared.adapters.state.sqlite_store import SqliteStore
from shared.adapters.state.versioned_store import VersionedStore
from shared.bootstrap import core_services
from shared.domain.environment import ApprovalPolicy, EnvironmentSettings
from shared.domain.jobs.environment_states import EnvironmentJobState
from shared.domain.jobs.flow_job import FlowJob
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.plans.remediation import Remediation, RemediationMode, StartSource
from shared.ports import DeleteRow, Operation, Store, StoreRow
from shared.state.rows import format_sortable_time
from shared.use_cases.send_due_and_overdue_messages import send_due_and_overdue_messages
from shared.use_cases.start_remediation import start_manual_remediation
from tests.fakes.clock import count_most_within
from tests.fakes.driver import USE_CASES
from tests.fakes.observed_store import ObservedStore
from tests.functional.scenarios.remediation_scenario import approve_shown
from tests.functional.wire.wire_scenario import PLENTY, WIDE, WireScenario, serve_wire_scenario
from tests.local_cloud.tenant.tenant_world import ENVIRONMENT
from tests.performance.direct_transport import DirectTransport
from tests.performance.many_flows import build_many_public_flows

#: The local tenant's services, as the tables name them.
SERVICES = ("flow_service", "dataverse", "resource_manager", "key_vault", "bap")
#: What the platform's flow service takes unless the description says otherwise
#: (platform.md#flow-service-limits).
TAKES = {
    "flow_service": {"calls": 5, "seconds": 60},
    "flow_service.write": {"calls": 300, "seconds": 3600},
}
#: What a call takes of the moved time.
CALL = timedelta(milliseconds=50)
#: How often the app's timer looks for rows that are overdue.
TIMER = timedelta(minutes=1)
#: Nothing takes longer.
LONGEST = timedelta(days=60)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanFigures:
    """What a remediation needs from its start until its plan can be approved: requests and
    minutes.
    """

    plan_calls: Mapping[str, int]
    minutes_to_plan: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures(PlanFigures):
    """What a remediation needs for its plan and, after the approval, to retire the originals."""

    flows: int
    #: For each flow, by service.
    calls: Mapping[str, float]
    #: For each flow: what Dataverse counts, to which each read of a batch is a request.
    dataverse_requests: float
    throttled: int
    #: For each flow.
    messages: float
    deliveries: float
    reads: float
    writes: float
    #: Of the timer that looks each minute, which is shared by all flows of all remediations.
    timer_reads: int
    timer_writes: int
    #: From the order to the end, but for the quiet days.
    hours: float
    #: From the approval to the first flow, and to the last, whose callers all have the new URL.
    minutes_to_first_quiet: float
    minutes_to_last_quiet: float
    #: Of the flow service's calls that the budget to begin with allows until the last is quiet.
    share: float
    #: The most calls of the flow service in any minute.
    most_in_a_minute: int


@dataclass(slots=True)
class Counted(ObservedStore):
    """A store that counts its requests, and knows the states of all jobs from the writes."""

    reads: int = 0
    writes: int = 0
    #: State, and when it is due, of each row of these tables.
    jobs: dict[str, tuple[str, str]] = field(default_factory=dict)
    environment_jobs: dict[str, tuple[str, str]] = field(default_factory=dict)
    #: Places in the line for calls.
    line: set[str] = field(default_factory=set)

    def observe(self, request: str, _table: str, _partition: str | None) -> None:
        if request == "write":
            self.writes += 1
        else:
            self.reads += 1

    async def write(self, *operations: Operation) -> list[StoreRow]:
        rows = await ObservedStore.write(self, *operations)
        for operation in operations:
            if operation.row.table == "requestbudgets" and operation.row.key[0].isdigit():
                change = self.line.discard if isinstance(operation, DeleteRow) else self.line.add
                change(operation.row.key)
        for row in rows:
            if row.table in ("flowjobs", "environmentjobs"):
                kept = self.jobs if row.table == "flowjobs" else self.environment_jobs
                kept[row.key] = (str(row.columns["state"]), str(row.columns["next_check_at"]))
        return rows

    def find_next_due(self) -> datetime | None:
        """Return when the next job is due, or None."""
        dues = [due for _, due in (*self.jobs.values(), *self.environment_jobs.values())]
        first = min(dues, default=format_sortable_time(None))
        return None if first == format_sortable_time(None) else datetime.fromisoformat(first)


@dataclass(slots=True)
class FlowServiceCalls:
    """An ASGI application in front of the tenant: each request takes time, and those to the flow
    service are recorded.
    """

    tenant: Tenant
    made: list[datetime] = field(default_factory=list)
    hosts: HostTable = field(init=False)

    def __post_init__(self) -> None:
        assumptions = self.tenant.get_part(PowerPlatform).assumptions
        self.hosts = HostTable(self.tenant, TENANT_SERVICES, lambda _: None, assumptions)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        clock, before = self.tenant.clock, self._count()
        clock.advance(CALL.total_seconds())
        await self.hosts(scope, receive, send)
        if self._count() > before:
            self.made.append(clock.now())

    def _count(self) -> int:
        return count_by_service(self.tenant.calls.capabilities)["flow_service"]

    def count_between(self, since: datetime, until: datetime) -> int:
        """Return the number of requests to the flow service after `since` and up to `until`."""
        return bisect_right(self.made, until) - bisect_right(self.made, since)


class SimulatedTime:
    """Runs the app in simulated time: delivers messages, runs the timer, and advances the clock to
    the next event.
    """

    def __init__(self, scenario: WireScenario, counted: Counted) -> None:
        self._scenario = scenario
        self._store = counted
        self._timer_due = scenario.services.now
        self.deliveries = 0
        self.timer_reads = 0
        self.timer_writes = 0

    async def run_until(self, state: FlowJobState | None) -> None:
        """Run until all flow jobs are in this state or, for None, until a plan awaits approval.
        Fails after `LONGEST`.
        """
        scenario = self._scenario
        end = scenario.services.now + LONGEST
        while scenario.services.now < end:
            if self._timer_due <= scenario.services.now:
                await self._tick()
            if await scenario.deliver():
                self.deliveries += 1
                continue
            if self._is_reached(state):
                return
            await self._pass_time()
        jobs = await scenario.services.tables.flow_jobs.read_all(ENVIRONMENT)
        raise AssertionError(f"{LONGEST} went by: {Counter(map(_format_job, jobs))}")

    def _is_reached(self, state: FlowJobState | None) -> bool:
        if state is None:
            states = {one for one, _ in self._store.environment_jobs.values()}
            return states == {EnvironmentJobState.AWAITING_APPROVAL}
        return {one for one, _ in self._store.jobs.values()} == {state}

    async def _tick(self) -> None:
        reads, writes = self._store.reads, self._store.writes
        await send_due_and_overdue_messages(self._scenario.services)
        self.timer_reads += self._store.reads - reads
        self.timer_writes += self._store.writes - writes
        self._timer_due = self._scenario.services.now + TIMER

    async def _pass_time(self) -> None:
        """Advance the clock to the next message, or to the next minute with work for the timer."""
        scenario, now = self._scenario, self._scenario.services.now
        message = scenario.messages.find_next_due(*USE_CASES) or now + LONGEST
        row = now if self._store.line else self._store.find_next_due() or now + LONGEST
        self._timer_due += max(min(row, message) - self._timer_due, timedelta()) // TIMER * TIMER
        moment = min(message, self._timer_due)
        scenario.tenant.clock.advance(max(0.0, (moment - now).total_seconds()))


def _format_job(job: FlowJob) -> str:
    return f"{job.state} {job.reason_code} {job.message}"


@dataclass(slots=True, kw_only=True)
class SimulatedRun:
    """An app in simulated time with its tenant, and the counters of its requests."""

    scenario: WireScenario
    store: Counted
    wire: FlowServiceCalls
    time: SimulatedTime

    async def start_and_plan(self, limit: int = PLENTY) -> PlanFigures:
        """Start a remediation of at most `limit` flows. Run until its plan awaits approval."""
        services, calls = self.scenario.services, self.scenario.tenant.calls
        settings = EnvironmentSettings(
            environment_id=ENVIRONMENT, approval_policy=ApprovalPolicy.REQUIRED, max_flows=limit
        )
        await services.tables.environment_settings.upsert(settings)
        calls.reset()
        order = Remediation(
            created_at=services.now,
            mode=RemediationMode.APPLY,
            start_source=StartSource.API_REQUEST,
            idempotency_key="figures",
            environment_ids=(ENVIRONMENT,),
        )
        self.scenario.remediation = await start_manual_remediation(services, order)
        await self.time.run_until(None)
        return PlanFigures(
            plan_calls=count_by_service(calls.capabilities),
            minutes_to_plan=_convert_to_minutes(services.now - order.created_at),
        )

    async def approve_and_retire(self, plan: PlanFigures) -> Figures:
        scenario, store, time = self.scenario, self.store, self.time
        services, calls = scenario.services, scenario.tenant.calls
        calls.reset()
        approved, sent = services.now, scenario.messages.sent
        store.reads = store.writes = time.deliveries = time.timer_reads = time.timer_writes = 0
        await approve_shown(services, scenario.remediation.id)
        await time.run_until(FlowJobState.RETIRED)

        jobs = (await scenario.read_jobs()).values()
        flows = len(jobs)
        cut_over = sorted(job.observation.started_at for job in jobs if job.observation.started_at)
        took = services.now - scenario.remediation.created_at - services.settings.no_call_period
        to_last_quiet = _convert_to_minutes(cut_over[-1] - approved)
        allowed = services.settings.flow_service_requests_per_minute * to_last_quiet
        return Figures(
            **asdict(plan),
            flows=flows,
            calls={name: n / flows for name, n in count_by_service(calls.capabilities).items()},
            dataverse_requests=_count_dataverse_requests(calls) / flows,
            throttled=calls.throttled.total(),
            messages=(scenario.messages.sent - sent) / flows,
            deliveries=time.deliveries / flows,
            reads=(store.reads - time.timer_reads) / flows,
            writes=(store.writes - time.timer_writes) / flows,
            timer_reads=time.timer_reads,
            timer_writes=time.timer_writes,
            hours=took / timedelta(hours=1),
            minutes_to_first_quiet=_convert_to_minutes(cut_over[0] - approved),
            minutes_to_last_quiet=to_last_quiet,
            share=self.wire.count_between(approved, cut_over[-1]) / allowed,
            most_in_a_minute=count_most_within(self.wire.made, timedelta(minutes=1)),
        )


@asynccontextmanager
async def open_simulated_run(
    description: dict[str, Any], budgets: Mapping[str, int] | None = None
) -> AsyncIterator[SimulatedRun]:
    """Yield the app on a tenant with this description in simulated time.

    Without `budgets`, the app has its default ones.
    """
    if not budgets:
        description = {"budgets": TAKES, **description}
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        stores: list[Counted] = []
        wires: list[FlowServiceCalls] = []
        make_store = core_services._build_store

        def open_counted(*arguments: Any) -> Store:
            store = make_store(*arguments)
            assert isinstance(store, VersionedStore)
            assert isinstance(store.store, SqliteStore)
            # No machine loses its power here, and waiting for the disk is not what is counted.
            store.store._database.execute("PRAGMA synchronous=OFF")
            store.store = counting = Counted(store.store)
            stores.append(counting)
            return store

        def build_direct_transport(server: TenantServer) -> DirectTransport:
            wires.append(FlowServiceCalls(server.tenant))
            return DirectTransport(wires[0], server.tenant.clock)

        begun = datetime.now(UTC)
        patch.setattr(core_services, "_build_store", open_counted)
        patch.setattr(SimulatedClock, "now", lambda clock: begun + clock._skipped)
        async with serve_wire_scenario(
            patch, Path(folder), description, budgets or {}, transport=build_direct_transport
        ) as scenario:
            (store,), (wire,) = stores, wires
            time = SimulatedTime(scenario, store)
            yield SimulatedRun(scenario=scenario, store=store, wire=wire, time=time)


async def measure_remediation(
    description: dict[str, Any], budgets: Mapping[str, int] | None = None
) -> Figures:
    async with open_simulated_run(description, budgets) as moved:
        return await moved.approve_and_retire(await moved.start_and_plan())


def _count_dataverse_requests(calls: CallLog) -> int:
    """Return the number of requests to Dataverse: the single ones, and the reads inside batches."""
    return (
        count_by_service(calls.capabilities)["dataverse"]
        - calls.routes[BATCH]
        + calls.batched.total()
    )


def _convert_to_minutes(time: timedelta) -> float:
    return time / timedelta(minutes=1)


def count_by_service(capabilities: Mapping[str, int]) -> dict[str, int]:
    """Return the number of requests to each service, reads and writes together."""
    calls = Counter[str]()
    for capability, count in capabilities.items():
        calls[capability.partition(".")[0]] += count
    return {name: calls[name] for name in SERVICES}


def format_table(found: Figures) -> str:
    rows: list[tuple[str, object]] = []
    for name, value in asdict(found).items():
        if isinstance(value, dict):
            rows += [(f"{name} {service}", count) for service, count in value.items()]
            rows.append((f"{name} together", sum(value.values())))
        else:
            rows.append((name, value))
    return "\n".join(
        f"| {name.replace('_', ' '):<32} | {value:>10.2f} |"
        if isinstance(value, float)
        else f"| {name.replace('_', ' '):<32} | {value:>10} |"
        for name, value in rows
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--flows", type=int, default=100)
    parser.add_argument("--flows-per-app", type=int, default=1, help="URLs in one app's settings")
    parser.add_argument(
        "--takes", type=int, default=5, help="calls a minute that the flow service takes"
    )
    parser.add_argument("--wide", action="store_true", help="budgets that hold up nobody")
    parser.add_argument("--json", action="store_true", help="one line for a program")
    asked = parser.parse_args()
    tenant = build_many_public_flows(asked.flows, asked.flows_per_app)
    if not asked.wide:
        tenant["budgets"] = {"flow_service": {"calls": asked.takes, "seconds": 60}}
    found = asyncio.run(measure_remediation(tenant, WIDE if asked.wide else None))
    print(json.dumps(asdict(found)) if asked.json else format_table(found))


if __name__ == "__main__":
    main()
