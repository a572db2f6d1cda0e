"""Test a command for many jobs that is stored in batches."""

from dataclasses import replace

from shared.domain.jobs.flow_job import FlowJob
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.plans.job_index import SETTLED_AFTER
from shared.jobs.job_kinds import FLOW
from shared.use_cases.compare_job_index import compare_job_index
from tests.functional.scenarios.remediation_scenario import Scenario, plan_and_approve

FLOWS = 45


async def build_many_jobs() -> Scenario:
    """Return a scenario with more retired flows than two transactions can store."""
    scenario = Scenario()
    for number in range(FLOWS):
        scenario.build.add_http_flow(f"Flow {number:02}")
    await plan_and_approve(scenario)
    jobs = await scenario.read_jobs()
    assert {job.state for job in jobs.values()} == {FlowJobState.RETIRED}
    await compare_job_index(scenario.services)
    return scenario


def add_note(job: FlowJob) -> FlowJob | None:
    """Return the due job with a note, or None if the job has the note."""
    if "seen" in job.notes:
        return None
    return replace(job, notes=(*job.notes, "seen"), next_check_at=job.history[0].changed_at)


async def test_row_that_has_changed_is_read_again() -> None:
    scenario = await build_many_jobs()
    services, table = scenario.services, scenario.services.tables.flow_jobs
    rows = [row async for row in table.query()]
    changed = rows[21]
    await table.replace(changed, replace(changed.item, notes=("edited",)))

    done = await FLOW.apply_command_to_each(services, rows, add_note)

    assert sorted(job.id for job in done) == sorted(row.item.id for row in rows)
    jobs = {job.id: job for job in await table.read_all()}
    assert jobs[changed.item.id].notes == ("edited", "seen")
    assert all(job.notes[-1:] == ("seen",) for job in jobs.values())
    assert {job.message_number - row.item.message_number for row in rows for job in done
            if job.id == row.item.id} == {1}  # fmt: skip


async def test_rows_that_the_command_does_not_change_are_omitted() -> None:
    scenario = await build_many_jobs()
    services, table = scenario.services, scenario.services.tables.flow_jobs
    rows = [row async for row in table.query()]
    await FLOW.apply_command_to_each(services, rows[:5], add_note)
    rows = [row async for row in table.query()]

    done = await FLOW.apply_command_to_each(services, rows, add_note)

    assert {job.id for job in done} == {row.item.id for row in rows[5:]}


async def test_reopened_jobs_in_the_index_are_counted_once() -> None:
    scenario = await build_many_jobs()
    services, table = scenario.services, scenario.services.tables.flow_jobs
    scenario.world.clock.advance(SETTLED_AFTER)
    await compare_job_index(services)
    closed = [row.item async for row in table.query()]
    reopened = closed[15:25]
    for job in reopened:
        await FLOW.apply_command(services, table.get_address(job), add_note)
    for row in [row async for row in table.query() if row.item.notes]:
        await table.replace(row, replace(row.item, notes=(), next_check_at=None))
    index = services.tables.job_index
    named = {row.job_id for row in await index.read_all()}
    assert named.intersection(job.id for job in closed) == {job.id for job in reopened}

    await FLOW.apply_command_to_each(services, [row async for row in table.query()], add_note)

    written = {row.key: row.closed for row in await index.read_all()}
    await compare_job_index(services)
    assert {row.key: row.closed for row in await index.read_all()} == written
    assert {job.id for job in closed} <= {row.job_id for row in await index.read_all()}
