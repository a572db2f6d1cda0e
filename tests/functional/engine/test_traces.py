from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.domain.environment import ApprovalPolicy
from shared.domain.jobs.flow_states import FlowJobState
from shared.errors import ServiceUnavailable
from shared.jobs.job_kinds import ENVIRONMENT
from shared.ports import StoreRow
from shared.queues import ENVIRONMENT_JOBS
from shared.reason import Reason
from shared.services import Services
from shared.steps.planning import start_flow_jobs
from shared.use_cases.report_metrics import report_metrics
from tests.fakes.memory_store import MemoryStore
from tests.fakes.ports import Ports
from tests.fakes.telemetry import RecordedSpan, RecordingTelemetry
from tests.functional.scenarios.app_calls import TRIGGERS
from tests.functional.scenarios.remediation_scenario import Scenario

DAY = timedelta(days=1)


class TracedScenario(Scenario):
    """A scenario whose messages go through the app's triggers, and whose spans are recorded."""

    def __post_init__(self) -> None:
        Scenario.__post_init__(self)
        self.telemetry = RecordingTelemetry()
        self.driver.use_cases = TRIGGERS

    def make(self, ports: Ports) -> Services:
        return replace(Scenario.make(self, ports), telemetry=self.telemetry)

    @property
    def services(self) -> Services:
        return replace(self._build_services(self.fakes.ports), telemetry=self.telemetry)

    async def start(self) -> None:
        await self.opt_in()
        with self.telemetry.span("order"):
            await self.order(run=timedelta(0))

    def find_spans(self, name: str) -> list[RecordedSpan]:
        """Return the spans whose name begins with this text."""
        return [span for span in self.telemetry.spans if span.name.startswith(name)]


@pytest.fixture
def scenario() -> TracedScenario:
    scenario = TracedScenario(mode=ApprovalPolicy.AUTOMATIC)
    scenario.build.add_http_flow("Orders")
    scenario.build.apply_key()
    return scenario


async def test_flow_job_is_in_the_trace_of_its_remediation(scenario: TracedScenario) -> None:
    await scenario.start()
    await scenario.run(timedelta(hours=2))
    order, [job] = (
        scenario.find_spans("order")[0],
        await scenario.services.tables.flow_jobs.read_all(),
    )

    assert {span.trace_id for span in scenario.telemetry.spans} == {order.trace_id}
    [copying] = scenario.find_spans("step copying")
    assert copying.parent == "flow job planned"
    assert (
        scenario.find_spans("flow job")[0].attributes.items()
        >= {
            "cmk.remediation": scenario.remediation.id,
            "cmk.environment": job.environment_id,
            "cmk.job": job.id,
            "cmk.flow": job.original.id,
        }.items()
    )


async def test_each_message_after_a_day_begins_a_trace(scenario: TracedScenario) -> None:
    await scenario.start()
    await scenario.run(timedelta(days=9))
    order, [job] = (
        scenario.find_spans("order")[0],
        await scenario.services.tables.flow_jobs.read_all(),
    )
    later = [
        one for one in scenario.find_spans("process flow-jobs") if one.trace_id != order.trace_id
    ]

    assert job.state is FlowJobState.RETIRED
    assert job.trace is not None
    assert {one.link for one in later} == {job.trace.traceparent}
    assert len({one.trace_id for one in later}) == len(later) > 0


async def test_large_plan_begins_a_trace_for_each_flow(
    monkeypatch: pytest.MonkeyPatch, scenario: TracedScenario
) -> None:
    monkeypatch.setattr(start_flow_jobs, "_MOST_IN_TRACE", 1)
    scenario.build.add_http_flow("Invoices")
    await scenario.start()
    await scenario.run(timedelta(hours=2))
    begun = scenario.find_spans("start flow job")
    jobs = await scenario.services.tables.flow_jobs.read_all()

    traces = {job.trace.traceparent for job in jobs if job.trace}
    assert traces == {one.traceparent for one in begun}
    assert {one.link.split("-")[1] for one in begun} == {scenario.find_spans("order")[0].trace_id}
    assert len({one.trace_id for one in begun}) == len(jobs) == 2


async def test_job_without_telemetry_has_no_trace() -> None:
    scenario = Scenario(mode=ApprovalPolicy.AUTOMATIC)
    scenario.build.add_http_flow("Orders")
    scenario.build.apply_key()
    await scenario.opt_in()
    await scenario.order(run=timedelta(0))
    [job] = await scenario.services.tables.environment_jobs.read_all()
    scenario.fakes.messages.lose_waiting_messages()
    services = scenario.services
    await ENVIRONMENT.send_messages(
        services, replace(job, next_check_at=services.now, message_number=99)
    )
    [message] = scenario.fakes.messages.list_waiting_messages(ENVIRONMENT_JOBS)

    assert (job.trace, message.properties) == (None, {})


async def test_retried_message_stays_in_its_trace(
    monkeypatch: pytest.MonkeyPatch, scenario: TracedScenario
) -> None:
    """The message names the trace, so a retry needs no row to find the trace."""
    await scenario.start()
    get, fails = MemoryStore.get, True

    async def fail(self: MemoryStore, *key: Any) -> StoreRow | None:
        if fails and key[0] == "environmentjobs":
            raise ServiceUnavailable("no answer")
        return await get(self, *key)

    monkeypatch.setattr(MemoryStore, "get", fail)
    await scenario.run(timedelta(minutes=5))
    fails = False
    await scenario.run(timedelta(hours=1))

    assert len(scenario.find_spans("process environment-jobs")) > 2
    assert {one.trace_id for one in scenario.telemetry.spans} == {
        scenario.find_spans("order")[0].trace_id
    }


async def test_gauges_show_the_rows(scenario: TracedScenario) -> None:
    await scenario.start()
    await scenario.run(timedelta(hours=2))
    services, telemetry = scenario.services, scenario.telemetry
    await report_metrics(services)
    [job] = await services.tables.flow_jobs.read_all()

    assert telemetry.find_last_value("cmk.flows", state=job.state) == 1
    assert telemetry.find_last_value("cmk.open_jobs.oldest_seconds") == pytest.approx(7200, abs=600)
    assert telemetry.find_last_value("cmk.late_callers") == 0
    assert telemetry.find_last_value("cmk.both_off.seconds") == 0
    since = services.now - timedelta(minutes=1)
    await services.tables.flow_jobs.upsert(
        replace(job, both_off_since=since, reason_code=Reason.BOTH_OFF)
    )
    await report_metrics(services)
    assert telemetry.find_last_value("cmk.both_off.seconds") == 60


async def test_gauges_that_are_not_recorded_read_nothing(
    monkeypatch: pytest.MonkeyPatch, scenario: TracedScenario, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ServiceUnavailable("no answer")

    services = scenario.services
    monkeypatch.setattr(MemoryStore, "get", fail)
    monkeypatch.setattr(MemoryStore, "query", fail)
    scenario.telemetry.is_recorded = False
    await report_metrics(services)
    assert caplog.messages == []
    scenario.telemetry.is_recorded = True
    await report_metrics(services)
    assert "metrics not recorded" in caplog.text
    assert scenario.telemetry.values == {}
