from collections.abc import AsyncIterator, Awaitable, Callable
from copy import deepcopy
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from typing import Any, cast

import pytest

from functions import health_api
from shared.bootstrap import provide
from shared.domain.circuit_breaker import CircuitBreaker
from shared.domain.environment import ApprovalPolicy, Environment
from shared.domain.flow import FlowState
from shared.domain.jobs.environment_states import EnvironmentJobState
from shared.domain.jobs.flow_states import FlowJobState
from shared.errors import ServiceUnavailable, TokenRejected
from shared.reason import Reason
from shared.use_cases.change_remediation import roll_back
from shared.use_cases.run_daily_check import run_daily_check
from tests.fakes.crash import Plan
from tests.fakes.driver import Driver
from tests.fakes.ports import Ports
from tests.fakes.tenant import FakeSecret
from tests.fakes.world import World
from tests.functional.scenarios.app_calls import TRIGGERS, call
from tests.functional.scenarios.remediation_scenario import Scenario

DAY = timedelta(days=1)
#: Fakes of the app's own services, without which it cannot even store that it waits.
GROUND = ("MemoryStore", "FakeMessages")
OURS = {"clock", "store", "messages", "notices"}


@dataclass(slots=True, kw_only=True)
class Outage(Plan):
    """A fault plan in which some fakes raise an error for a time."""

    scenario: Scenario
    out: tuple[str, ...] = ()
    until: datetime | None = None
    error: Callable[[], ServiceUnavailable] = lambda: ServiceUnavailable("nothing heard")
    calls_out: dict[str, int] = field(default_factory=dict)

    def begin(self, *out: str, lasts: timedelta = DAY) -> None:
        self.out, self.until = out, self.scenario.world.clock.now() + lasts

    def enter(self, name: str) -> int:
        number = Plan.enter(self, name)
        fake = name.partition(".")[0]
        if self.until and self.scenario.world.clock.now() < self.until and fake in self.out:
            self.calls_out[fake] = self.calls_out.get(fake, 0) + 1
            raise self.error()
        return number


def list_platform_fakes() -> list[str]:
    """Return the names of the fakes that stand for Microsoft's services."""
    ports = Scenario().fakes.ports
    names = [one.name for one in fields(Ports) if one.name not in OURS]
    return sorted({type(getattr(ports, name)).__name__ for name in names})


async def build_requested_scenario(
    called: int = 2, self_starting: int = 2
) -> tuple[Scenario, Outage]:
    """Return a scenario whose remediation is requested but has not begun."""
    scenario = Scenario(mode=ApprovalPolicy.AUTOMATIC)
    for number in range(called):
        flow = scenario.build.add_http_flow(f"Called {number}")
        scenario.build.add_app_setting_caller(flow, site=f"site-{number}", setting="URL")
    for number in range(self_starting):
        scenario.build.add_keyword_flow(f"Keyword {number}")
    scenario.build.apply_key()
    scenario.build.share_connections()
    outage = Outage(scenario=scenario)
    scenario.driver = Driver(
        fakes=scenario.fakes, make=scenario.make, plan=outage, use_cases=dict(TRIGGERS)
    )
    await scenario.opt_in()
    await scenario.order(run=None)
    return scenario, outage


async def assert_completes(scenario: Scenario) -> None:
    """Let a month pass, and require that the remediation is complete and no call is lost."""
    await scenario.run(timedelta(days=30))
    states = {
        title: (job.state, job.message) for title, job in (await scenario.read_jobs()).items()
    }
    assert len(states) == len(list(scenario.world.list_flows())) // 2
    assert {state for state, _ in states.values()} == {FlowJobState.RETIRED}, states
    assert (await scenario.read_environment_job()).state is EnvironmentJobState.COMPLETED
    assert scenario.world.traffic.lost_calls == []
    assert await scenario.services.tables.circuit_breakers.read_all() == []


async def assert_rolled_back(scenario: Scenario) -> None:
    """Let a month pass, and require a complete rollback without a lost call."""
    await scenario.run(timedelta(days=30))
    assert {job.state for job in (await scenario.read_jobs()).values()} == {
        FlowJobState.ROLLED_BACK
    }
    originals = [flow for flow in scenario.world.list_flows() if not flow.made_by_app]
    assert all(flow.state is FlowState.ON for flow in originals)
    assert scenario.world.traffic.lost_calls == []


async def find_failed_checks(
    scenario: Scenario, check: Callable[[Scenario], Awaitable[None]]
) -> list[str]:
    """Return each service for which the check fails after an outage of a day. A service without a
    request on that day is not checked.
    """
    scenario.renew()
    failed = []
    for service in ("", *list_platform_fakes(), *GROUND):
        disturbed = deepcopy(scenario)
        outage = cast("Outage", disturbed.driver.plan)
        outage.begin(service)
        try:
            await disturbed.run(DAY)
            if outage.calls_out or not service:
                await check(disturbed)
        except AssertionError as error:
            failed.append(f"{service}: {error}")
    return failed


@pytest.mark.parametrize(
    "after",
    [timedelta(0), timedelta(minutes=1), timedelta(days=7, minutes=-1)],
    ids=["at the order", "in the middle", "before retiring"],
)
async def test_outage_of_one_service_for_a_day_needs_no_person(after: timedelta) -> None:
    scenario, _ = await build_requested_scenario()
    await scenario.run(after)

    assert await find_failed_checks(scenario, assert_completes) == []


async def test_outage_of_all_services_during_a_cutover_needs_no_person() -> None:
    """Both flows may be off while all services are unavailable."""
    scenario, outage = await build_requested_scenario(called=0, self_starting=3)

    def begin_outage_in_cutover(world: World) -> list[str]:
        originals = [flow for flow in world.list_flows() if not flow.made_by_app]
        if outage.until is None and any(flow.state is FlowState.OFF for flow in originals):
            outage.begin(*list_platform_fakes())
        return []

    scenario.world.watchers.append(begin_outage_in_cutover)

    await assert_completes(scenario)

    assert outage.calls_out


async def test_outage_of_one_service_during_a_rollback_needs_no_person() -> None:
    scenario, _ = await build_requested_scenario()
    await scenario.run(timedelta(days=2))
    await scenario.driver.call(
        lambda services: roll_back(services, scenario.remediation.id, replay=True)
    )

    assert await find_failed_checks(scenario, assert_rolled_back) == []


async def test_unavailable_service_gets_few_requests() -> None:
    scenario, outage = await build_requested_scenario(called=12, self_starting=0)
    outage.begin("FakeWorkflows", "FakeFlowReports", lasts=2 * DAY)
    await scenario.run(DAY)
    provide(scenario.services)

    health = (await call(health_api.show_health)).document

    assert {one["service"] for one in health["outages"]} <= {"workflows", "flow_reports"}
    assert health["alert_counts"] == {Reason.SERVICE_OUTAGE: len(health["outages"])}
    assert all(one.reason_code == Reason.SERVICE_OUTAGE for one in scenario.fakes.notices.told)
    assert max(outage.calls_out.values()) < 160

    await assert_completes(scenario)


async def test_outage_without_a_failure_for_two_days_is_forgotten() -> None:
    """The process that recorded the outage may no longer run."""
    scenario, _ = await build_requested_scenario(called=1, self_starting=0)
    breaker = CircuitBreaker(
        service="Key Vault",
        endpoint="kv.vault.azure.net",
        last_failure_at=scenario.services.now,
        message="no connection",
        probe_at=scenario.services.now,
        opened_at=scenario.services.now,
    )
    await scenario.services.tables.circuit_breakers.upsert(breaker)

    await scenario.run(timedelta(hours=47))
    provide(scenario.services)
    before = (await call(health_api.show_health)).document
    await scenario.run(timedelta(hours=2))
    provide(scenario.services)
    after = (await call(health_api.show_health)).document

    assert [one["service"] for one in before["outages"]] == ["Key Vault"]
    assert before["alert_counts"] == {Reason.SERVICE_OUTAGE: 1}
    assert (after["outages"], after["alert_counts"]) == ([], {})


async def test_fault_of_one_flow_does_not_block_others() -> None:
    scenario, _ = await build_requested_scenario(called=3, self_starting=0)
    bad = next(flow for flow in scenario.world.list_flows() if flow.name == "Called 0")
    broken = _BrokenFor(scenario.fakes.ports.workflows, bad.workflow_id)
    scenario.around = lambda ports: replace(ports, workflows=cast("Any", broken))
    scenario.renew()

    await scenario.run(timedelta(days=30))

    jobs = await scenario.read_jobs()
    assert (jobs["Called 0"].state, jobs["Called 0"].reason_code) == (
        FlowJobState.BLOCKED,
        "retries_exhausted",
    )
    assert {jobs[name].state for name in ("Called 1", "Called 2")} == {FlowJobState.RETIRED}
    assert not any("is out" in line.message for job in jobs.values() for line in job.history)

    broken.workflow_id = ""
    await scenario.retry()

    assert (await scenario.read_job("Called 0")).state is FlowJobState.RETIRED


async def test_daily_check_retries_a_job_that_an_outage_blocked() -> None:
    scenario, _ = await build_requested_scenario(called=1, self_starting=0)
    [flow] = [flow for flow in scenario.world.list_flows() if flow.name == "Called 0"]
    broken = _BrokenFor(scenario.fakes.ports.workflows, flow.workflow_id)
    scenario.around = lambda ports: replace(ports, workflows=cast("Any", broken))
    scenario.renew()
    await scenario.run(timedelta(minutes=1))
    waiting = await scenario.read_job("Called 0")
    early = await run_daily_check(scenario.services, "today")
    await scenario.run(timedelta(hours=12))
    blocked = await scenario.read_job("Called 0")

    broken.workflow_id = ""
    late = await run_daily_check(scenario.services, "tomorrow")
    await scenario.run(timedelta(days=30))

    assert (waiting.state, waiting.reason_code) == (FlowJobState.WAITING, "retries_exhausted")
    assert (blocked.state, blocked.reason_code) == (FlowJobState.BLOCKED, "retries_exhausted")
    assert (early.retried, late.retried) == (0, 1)
    assert (await scenario.read_job("Called 0")).state is FlowJobState.RETIRED


@pytest.mark.parametrize(
    ("refusals", "state"), [(2, FlowJobState.RETIRED), (99, FlowJobState.BLOCKED)]
)
async def test_rejected_token_is_retried_before_the_job_is_blocked(
    refusals: int, state: FlowJobState
) -> None:
    scenario, _ = await build_requested_scenario(called=1, self_starting=0)
    left = iter(range(refusals))
    real = scenario.fakes.ports.workflows

    class Refusing:
        async def update(self, *arguments: Any, **named: Any) -> None:
            if next(left, None) is not None:
                raise TokenRejected("expired", code="ExpiredAuthenticationToken")
            await real.update(*arguments, **named)

        def __getattr__(self, name: str) -> Any:
            return getattr(real, name)

    scenario.around = lambda ports: replace(ports, workflows=cast("Any", Refusing()))
    scenario.renew()

    await scenario.run(timedelta(days=30))

    job = await scenario.read_job("Called 0")
    assert job.state is state
    assert job.reason_code == (
        "" if state is FlowJobState.RETIRED else "ExpiredAuthenticationToken"
    )


class _BrokenFor:
    """A wrapper of the workflows port that returns the error 500 for one flow."""

    def __init__(self, port: object, workflow_id: str) -> None:
        self._port = port
        self.workflow_id = workflow_id

    def __getattr__(self, name: str) -> Any:
        return getattr(self._port, name)

    async def get(self, environment: Environment, workflow_id: str) -> object:
        if workflow_id == self.workflow_id:
            raise ServiceUnavailable("500", of_object=True)
        return await cast("Any", self._port).get(environment, workflow_id)


class _WithoutVault:
    """A secrets port in which one vault never answers."""

    def __init__(self, port: object, vault_url: str) -> None:
        self._port = port
        self._vault_url = vault_url

    def __getattr__(self, name: str) -> Any:
        return getattr(self._port, name)

    async def list(self, vault_url: str) -> AsyncIterator[str]:
        if vault_url == self._vault_url:
            raise ServiceUnavailable("no connection")
        async for name in cast("Any", self._port).list(vault_url):
            yield name


async def test_vault_that_the_app_never_reaches_blocks_no_search() -> None:
    scenario, _ = await build_requested_scenario(called=1, self_starting=0)
    [flow] = [flow for flow in scenario.world.list_flows() if flow.name == "Called 0"]
    scenario.build.add_secret_caller(flow)
    vault_url = "https://other-team.vault.azure.net"
    secret = FakeSecret(
        vault_url=vault_url, name="x", versions=[scenario.world.create_secret_version("x")]
    )
    scenario.world.secrets[vault_url, "x"] = secret
    unreachable = _WithoutVault(scenario.fakes.ports.secrets, vault_url)
    scenario.around = lambda ports: replace(ports, secrets=cast("Any", unreachable))
    scenario.renew()

    await scenario.run(timedelta(minutes=50))
    early = await scenario.read_environment_job()
    await scenario.run(timedelta(days=30))

    assert early.reason_code == Reason.SERVICE_OUTAGE
    findings = (await scenario.read_environment_job()).findings
    assert any(f"secrets in {vault_url} (no answer)" in one for one in findings), findings
    assert (await scenario.read_job("Called 0")).state is FlowJobState.RETIRED
    assert scenario.world.traffic.lost_calls == []
