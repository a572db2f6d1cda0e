from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.jobs.deletion_states import DeletionState
from shared.domain.jobs.environment_states import EnvironmentJobState
from shared.domain.jobs.flow_job import FlowJob, JobCommand
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.plans.plan_item import PlannedAction
from shared.domain.plans.remediation import Remediation, RemediationMode, StartSource
from shared.errors import Conflict
from shared.jobs.job_kinds import FLOW
from shared.jobs.leased_job import LeasedJob
from shared.reason import Reason
from shared.steps.planning.start_flow_jobs import start_flow_jobs
from shared.use_cases.approve_plan import ApprovalInput, approve_plans
from shared.use_cases.change_remediation import cancel, roll_back
from shared.use_cases.delete_originals import delete_originals
from shared.use_cases.run_flow_job import run_flow_job_step
from shared.use_cases.schedule_deletions import cancel_deletions
from shared.use_cases.show_remediation import show_plan
from tests.fakes.services import build_fake_services
from tests.functional.deleting.deletion_scenario import (
    DAY,
    MINUTE,
    build_retired_scenario,
    read_deletions,
    request_deletions,
)
from tests.functional.scenarios.disturbance import Disturbed
from tests.functional.scenarios.remediation_scenario import Scenario
from tests.functional.scenarios.two_environments import build_two_plans

HOUR = timedelta(hours=1)
NOW = timedelta(0)


async def plan_remediation(
    scenario: Scenario, mode: RemediationMode = RemediationMode.APPLY
) -> None:
    scenario.build.share_connections()
    await scenario.opt_in()
    await scenario.order(mode)


async def build_scenario_with_copy() -> Scenario:
    scenario = Scenario()
    scenario.build.add_http_flow("Orders")
    scenario.build.apply_key()
    await plan_remediation(scenario)
    await scenario.approve(run=NOW)
    await scenario.run_until("Orders", FlowJobState.COPIED)
    return scenario


async def lease_job(scenario: Scenario) -> LeasedJob[FlowJob]:
    table = scenario.services.tables.flow_jobs
    kept = await table.get(*table.get_address(await scenario.read_job("Orders")))
    assert kept is not None
    return await FLOW.claim(scenario.services, kept)


async def test_cancel_applies_to_environment_job_that_does_not_exist_yet() -> None:
    scenario = Scenario()
    scenario.build.add_http_flow("Orders")
    scenario.build.apply_key()
    await scenario.opt_in()
    row = await store_remediation_without_jobs(scenario)

    await cancel(scenario.services, row.id)
    await scenario.run(HOUR)

    (job,) = await scenario.services.tables.environment_jobs.read_all(row.id)
    assert job.state is EnvironmentJobState.CANCELLED


async def store_remediation_without_jobs(scenario: Scenario) -> Remediation:
    row = Remediation(
        mode=RemediationMode.APPLY,
        start_source=StartSource.DAILY_CHECK,
        idempotency_key="a day",
        created_at=scenario.world.clock.now(),
        environment_ids=(scenario.build.environment.id,),
    )
    await scenario.services.tables.remediations.insert(row)
    return row


async def test_job_of_another_remediation_stays_with_it() -> None:
    scenario = await build_scenario_with_copy()
    await scenario.order(cause="order-2")
    before = await scenario.read_job("Orders")
    [item] = (await scenario.plan()).values()
    as_before = replace(item, action=PlannedAction.COPY)
    await scenario.services.tables.plan_items.upsert(as_before)

    jobs = await start_flow_jobs(scenario.services, await scenario.read_environment_job())

    assert jobs == []
    assert await scenario.read_job("Orders") == before


async def test_rollback_requested_during_a_step_keeps_its_consent_to_backlog_replay() -> None:
    scenario = await build_scenario_with_copy()
    held = await lease_job(scenario)

    await roll_back(scenario.services, scenario.remediation.id, replay=True)
    await held.end(held.job)

    job = await scenario.read_job("Orders")
    assert (job.requested_command, job.accepts_replay) == (JobCommand.ROLL_BACK, True)


async def test_rollback_request_survives_renewed_lease_and_save_of_older_row() -> None:
    scenario = await build_scenario_with_copy()
    held = await lease_job(scenario)
    read = held.job

    await roll_back(scenario.services, scenario.remediation.id, replay=True)
    await held.renew()
    await held.save(replace(read, original=replace(read.original, signature_hash="read")))

    job = await scenario.read_job("Orders")
    assert (job.requested_command, job.accepts_replay) == (JobCommand.ROLL_BACK, True)
    assert job.original.signature_hash == "read"


async def test_approved_plan_waits_while_no_policy_is_applied() -> None:
    scenario = Scenario()
    scenario.build.add_http_flow("Orders")
    scenario.build.apply_key()
    await plan_remediation(scenario)
    await scenario.approve(run=NOW)
    scenario.build.unlink()
    await scenario.run(HOUR)
    held = await scenario.read_environment_job()
    items = await scenario.plan()

    scenario.build.apply_key()
    await scenario.run(60 * DAY)

    assert held.state is EnvironmentJobState.APPROVED
    assert "policy" in held.message
    assert items["Orders"].action is PlannedAction.COPY
    assert (await scenario.read_job("Orders")).state is FlowJobState.RETIRED


async def test_approved_prepare_is_blocked_after_a_key_is_applied() -> None:
    scenario = Scenario()
    scenario.build.add_power_apps_v1_flow("Asked by an app")
    await plan_remediation(scenario, RemediationMode.PREPARE)
    await scenario.approve(run=NOW)
    scenario.build.apply_key()

    await scenario.run(HOUR)

    job = await scenario.read_environment_job()
    assert job.state is EnvironmentJobState.BLOCKED
    assert "linked" in job.message
    assert job.fix
    assert await scenario.read_jobs() == {}


async def test_repeated_approval_is_counted_once() -> None:
    """A client that got no response may repeat its approval."""
    scenario = await build_two_plans()
    plans = await show_plan(scenario.services, scenario.remediation.id)
    versions = tuple(plan.version for plan in plans)
    one = ApprovalInput(versions=versions[:1], approved_by="tests")
    both = replace(one, versions=versions)
    await approve_plans(scenario.services, scenario.remediation.id, one)

    first = await approve_plans(scenario.services, scenario.remediation.id, both)
    second = await approve_plans(scenario.services, scenario.remediation.id, both)

    assert {job.approved_version for job in first} == set(versions)
    assert {job.approved_version for job in second} == set(versions)
    assert {job.approval_count for job in second} == {1}


async def test_cancel_of_deletions_skips_the_deletion_in_progress_and_cancels_the_others() -> None:
    def build(scenario: Scenario) -> None:
        for title in ("Invoices", "Orders", "Returns"):
            scenario.build.add_http_flow(title)

    scenario = await build_retired_scenario(build)
    await request_deletions(scenario)
    rows = await read_deletions(scenario)
    ids = sorted(row.job_id for row in rows.values())
    table = scenario.services.tables.deletions
    late = await table.get(scenario.build.environment.id, ids[0])
    assert late is not None
    await table.replace(late, replace(late.item, state=DeletionState.DELETING))

    with pytest.raises(Conflict, match=late.item.display_name):
        await cancel_deletions(scenario.services, scenario.remediation.id, (), by="keeper")

    states = [row.state for row in (await read_deletions(scenario)).values()]
    assert sorted(states) == [
        DeletionState.CANCELLED,
        DeletionState.CANCELLED,
        DeletionState.DELETING,
    ]


async def test_internal_error_in_one_deletion_does_not_block_the_others() -> None:
    def build(scenario: Scenario) -> None:
        scenario.build.add_http_flow("Invoices")
        scenario.build.add_http_flow("Orders")

    scenario = await build_retired_scenario(build)
    await request_deletions(scenario)
    ids = sorted(row.job_id for row in (await read_deletions(scenario)).values())
    await scenario.run(DAY + MINUTE)
    services = scenario.services
    get = services.tables.flow_jobs.get

    async def fail_for_first_job(partition: str, key: str) -> object:
        if key == ids[0]:
            raise ZeroDivisionError
        return await get(partition, key)

    services.tables.flow_jobs.get = fail_for_first_job  # type: ignore[assignment, method-assign]
    for _ in range(12):
        await delete_originals(services)
        scenario.world.clock.advance(5 * MINUTE)

    told = scenario.fakes.notices.told
    assert [(one.reason_code, one.row[2]) for one in told] == [
        (Reason.ROW_SKIPPED, ids[0]),
        (Reason.INTERNAL_ERROR, ids[0]),
    ]
    assert all("ZeroDivisionError" in one.message for one in told)
    states = {row.job_id: row.state for row in (await read_deletions(scenario)).values()}
    assert states == {ids[0]: DeletionState.BLOCKED, ids[1]: DeletionState.DELETED}


async def test_invocation_reads_row_again_if_a_rollback_was_requested_before_its_lease() -> None:
    scenario = await build_scenario_with_copy()
    job = await scenario.read_job("Orders")

    async def request_rollback() -> None:
        await roll_back(scenario.services, scenario.remediation.id)

    services = build_fake_services(
        replace(
            scenario.fakes.ports,
            store=Disturbed(scenario.fakes.store, "write", request_rollback, after=False),
        ),
        settings=scenario.settings,
    )
    await run_flow_job_step(services, job.environment_id, job.id)

    assert (await scenario.read_job("Orders")).is_rolling_back


async def test_job_that_is_planned_again_gets_a_new_message_number() -> None:
    """The queue drops a message with an id that it knows."""
    scenario = await build_scenario_with_copy()
    await scenario.roll_back()
    before = await scenario.read_job("Orders")
    await scenario.order(RemediationMode.APPLY, before.original.id, cause="order-2")

    await start_flow_jobs(scenario.services, await scenario.read_environment_job())

    after = await scenario.read_job("Orders")
    assert (after.state, after.remediation_id) == (FlowJobState.PLANNED, scenario.remediation.id)
    assert after.message_number > before.message_number
