"""Test that the daily check deletes old plans that later plans repeat."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.environment import ApprovalPolicy
from shared.domain.flow import FlowState
from shared.domain.jobs.environment_states import EnvironmentJobState
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.plans.remediation import (
    EnvironmentJob,
    PlanKept,
    Remediation,
    RemediationMode,
    StartSource,
)
from shared.domain.plans.superseded import find_superseded_jobs
from shared.domain.trigger_urls.known_url import KnownUrl
from shared.services import Services
from shared.steps.flows.caller_index import index_trigger_urls_of_plans, read_known_url_ids
from shared.use_cases.delete_old_plans import delete_old_plans
from shared.use_cases.run_daily_check import run_daily_check
from shared.use_cases.show_remediation import show_plan, show_remediation
from tests.fakes import definition_builder as define
from tests.fakes.memory_store import MemoryStore
from tests.fakes.services import build_fake_settings
from tests.functional.scenarios.remediation_scenario import Scenario

DAY = timedelta(days=1)


class KilledError(BaseException): ...


async def build_idle_scenario(*, plans_kept: timedelta = 10 * DAY) -> Scenario:
    scenario = Scenario(
        mode=ApprovalPolicy.AUTOMATIC, settings=build_fake_settings(plans_kept=plans_kept)
    )
    scenario.build.add_flow("Orders", define.build_http_trigger(), {})
    scenario.build.add_flow("Managed", define.build_http_trigger(), {}).is_managed = True
    scenario.build.apply_key()
    await scenario.opt_in()
    await scenario.order(run=30 * DAY)
    assert (await scenario.read_job("Orders")).state is FlowJobState.RETIRED
    return scenario


async def run_days(scenario: Scenario, number: int) -> None:
    """Let this number of days pass, each with a daily check."""
    for _ in range(number):
        await run_daily_check(scenario.services, f"{scenario.services.now:%Y-%m-%d}")
        await scenario.run(DAY)


def count_rows(scenario: Scenario) -> Counter[str]:
    return Counter(table for table, _, _ in scenario.fakes.store.rows)


async def find_environment_job(services: Services, cause: str) -> EnvironmentJob:
    """Return the environment job of the remediation whose idempotency key begins with `cause`."""
    remediations = await services.tables.remediations.read_all("remediation")
    (found,) = [one for one in remediations if one.idempotency_key.startswith(cause)]
    (job,) = await services.tables.environment_jobs.read_all(found.id)
    return job


async def test_days_without_changes_add_no_rows() -> None:
    scenario = await build_idle_scenario()
    await run_days(scenario, 15)
    before = count_rows(scenario)

    await run_days(scenario, 15)

    assert count_rows(scenario) == before


async def test_later_plans_count_retired_originals_without_listing_them() -> None:
    scenario = await build_idle_scenario()
    await run_daily_check(scenario.services, "quiet")
    await scenario.run(DAY)
    job = await find_environment_job(scenario.services, "quiet")
    items = await scenario.services.tables.plan_items.read_all(job.id)
    assert [item.display_name for item in items] == ["Managed"]
    assert any("1 retired original is not listed" in finding for finding in job.findings)
    assert job.planned_action_counts == {"needs_changes": 1}

    original = (await scenario.read_job("Orders")).original.id
    await scenario.order(RemediationMode.DRY_RUN, original, cause="named")

    (item,) = (await scenario.plan()).values()
    assert "Its copy has replaced it" in item.message


async def test_plan_lists_a_retired_original_that_is_on_again() -> None:
    scenario = await build_idle_scenario()
    original = (await scenario.read_job("Orders")).original.id
    (flow,) = [one for one in scenario.world.list_flows() if one.workflow_id == original]
    flow.state = FlowState.ON

    await scenario.order(RemediationMode.DRY_RUN, cause="look")

    (notice,) = await scenario.services.tables.alerts.read_all()
    job = await scenario.read_job("Orders")
    assert (notice.reason_code, notice.row) == (
        "retired_original_on",
        ("flowjobs", job.environment_id, job.id),
    )
    assert original in {item.workflow_id for item in (await scenario.plan()).values()}


async def test_automatic_plan_is_reduced_to_a_summary_and_then_deleted() -> None:
    scenario = await build_idle_scenario()
    await run_daily_check(scenario.services, "first")
    await scenario.run(DAY)
    first = await find_environment_job(scenario.services, "first")
    await run_days(scenario, 4)

    tables = scenario.services.tables
    assert await tables.plan_items.read_all(first.id) == []
    (shown,) = await show_plan(scenario.services, first.remediation_id)
    assert shown.environment_job.plan_kept is PlanKept.SUMMARY
    assert shown.environment_job.planned_action_counts == first.planned_action_counts
    assert "Only this summary is kept" in shown.environment_job.findings[-1]
    assert (await show_remediation(scenario.services, first.remediation_id)).needs_changes == ()

    await run_days(scenario, 8)

    assert await tables.remediations.get("remediation", first.remediation_id) is None
    assert first.id not in {name[1] for name in scenario.fakes.store.rows}


async def test_requested_plan_keeps_its_summary_and_plan_with_jobs_is_kept() -> None:
    scenario = await build_idle_scenario()
    done = scenario.remediation
    await scenario.order(RemediationMode.DRY_RUN, cause="look")
    looked = scenario.remediation
    await run_days(scenario, 15)

    plans = {one.id: (await show_plan(scenario.services, one.id))[0] for one in (done, looked)}

    assert {item.display_name for item in plans[done.id].items} == {"Orders", "Managed"}
    assert plans[done.id].environment_job.plan_kept is PlanKept.WHOLE
    assert plans[looked.id].items == ()
    assert plans[looked.id].environment_job.plan_kept is PlanKept.SUMMARY


async def test_current_plan_of_an_environment_is_kept() -> None:
    scenario = await build_idle_scenario()
    await run_days(scenario, 5)
    last = max(
        await scenario.services.tables.environment_jobs.read_all(),
        key=lambda job: str(job.ended_at),
    )
    scenario.build.unlink()

    await run_days(scenario, 20)

    items = await scenario.services.tables.plan_items.read_all(last.id)
    assert [item.display_name for item in items] == ["Managed"]


async def build_superseded_scenario() -> Scenario:
    scenario = await build_idle_scenario(plans_kept=400 * DAY)
    await scenario.order(RemediationMode.DRY_RUN, cause="look")
    await run_days(scenario, 6)
    scenario.settings = build_fake_settings(plans_kept=2 * DAY)
    scenario.renew()
    return scenario


async def test_interrupted_removal_of_plans_is_completed_by_the_next_run() -> None:
    scenario = await build_superseded_scenario()
    store = scenario.fakes.store
    begun = dict(store.rows)
    write = MemoryStore.write
    left = 0

    async def write_until_killed(self: MemoryStore, *operations: object) -> object:
        nonlocal left
        left -= 1
        if left < 0:
            raise KilledError
        return await write(self, *operations)  # type: ignore[arg-type]

    async def list_names_after(deaths: int) -> set[tuple[str, str, str]]:
        nonlocal left
        store.rows = dict(begun)
        left = deaths
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(MemoryStore, "write", write_until_killed)
            with pytest.raises(KilledError):
                await delete_old_plans(scenario.services)
        for job in await scenario.services.tables.environment_jobs.read_all():
            if job.plan_kept is PlanKept.WHOLE:  # none is shown as whole that is not
                kept = {name for name in store.rows if name[:2] == ("plans", job.id)}
                assert kept == {name for name in begun if name[:2] == ("plans", job.id)}
        await delete_old_plans(scenario.services)
        return set(store.rows)

    assert await delete_old_plans(scenario.services) == 0
    whole = set(store.rows)
    assert len(whole) < len(begun) - 10
    writes = 0
    while True:
        try:
            assert await list_names_after(writes) == whole
        except pytest.fail.Exception:  # it had no more writes than that
            break
        writes += 1
    assert writes > 10


async def test_removal_of_plans_takes_limited_time_per_run() -> None:
    scenario = await build_superseded_scenario()
    clock, delete = scenario.world.clock, MemoryStore.write

    async def advance_clock_and_write(self: MemoryStore, *operations: object) -> object:
        clock.advance(timedelta(minutes=1))
        return await delete(self, *operations)  # type: ignore[arg-type]

    left = [99]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MemoryStore, "write", advance_clock_and_write)
        while left[-1]:
            left.append(await delete_old_plans(scenario.services))

    assert left == sorted(set(left), reverse=True)
    assert len(left) > 3


async def test_unreadable_row_keeps_only_its_own_remediation() -> None:
    scenario = await build_superseded_scenario()
    store = scenario.fakes.store
    jobs = await scenario.services.tables.environment_jobs.read_all()
    first = find_superseded_jobs(
        jobs, {job.environment_job_id for job in (await scenario.read_jobs()).values()}
    )[1]
    name = scenario.services.tables.environment_jobs.get_row_name(first)
    row = store.rows[name]
    store.rows[name] = replace(row, columns={**row.columns, "data0": "{"})
    before = count_rows(scenario)["environmentjobs"]

    await delete_old_plans(scenario.services)

    assert name in store.rows
    assert ("remediations", "remediation", name[1]) in store.rows
    assert count_rows(scenario)["environmentjobs"] < before - 1


async def test_trigger_url_ids_of_older_plans_are_indexed_once() -> None:
    scenario = await build_idle_scenario()
    services = scenario.services
    job = await scenario.read_environment_job()
    items = {item.display_name: item for item in await services.tables.plan_items.read_all(job.id)}
    old = replace(items["Managed"], trigger_url_id="a" * 32)
    await services.tables.plan_items.upsert(old)

    await index_trigger_urls_of_plans(services)
    known = await read_known_url_ids(services, job.environment_id)
    assert known[old.workflow_id] == "a" * 32
    assert old.workflow_id not in await read_known_url_ids(
        services, job.environment_id, but_not=job.id
    )

    newer = KnownUrl(
        environment_id=job.environment_id,
        workflow_id=old.workflow_id,
        url_id="b" * 32,
        found_by="another",
    )
    await services.tables.known_urls.upsert(newer)
    await services.tables.timer_runs.clear()
    await index_trigger_urls_of_plans(services)

    assert (await read_known_url_ids(services, job.environment_id))[old.workflow_id] == "b" * 32


@pytest.mark.parametrize("past", [0, 40])
async def test_store_requests_of_a_plan_do_not_depend_on_old_plans(past: int) -> None:
    assert await count_plan_queries(past) == await count_plan_queries(1)


async def count_plan_queries(past: int) -> int:
    """Return how many store requests a plan takes, after this number of older plans."""
    scenario = await build_idle_scenario(plans_kept=400 * DAY)
    tables, job = scenario.services.tables, await scenario.read_environment_job()
    items = await tables.plan_items.read_all(job.id)
    for number in range(past):
        order = Remediation(
            mode=RemediationMode.APPLY,
            start_source=StartSource.DAILY_CHECK,
            idempotency_key=f"past-{number}",
            created_at=scenario.services.now - number * DAY,
            environment_ids=(job.environment_id,),
        )
        old = replace(job, id=f"old-{number}", remediation_id=order.id)
        await tables.remediations.upsert(order)
        await tables.environment_jobs.upsert(old)
        await tables.plan_items.upsert(*(replace(one, environment_job_id=old.id) for one in items))
    asked = Counter[str]()
    query, get = MemoryStore.query, MemoryStore.get

    def count_and_query(self: MemoryStore, table: str, *more: object, **named: object) -> object:
        asked[table] += 1
        return query(self, table, *more, **named)  # type: ignore[arg-type]

    async def count_and_get(self: MemoryStore, table: str, *more: object) -> object:
        asked[table] += 1
        return await get(self, table, *more)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MemoryStore, "query", count_and_query)
        patch.setattr(MemoryStore, "get", count_and_get)
        await scenario.order(RemediationMode.DRY_RUN, cause="next", run=timedelta(seconds=30))
    assert (await scenario.read_environment_job()).state is EnvironmentJobState.COMPLETED
    return asked.total()


async def test_indexed_ids_of_deleted_flows_are_deleted() -> None:
    scenario = await build_idle_scenario(plans_kept=10 * DAY)
    tables, environment = scenario.services.tables, scenario.build.environment.id
    stays = next(f for f in scenario.build.environment.flows.values() if f.name == "Managed")
    plans = await tables.environment_jobs.read_all()
    for number, workflow_id in enumerate([stays.workflow_id, "deleted", "deleted later"]):
        found_by = plans[0].id if number < 2 else "a plan that is removed"
        known = KnownUrl(
            environment_id=environment,
            workflow_id=workflow_id,
            url_id=f"{number:032}",
            found_by=found_by,
        )
        await tables.known_urls.upsert(known)
    jobs = await scenario.read_jobs()
    assert len(await tables.expected_caller_updates.read_all()) > 0

    await run_days(scenario, 12)

    assert [one.workflow_id for one in await tables.known_urls.read_all()] == [stays.workflow_id]
    assert await tables.expected_caller_updates.read_all() == []
    assert {job.id for job in (await scenario.read_jobs()).values()} == {
        job.id for job in jobs.values()
    }


async def test_expected_caller_update_of_a_job_in_progress_is_kept() -> None:
    scenario = Scenario(mode=ApprovalPolicy.AUTOMATIC)
    scenario.build.add_flow("Orders", define.build_http_trigger(), {})
    scenario.build.apply_key()
    await scenario.opt_in()
    await scenario.order(run=timedelta(hours=1))

    await run_daily_check(scenario.services, "day")

    [expected_caller_updates] = await scenario.services.tables.expected_caller_updates.read_all()
    assert expected_caller_updates.job_id == (await scenario.read_job("Orders")).id
