import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from shared.domain.jobs.flow_job import FlowJob, RollbackStage
from shared.domain.jobs.flow_states import FlowJobState
from shared.services import Services
from shared.use_cases import change_remediation
from shared.use_cases.run_flow_job import run_flow_job_step
from tests.fakes.crash import Plan
from tests.fakes.services import build_fake_services
from tests.functional.scenarios.remediation_scenario import Scenario, plan_remediation

CALLERS = 1_000
#: The number of the write at which the second invocation begins.
MIDDLE = 400


class SecondInvocation:
    """A port that starts a second invocation in the middle of its writes."""

    def __init__(self, port: object, begin: Callable[[], Awaitable[object]]) -> None:
        self._port = port
        self._begin = begin
        self._writes = 0
        self.beside: asyncio.Future[object] | None = None

    def __getattr__(self, name: str) -> Any:
        return self._write if name == "write" else getattr(self._port, name)

    async def _write(self, *arguments: Any) -> None:
        self._writes += 1
        if self._writes == MIDDLE:
            self.beside = asyncio.ensure_future(self._begin())
        await self._port.write(*arguments)  # type: ignore[attr-defined]


async def test_overlapping_invocations_update_and_revert_every_caller() -> None:
    scenario = Scenario()
    flow = scenario.build.add_http_flow("Orders")
    sites = [
        scenario.build.add_app_setting_caller(flow, site=f"site{number}")
        for number in range(CALLERS)
    ]
    before = [dict(site.settings) for site in sites]
    await plan_remediation(scenario)
    await scenario.approve(run=timedelta(0))

    await run_step_twice(
        scenario, await scenario.run_until("Orders", FlowJobState.UPDATING_CALLERS)
    )
    await scenario.run(timedelta(hours=1))
    moved = [dict(site.settings) for site in sites]
    job = await scenario.read_job("Orders")

    await scenario.driver.call(lambda s: change_remediation.roll_back(s, scenario.remediation.id))
    while (await scenario.read_job("Orders")).rollback_stage is not RollbackStage.REVERT_CALLERS:
        await run_flow_job_step(scenario.services, job.environment_id, job.id)
    await run_step_twice(scenario, await scenario.read_job("Orders"))
    await scenario.run(timedelta(days=30))

    assert job.step is FlowJobState.CHECKING_FOR_CALLS
    assert all(one != other for one, other in zip(moved, before, strict=True))
    assert (await scenario.read_job("Orders")).state is FlowJobState.ROLLED_BACK
    assert [dict(site.settings) for site in sites] == before


async def run_step_twice(scenario: Scenario, job: FlowJob) -> None:
    """Run the step of a job. During its writes, let its lease expire and run the step a second
    time.
    """

    def begin() -> Awaitable[object]:
        lease = scenario.settings.job_lease_duration + scenario.settings.resource_lease_duration
        scenario.world.clock.advance(lease)
        return run_flow_job_step(build_services(), job.environment_id, job.id)

    def build_services(**instead: Any) -> Services:
        # Under a plan, each request lets the other invocation run.
        ports = replace(scenario.fakes.ports, **instead).wrap_with_plan(Plan())
        return build_fake_services(ports, settings=scenario.settings)

    crowded = SecondInvocation(scenario.fakes.ports.app_settings, begin)
    await run_flow_job_step(build_services(app_settings=crowded), job.environment_id, job.id)
    assert crowded.beside is not None
    await crowded.beside
