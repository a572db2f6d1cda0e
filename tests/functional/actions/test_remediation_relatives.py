from datetime import timedelta

from shared.domain.environment import ApprovalPolicy
from shared.domain.jobs.flow_states import FlowJobState
from tests.fakes import definition_builder as define
from tests.fakes.builder import Builder
from tests.fakes.crash import Plan
from tests.fakes.tenant import FakeRun
from tests.functional.scenarios.remediation_scenario import Scenario


async def test_parent_is_blocked_if_its_child_is_blocked() -> None:
    scenario = Scenario()
    somebody = scenario.world.add_user("Somebody")
    scenario.build.add_connection("mail", "shared_office365", owner=somebody)
    child = scenario.build.add_flow(
        "Child",
        define.build_http_trigger(),
        {"Answer": define.build_response_action()},
        owner=somebody,
        connections={"mail": "shared_office365"},
    )
    scenario.build.environment.connections["mail"].owner_id = scenario.build.owner.user_id
    scenario.build.add_parent("Parent", child, trigger=define.build_http_trigger())
    scenario.build.apply_key()
    await scenario.start_remediation()

    await scenario.approve(run=timedelta(hours=1))

    jobs = await scenario.read_jobs()
    assert jobs["Child"].state is FlowJobState.BLOCKED, jobs["Child"].history
    assert jobs["Parent"].state is FlowJobState.BLOCKED, jobs["Parent"].history
    assert jobs["Parent"].reason_code == "child_flow_not_ready"
    assert "Child" in jobs["Parent"].fix


async def test_parent_with_same_child_id_in_another_environment_is_not_changed() -> None:
    """An imported flow keeps its id, so the parent runs the import in its own environment."""
    scenario = Scenario()
    child = scenario.build.add_http_flow("Child", {"Answer": define.build_response_action()})
    neighbour = Builder(scenario.world, name="Test")
    call = define.build_child_flow_action(child.workflow_id)
    fake = neighbour.add_flow(
        "Parent", define.build_request_trigger("Button"), {"Run": call}, is_on=False
    )
    before = fake.client_data
    await scenario.set_approval_policy(ApprovalPolicy.AUTOMATIC, neighbour.environment.id)
    scenario.build.apply_key()

    await scenario.start_remediation()
    planned = (await scenario.plan())["Child"]
    await scenario.approve()

    assert (await scenario.read_jobs())["Child"].state is FlowJobState.RETIRED
    assert planned.callers == ()
    assert fake.client_data == before


async def test_child_stays_on_until_earlier_runs_of_its_parent_end() -> None:
    scenario = Scenario()
    child = scenario.build.add_http_flow("Child")
    nightly = scenario.build.add_parent("Nightly", child)
    scenario.build.apply_key()
    await scenario.start_remediation()
    await scenario.approve_and_run_until("Nightly", FlowJobState.CUTTING_OVER)
    assert (await scenario.read_job("Child")).observation.started_at is not None
    scenario.world.clock.advance(timedelta(minutes=1))
    now, long = scenario.world.clock.now(), timedelta(days=20)
    assert nightly.is_on
    nightly.runs.append(FakeRun(run_id="long", started=now, ends=now + long))
    newer = [now + timedelta(minutes=5, seconds=one) for one in range(300)]
    nightly.runs += [FakeRun(run_id=f"{at}", started=at, ends=at) for at in newer]
    plan = scenario.driver.plan = Plan(trace=[])

    await scenario.run(long - timedelta(hours=1))
    was_on, reason = child.is_on, (await scenario.read_job("Child")).message
    await scenario.run(timedelta(days=1))

    assert was_on
    assert plan.trace is not None
    assert 1 < plan.trace.count("FakeFlowReports.read_runs_in_progress") < 20 * 24 + 40
    assert "that started before its change" in reason
    assert (await scenario.read_job("Child")).state is FlowJobState.RETIRED
