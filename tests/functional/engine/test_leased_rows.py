"""Test staged changes of a leased row, which are stored before each write to the platform."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.domain.jobs.flow_job import FlowJob, JobCommand
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.jobs.grants import Grants
from shared.errors import LeaseLost
from shared.jobs.job_kinds import FLOW
from shared.jobs.leased_job import LeasedJob
from shared.ports import Operation, StoreRow
from shared.state.tables import Tables
from shared.steps.step_context import StepContext
from shared.use_cases.change_remediation import cancel
from shared.use_cases.clean_up_ended_jobs import lease_ended_job
from tests.functional.scenarios.remediation_scenario import Scenario, plan_and_run_until


async def build_leased_scenario() -> tuple[Scenario, LeasedJob[FlowJob]]:
    scenario = Scenario()
    scenario.build.add_http_flow("Orders")
    job = await plan_and_run_until(scenario, "Orders", FlowJobState.COPIED)
    table = scenario.services.tables.flow_jobs
    kept = await table.get(*table.get_address(job))
    assert kept is not None
    return scenario, await FLOW.claim(scenario.services, kept)


async def test_staged_change_is_stored_with_the_next_write() -> None:
    scenario, held = await build_leased_scenario()

    remembered = held.stage(replace(held.job, copy=replace(held.job.copy, host="copy.example")))
    assert remembered == held.job
    assert (await scenario.read_job("Orders")).copy.host == ""

    await held.renew()
    assert (await scenario.read_job("Orders")).copy.host == "copy.example"


async def test_staged_changes_are_stored_before_a_platform_write() -> None:
    scenario, held = await build_leased_scenario()
    work = StepContext(held, await scenario.services.environments.get(held.job.environment_id))
    work.stage(replace(work.job, copy=replace(work.job.copy, host="copy.example")))

    await work.require_write_allowed()

    assert (await scenario.read_job("Orders")).copy.host == "copy.example"


async def test_intent_is_stored_before_a_platform_write() -> None:
    scenario, held = await build_leased_scenario()
    work = StepContext(held, await scenario.services.environments.get(held.job.environment_id))
    work.stage(replace(work.job, copy=replace(work.job.copy, host="copy.example")))

    await work.save_intended_write(lambda job: replace(job, grants=Grants(past=("flow",))))

    job = await scenario.read_job("Orders")
    assert (job.copy.host, job.grants.past) == ("copy.example", ("flow",))


async def test_staged_change_keeps_a_cancel_request() -> None:
    scenario, held = await build_leased_scenario()
    looked_at = held.job
    await cancel(scenario.services, scenario.remediation.id)
    await held.renew()

    held.stage(replace(looked_at, copy=replace(looked_at.copy, host="copy.example")))
    await held.flush()

    job = await scenario.read_job("Orders")
    assert (job.copy.host, job.requested_command) == ("copy.example", JobCommand.CANCEL)


async def test_staged_change_is_not_stored_without_the_lease() -> None:
    scenario, held = await build_leased_scenario()
    held.stage(replace(held.job, copy=replace(held.job.copy, host="copy.example")))
    scenario.world.clock.advance(scenario.settings.job_lease_duration + timedelta(seconds=1))
    table = scenario.services.tables.flow_jobs
    kept = await table.get(*table.get_address(held.job))
    assert kept is not None
    await FLOW.claim(scenario.services, kept)

    with pytest.raises(LeaseLost):
        await held.flush()

    assert (await scenario.read_job("Orders")).copy.host == ""


class Slow:
    """A store whose writes return only when the test sets `goes_on`."""

    def __init__(self, store: object) -> None:
        self._store: Any = store
        self.is_slow = False
        self.has_begun, self.goes_on = asyncio.Event(), asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def write(self, *operations: Operation) -> list[StoreRow]:
        rows: list[StoreRow] = await self._store.write(*operations)
        if self.is_slow:
            self.has_begun.set()
            await self.goes_on.wait()
        return rows


@pytest.mark.parametrize("is_ordered", [True, False])
async def test_change_staged_while_the_lease_is_renewed_is_kept(*, is_ordered: bool) -> None:
    scenario, held = await build_leased_scenario()
    slow: Any = Slow(scenario.fakes.store)
    services = replace(scenario.services, tables=Tables(slow))
    held = LeasedJob(FLOW, services, held._kept)
    if is_ordered:
        await cancel(scenario.services, scenario.remediation.id)
    slow.is_slow = True
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(held.renew())
        await slow.has_begun.wait()
        held.stage(replace(held.job, copy=replace(held.job.copy, host="copy.example")))
        slow.goes_on.set()

    assert held.job.copy.host == "copy.example"
    await held.flush()

    job = await scenario.read_job("Orders")
    assert job.copy.host == "copy.example"
    assert job.leased_until == held.job.leased_until
    assert job.requested_command is (JobCommand.CANCEL if is_ordered else None)


async def test_lease_of_an_ended_job_logs_no_state_change(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A log entry such as "retired -> retired" looks like a second retirement."""
    scenario, held = await build_leased_scenario()
    retired = replace(held.job, state=FlowJobState.RETIRED)

    with caplog.at_level("INFO", "shared.jobs.leased_job"):
        await held.end(retired)
        stored = await scenario.services.tables.flow_jobs.get(
            *scenario.services.tables.flow_jobs.get_address(retired)
        )
        assert stored is not None
        async with lease_ended_job(FLOW, scenario.services, stored):
            pass

    assert caplog.text.count(": copied -> retired") == 1
    assert caplog.text.count("-> retired") == 1
