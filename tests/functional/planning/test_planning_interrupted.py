import asyncio
from contextlib import suppress
from datetime import timedelta

from shared.domain.jobs.environment_states import EnvironmentJobState
from shared.domain.plans.remediation import EnvironmentJob, RemediationMode
from shared.jobs.job_kinds import ENVIRONMENT
from shared.jobs.leased_job import LeasedJob
from tests.fakes.crash import Killed, Plan
from tests.fakes.services import build_fake_settings
from tests.functional.scenarios.remediation_scenario import Scenario


async def test_plan_is_completed_within_minutes_after_a_kill() -> None:
    at, struck = 0, True
    while struck:
        at += 5
        scenario = Scenario()
        scenario.build.add_http_flow("Orders")
        scenario.build.apply_key()
        await scenario.opt_in()
        scenario.driver.plan = Plan(at=at)

        with suppress(Killed):
            await scenario.order(run=timedelta(minutes=5))
        if scenario.driver.plan.has_struck and not hasattr(scenario, "remediation"):
            continue  # before the order was taken

        struck = scenario.driver.plan.has_struck
        assert (
            await scenario.read_environment_job()
        ).state is EnvironmentJobState.AWAITING_APPROVAL, at
    assert at > 50


async def test_lease_is_renewed_during_a_step() -> None:
    scenario = Scenario(settings=build_fake_settings(job_lease_duration=timedelta(milliseconds=30)))
    table = scenario.services.tables.environment_jobs
    job = EnvironmentJob(
        id="job",
        remediation_id="remediation",
        environment_id=scenario.build.environment.id,
        mode=RemediationMode.APPLY,
    )
    await table.insert(job)

    async def hold_during_write(held: LeasedJob[EnvironmentJob]) -> EnvironmentJob:
        written = asyncio.Event()
        scenario.fakes.store.watchers.append(written.set)
        scenario.world.clock.advance(timedelta(milliseconds=29))
        await written.wait()
        scenario.world.clock.advance(timedelta(milliseconds=2))
        before, after = await ENVIRONMENT.run_due_step(
            scenario.services, ("remediation", "job"), fail_if_delivered
        )
        assert before is after
        return held.job

    async def fail_if_delivered(held: LeasedJob[EnvironmentJob]) -> EnvironmentJob:
        raise AssertionError(held.job)

    await asyncio.wait_for(
        ENVIRONMENT.run_due_step(scenario.services, ("remediation", "job"), hold_during_write), 5
    )

    kept = await table.get("remediation", "job")
    assert kept is not None
    assert kept.item.leased_until is None
