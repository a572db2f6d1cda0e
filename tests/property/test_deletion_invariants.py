import asyncio
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.jobs.deletion_states import DeletionState
from shared.domain.jobs.flow_job import MigrationMethod
from shared.domain.jobs.flow_states import FlowJobState
from shared.services import Services
from shared.use_cases import change_remediation
from shared.use_cases.delete_originals import delete_originals
from shared.use_cases.schedule_deletions import DeletionInput, schedule_deletions
from shared.use_cases.send_due_and_overdue_messages import send_due_and_overdue_messages
from tests.fakes.crash import Moment, Plan
from tests.fakes.definitions import parse_facts
from tests.fakes.pause import Pause
from tests.fakes.world import World
from tests.functional.scenarios.remediation_scenario import Scenario
from tests.property.examples import count_examples
from tests.property.interrupted import run_until_struck
from tests.property.test_paused_invocations import moments, sleeps
from tests.property.test_remediation_invariants import (
    approve_plan,
    build_ingredients_scenario,
    check_invariants,
    plans,
    repeat_until_done,
    settle,
    tenants,
)

DAY = timedelta(days=1)


async def run_timers(services: Services) -> None:
    """Run the two timers of the app that a deletion needs."""
    await send_due_and_overdue_messages(services)
    await delete_originals(services)


def find_wrong_delete(world: World) -> list[str]:
    """Return what is wrong with the last write, if it is a delete."""
    write = world.writes[-1]
    if not write.what.startswith("delete "):
        return []
    flows = [flow for one in world.environments.values() for flow in one.flows.values()]
    (gone,) = [flow for flow in flows if write.target in {flow.workflow_id, flow.flow_name}]
    parents = [
        flow.name
        for flow in flows
        if gone.workflow_id in parse_facts(flow.client_data).children and not flow.is_deleted
    ]
    wrong = [f"{gone.name} went before {name}" for name in parents]
    return wrong + ([f"the copy {gone.name} was deleted"] if gone.made_by_app else [])


async def schedule_deletion_under(scenario: Scenario, plan: Plan) -> str:
    """Retire all flows, and schedule the deletion of the originals. Return the remediation's id.
    The plan may interrupt the deletion, but not the remediation.
    """
    await scenario.opt_in()
    await repeat_until_done(scenario.order)
    await approve_plan(scenario)
    await settle(scenario)
    scenario.world.watchers.append(find_wrong_delete)
    scenario.driver.timer, scenario.driver.plan = run_timers, plan
    scenario.renew()
    date = scenario.world.clock.now() + 3 * DAY
    approval, identity = DeletionInput(delete_at=date, approved_by="tests"), scenario.remediation.id
    await repeat_until_done(
        lambda: scenario.driver.call(lambda s: schedule_deletions(s, identity, approval))
    )
    return identity


@settings(max_examples=count_examples(20))
@given(
    ingredients=tenants,
    seed=st.integers(0, 10_000),
    plan=plans,
    undo=st.none() | st.integers(-48, 24 * 30),
)
def test_kill_or_rollback_at_any_moment_deletes_no_needed_original(
    ingredients: list[str], seed: int, plan: Plan, undo: int | None
) -> None:
    """`undo` is the number of hours from the date of the deletion to the rollback. None: no
    rollback.
    """

    async def play() -> None:
        scenario = build_ingredients_scenario(ingredients, seed, Plan(), 0.2)
        identity = await schedule_deletion_under(scenario, plan)
        if undo is not None:
            await scenario.run(3 * DAY + timedelta(hours=undo))
            await repeat_until_done(
                lambda: scenario.driver.call(lambda s: change_remediation.roll_back(s, identity)),
            )
        await settle(scenario)
        check_invariants(scenario)
        await check_end(scenario, is_undone=undo is not None)

    asyncio.run(play())


@settings(max_examples=count_examples(30))
@given(
    ingredients=tenants,
    seed=st.integers(0, 10_000),
    at=st.integers(1, 250),
    moment=moments,
    sleep=sleeps,
    undo=st.none() | st.integers(0, 9),
)
def test_paused_delete_deletes_no_needed_original(
    ingredients: list[str],
    seed: int,
    at: int,
    moment: Moment,
    sleep: timedelta,
    undo: int | None,
) -> None:
    """`undo` is the number of minutes from the pause to the rollback. None: no rollback."""

    async def play() -> None:
        scenario = build_ingredients_scenario(ingredients, seed, Plan(), 0.0)
        pause = Pause(at=at, moment=moment, sleeps=sleep, clock=scenario.world.clock)
        identity = await schedule_deletion_under(scenario, pause)
        if undo is not None:
            if not pause.has_struck:
                await run_until_struck(scenario, timedelta(days=6))
            await scenario.run(timedelta(minutes=undo))
            await change_remediation.roll_back(scenario.services, identity)
        await settle(scenario)
        check_invariants(scenario)
        await check_end(scenario, is_undone=undo is not None)

    asyncio.run(play())


async def check_end(scenario: Scenario, *, is_undone: bool) -> None:
    targets = [write.target for write in scenario.world.writes if write.what.startswith("delete ")]
    assert len(targets) == len(set(targets))
    environment = scenario.build.environment
    for row in await scenario.services.tables.deletions.read_all(environment.id):
        flow, job = environment.flows[row.original_id], await scenario.read_job(row.display_name)
        assert flow.is_deleted is (row.state is DeletionState.DELETED), row
        if not is_undone:
            assert (row.state, job.state) == (DeletionState.DELETED, FlowJobState.RETIRED), row
        if job.state is FlowJobState.RETIRED:
            copy = scenario.world.get_workflow(environment.id, job.copy.id)
            assert copy.is_on is (job.migration_method is not MigrationMethod.COPY_OFF), job
        elif job.state is not FlowJobState.ROLLED_BACK:
            # Only a person can restore it, or what it calls, or what calls it.
            assert job.reason_code in {
                "original_already_deleted",
                "child_flow_not_ready",
                "parent_flow_not_ready",
            }, (job.state, job.reason_code, job.message)
