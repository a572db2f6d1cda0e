"""What is done before a key is applied: adding to a solution, converting, undoing it."""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta

import pytest

from shared.domain.conversions.conversion import Edit
from shared.domain.environment import Mode
from shared.domain.jobs.job import JobState, Pattern
from shared.domain.plans.plan_item import PlannedAction
from shared.domain.plans.remediation import EnvironmentJobState, RemediationMode
from shared.errors import Blocked, Unavailable
from shared.steps.copying.write_definition import stands
from shared.use_cases import decide_plan
from tests.functional.disturbance import disturb
from tests.functional.remediation_story import Story, edit
from tests.twins import definition_builder as define
from tests.twins.crash import Killed, Moment, Plan
from tests.twins.definitions import facts_of
from tests.twins.invariants import signatures_in_store, writes_outside
from tests.twins.snapshot import differences, take_snapshot
from tests.twins.tenant import TwinFlow

PREPARE = RemediationMode.PREPARE
HOUR = timedelta(hours=1)


async def listed(story: Story) -> set[str]:
    """Return the titles of the flows that would stay on Microsoft's key."""
    flows = await story.services.flow_reports.microsoft_key_flows(
        story.build.environment.id, cannot_migrate_only=True
    )
    return {flow.display_name for flow in flows}


def asked(story: Story) -> list[str]:
    """Return the flows of each call that moves flows into a solution."""
    return [write.target for write in story.world.writes if write.what == "add to solution"]


def input_flow(story: Story, name: str = "App") -> TwinFlow:
    """Add a Power Apps (V1) flow outside a solution that reads an input."""
    schema = {
        "type": "object",
        "properties": {"Name_Value": {"type": "string"}},
        "required": ["Name_Value"],
    }
    trigger = define.request_trigger("PowerApp", schema=schema)
    action = define.http_action("https://erp.contoso.example/x")
    action["inputs"]["body"] = "@triggerBody()?['Name_Value']"
    return story.build.flow(name, trigger, {"Post": action}, in_solution=False)


async def test_every_category_gets_what_can_be_done_before_the_key() -> None:
    """Power Apps (V1) goes into a solution; HTTP waits for the key; List flows waits for a name."""
    story = Story()
    story.build.power_apps_v1_flow("App")
    story.build.http_flow("Orders")
    story.build.keyword_flow("Keyword")
    story.build.admin_list_flow("Admin")
    await story.opt_in()

    await story.order(PREPARE)

    plan = await story.plan()
    assert {name: item.action for name, item in plan.items()} == {
        "App": PlannedAction.ADD_TO_SOLUTION,
        "Orders": PlannedAction.LEAVE,
        "Keyword": PlannedAction.LEAVE,
        "Admin": PlannedAction.BLOCKED,
    }
    assert "after the key is applied" in plan["Orders"].explanation
    assert f"--flow {plan['Admin'].workflow_id}" in plan["Admin"].instruction
    assert "cannot undo" in plan["App"].writes[0]
    assert "ListFlowsInEnvironment_V2" in plan["Admin"].proposal
    assert "PowerAppV2" in plan["App"].proposal


async def test_an_approved_flow_is_added_to_a_solution_and_moves_by_itself() -> None:
    """Nothing else of it changes, and it is gone from the list of those that stay."""
    story = Story()
    app = story.build.power_apps_v1_flow("App")
    before = take_snapshot(story.world)
    await story.opt_in()
    await story.order(PREPARE)

    await story.approve(run=HOUR)

    job = await story.job("App")
    assert job.state is JobState.PREPARED, job.history
    assert app.in_solution
    assert differences(before, story.world) == []
    assert await listed(story) == set()
    assert (await story.environment_job()).state is EnvironmentJobState.FINISHED


async def test_forty_five_flows_take_three_calls() -> None:
    """The platform takes twenty flows a call."""
    story = Story()
    flows = [story.build.power_apps_v1_flow(f"App {number}") for number in range(45)]
    await story.opt_in()
    await story.order(PREPARE)

    await story.approve(run=HOUR)

    assert all(flow.in_solution for flow in flows)
    assert [len(names.split(",")) for names in asked(story)] == [20, 20, 5]
    jobs = await story.jobs()
    assert {job.state for job in jobs.values()} == {JobState.PREPARED}


async def test_a_trigger_is_converted_where_its_flow_is_named() -> None:
    """The flow goes into a solution first: Dataverse is the supported way to write it."""
    story = Story()
    app = input_flow(story)
    story.build.power_apps_v1_flow("Other")
    await story.opt_in()
    await story.order(PREPARE, app.workflow_id)
    plan = await story.plan()

    await story.approve(run=HOUR)

    assert plan.keys() == {"App"}
    assert plan["App"].action is PlannedAction.CONVERT_TRIGGER
    assert "add it again" in plan["App"].instruction
    assert len(plan["App"].writes) == 2
    job = await story.job("App")
    assert (job.state, job.pattern) == (JobState.PREPARED, Pattern.EDIT), job.history
    assert job.edits == (Edit.POWER_APPS_TRIGGER,)
    assert facts_of(app.client_data).trigger_kind == "PowerAppV2"
    assert "triggerBody()?['text']" in app.client_data
    assert app.is_on
    assert await listed(story) == {"Other"}


async def test_an_action_is_converted_where_its_flow_is_named() -> None:
    """A flow in a solution needs no other write than the one of its definition."""
    story = Story()
    admin = story.build.admin_list_flow("Admin")
    await story.opt_in()
    await story.order(PREPARE, admin.flow_name)
    plan = await story.plan()

    await story.approve(run=HOUR)

    assert plan["Admin"].action is PlannedAction.EDIT_ACTION
    assert (await story.job("Admin")).state is JobState.PREPARED
    assert "ListFlowsInEnvironment_V2" in admin.client_data
    assert [write.what for write in story.world.writes] == ["update workflow"]
    assert await listed(story) == set()


async def test_what_cannot_be_converted_surely_is_blocked_with_the_expression() -> None:
    """The plan says which expression stands in the way; nothing is written."""
    story = Story()
    reads = {"type": "Compose", "inputs": "@body('List')?['value'][0]?['properties/creator']"}
    actions = {
        "List": define.connector_action("shared_flowmanagement", "ListFlowsInEnvironment"),
        "Read": reads,
    }
    admin = story.build.flow(
        "Admin",
        define.recurrence_trigger(),
        actions,
        connections={"shared-flowmanagement-1": "shared_flowmanagement"},
    )
    await story.opt_in()

    await story.order(PREPARE, admin.workflow_id)

    item = (await story.plan())["Admin"]
    assert item.action is PlannedAction.BLOCKED
    assert "properties/creator" in item.explanation
    assert "properties/creator" in item.proposal
    assert story.world.writes == []


async def test_list_flows_is_edited_under_a_key_too_where_it_is_named() -> None:
    """The document asks for it before or after; the flow then moves."""
    story = Story()
    admin = story.build.admin_list_flow("Admin")
    story.build.link()
    await story.opt_in()
    await story.order()
    unnamed = (await story.plan())["Admin"]

    await story.order(RemediationMode.APPLY, admin.workflow_id, cause="named")
    named = (await story.plan())["Admin"]
    await story.approve(run=HOUR)

    assert unnamed.action is PlannedAction.BLOCKED
    assert named.action is PlannedAction.EDIT_ACTION
    assert (await story.job("Admin")).state is JobState.PREPARED
    assert await listed(story) == set()


async def test_a_linked_environment_is_not_prepared() -> None:
    """Copying is the way there, and the instruction says so."""
    story = Story()
    story.build.power_apps_v1_flow("App")
    story.build.link()
    await story.opt_in()

    await story.order(PREPARE)

    job = await story.environment_job()
    assert job.state is EnvironmentJobState.BLOCKED
    assert "mode apply" in job.instruction


async def test_an_environment_that_was_not_opted_in_is_not_prepared() -> None:
    """Mode assess means read only, whatever is asked for."""
    story = Story(mode=Mode.ASSESS)
    story.build.power_apps_v1_flow("App")
    await story.opt_in()

    with pytest.raises(Blocked) as refused:
        await story.order(PREPARE)

    assert refused.value.code == "mode"
    assert story.world.writes == []


async def test_a_key_that_is_applied_meanwhile_stops_what_has_not_begun() -> None:
    """From then on the flow has to be copied."""
    story = Story()
    story.build.power_apps_v1_flow("App")
    await story.opt_in()
    await story.order(PREPARE)
    story.build.link()

    await story.approve(run=HOUR)

    assert asked(story) == []


async def test_an_edit_after_the_plan_blocks_until_it_is_accepted() -> None:
    """A retry converts the definition as it is then."""
    story = Story()
    admin = story.build.admin_list_flow("Admin")
    await story.opt_in()
    await story.order(PREPARE, admin.workflow_id)
    await story.approve(run=timedelta(0))
    await story.until("Admin", JobState.PREPARING)
    edit(admin)

    await story.run(HOUR)
    blocked = await story.job("Admin")
    await story.retry(run=HOUR)

    assert (blocked.state, blocked.code) == (JobState.BLOCKED, "changed")
    assert (await story.job("Admin")).state is JobState.PREPARED
    assert "Extra" in admin.client_data
    assert "ListFlowsInEnvironment_V2" in admin.client_data


async def test_a_rollback_writes_the_definition_back() -> None:
    """Byte for byte; that it stays in the solution is said."""
    story = Story()
    app = input_flow(story)
    before = take_snapshot(story.world)
    await story.opt_in()
    await story.order(PREPARE, app.workflow_id)
    await story.approve(run=HOUR)

    await story.roll_back(run=HOUR)

    job = await story.job("App")
    assert job.state is JobState.ROLLED_BACK, job.history
    assert "stays in the solution" in job.history[-1].text
    assert differences(before, story.world) == []


async def test_older_shapes_are_converted_where_the_platform_refuses_them() -> None:
    """As for a copy; a rollback writes the old definition in the shape that is taken."""
    story = Story()
    older = define.connector_action("shared_flowmanagement", "ListFlowsInEnvironment")
    older["inputs"]["authentication"] = "@parameters('$authentication')"
    admin = story.build.flow(
        "Admin",
        define.recurrence_trigger(),
        {"List": older},
        connections={"shared-flowmanagement-1": "shared_flowmanagement"},
    )
    before = admin.client_data
    story.world.assumptions.older_host_shapes_refused = True
    await story.opt_in()
    await story.order(PREPARE, admin.workflow_id)

    await story.approve(run=HOUR)

    job = await story.job("Admin")
    assert job.state is JobState.PREPARED, (job.reason, job.history)
    assert "ListFlowsInEnvironment_V2" in admin.client_data
    assert "$authentication')" not in admin.client_data

    await story.roll_back(run=HOUR)

    assert (await story.job("Admin")).state is JobState.ROLLED_BACK
    assert stands(admin.client_data, before)


async def test_a_rollback_of_adding_to_a_solution_says_that_it_stays() -> None:
    """There is nothing else to undo."""
    story = Story()
    app = story.build.power_apps_v1_flow("App")
    await story.opt_in()
    await story.order(PREPARE)
    await story.approve(run=HOUR)

    await story.roll_back(run=HOUR)

    assert "stays in the solution" in (await story.job("App")).history[-1].text
    assert app.in_solution


async def test_an_edit_after_the_conversion_is_a_conflict_for_a_person() -> None:
    """Writing the old definition back would undo the edit."""
    story = Story()
    admin = story.build.admin_list_flow("Admin")
    await story.opt_in()
    await story.order(PREPARE, admin.workflow_id)
    await story.approve(run=HOUR)
    extra = '"Extra":{"type":"Compose","inputs":1},"Lineage":{'
    admin.client_data = admin.client_data.replace('"Lineage":{', extra, 1)

    await story.roll_back(run=HOUR)

    job = await story.job("Admin")
    assert (job.state, job.code) == (JobState.BLOCKED, "edited")
    assert job.archive in job.instruction
    assert "Extra" in admin.client_data


async def test_cancelling_leaves_what_is_done_as_it_is() -> None:
    """Cancelling is for what was not done."""
    story = Story()
    admin = story.build.admin_list_flow("Admin")
    await story.opt_in()
    await story.order(PREPARE, admin.workflow_id)
    await story.approve(run=HOUR)

    await story.driver.call(lambda s: decide_plan.cancel(s, story.remediation.id))
    await story.run(HOUR)

    assert (await story.job("Admin")).state is JobState.PREPARED


async def test_a_prepared_flow_that_stays_all_the_same_is_planned_anew() -> None:
    """Somebody has put V1 back since."""
    story = Story()
    admin = story.build.admin_list_flow("Admin")
    before = admin.client_data
    await story.opt_in()
    await story.order(PREPARE, admin.workflow_id)
    await story.approve(run=HOUR)
    admin.client_data = before

    await story.order(PREPARE, admin.workflow_id, cause="again")
    item = (await story.plan())["Admin"]
    await story.approve(run=HOUR)

    assert item.action is PlannedAction.EDIT_ACTION
    assert (await story.job("Admin")).state is JobState.PREPARED
    assert "ListFlowsInEnvironment_V2" in admin.client_data


async def test_a_platform_that_takes_its_time_is_waited_for() -> None:
    """Accepted is not done: each flow is read back, and nobody asks twice meanwhile."""
    story = Story()
    flows = [story.build.power_apps_v1_flow(name) for name in ("A", "B")]
    await story.opt_in()
    await story.order(PREPARE)
    await story.approve(run=timedelta(0))

    async def forget() -> None:
        for flow in flows:
            flow.in_solution = False

    disturb(story, "flow_placement", "add_to_solution", forget, after=True)
    await story.run(timedelta(minutes=20))
    states = {job.state for job in (await story.jobs()).values()}
    flows[0].in_solution = flows[1].in_solution = True
    await story.run(timedelta(minutes=20))

    assert states == {JobState.WAITING}
    assert len(asked(story)) == 1
    assert {job.state for job in (await story.jobs()).values()} == {JobState.PREPARED}


async def test_a_flow_that_never_arrives_in_a_solution_is_blocked() -> None:
    """After an hour a person is told how to add it by hand; a retry asks again."""
    story = Story()
    app = story.build.power_apps_v1_flow("App")
    await story.opt_in()
    await story.order(PREPARE)
    await story.approve(run=timedelta(0))

    async def forget() -> None:
        app.in_solution = False

    disturb(story, "flow_placement", "add_to_solution", forget, after=True)
    await story.run(2 * HOUR)
    blocked = await story.job("App")
    await story.retry(run=HOUR)

    assert (blocked.state, blocked.code) == (JobState.BLOCKED, "not_in_solution")
    assert (await story.job("App")).state is JobState.PREPARED
    assert len(asked(story)) == 2


async def test_parents_wait_for_the_flows_that_they_run() -> None:
    """A parent stays only as long as its child does: nothing is done with it."""
    story = Story()
    child = story.build.power_apps_v1_flow("Child")
    story.build.parent("Parent", child)
    await story.opt_in()
    await story.order(PREPARE)
    plan = await story.plan()

    await story.approve(run=HOUR)

    assert plan["Parent"].action is PlannedAction.LEAVE
    assert await listed(story) == set()


async def test_a_flow_with_both_gets_both_edits_or_none() -> None:
    """In a solution it would still stay for its action: unnamed, it is left to be named."""
    story = Story()
    app = story.build.flow(
        "Both",
        define.request_trigger("PowerApp"),
        {"List": define.connector_action("shared_flowmanagement", "ListFlowsInEnvironment")},
        in_solution=False,
        connections={"shared-flowmanagement-1": "shared_flowmanagement"},
    )
    await story.opt_in()
    await story.order(PREPARE)
    unnamed = (await story.plan())["Both"]

    await story.order(PREPARE, app.workflow_id, cause="named")
    await story.approve(run=HOUR)

    assert unnamed.action is PlannedAction.BLOCKED
    assert (await story.job("Both")).state is JobState.PREPARED
    assert await listed(story) == set()


async def test_managed_and_excluded_flows_are_left_and_the_limit_holds() -> None:
    """As for copies."""
    story = Story()
    managed = story.build.admin_list_flow("Managed")
    managed.is_managed = True
    excluded = story.build.power_apps_v1_flow("Excluded")
    for number in range(3):
        story.build.power_apps_v1_flow(f"App {number}")
    await story.opt_in(excluded_flows=frozenset({excluded.workflow_id}), limit=2)

    await story.order(PREPARE)

    actions = {name: item.action for name, item in (await story.plan()).items()}
    assert actions["Managed"] is PlannedAction.BLOCKED
    assert actions["Excluded"] is PlannedAction.LEAVE
    assert list(actions.values()).count(PlannedAction.ADD_TO_SOLUTION) == 2


async def test_messages_that_come_twice_and_in_any_order_change_nothing() -> None:
    """No batch is asked for twice, and every definition is written once."""
    story = Story(mode=Mode.AUTO)
    named = [input_flow(story, f"App {number}") for number in range(30)]
    await story.opt_in()
    story.driver.unsettled = 0.4

    await story.order(PREPARE, *(flow.workflow_id for flow in named))
    await story.run(2 * HOUR)

    jobs = await story.jobs()
    assert {job.state for job in jobs.values()} == {JobState.PREPARED}
    assert len(asked(story)) == 2
    assert Counter(write.what for write in story.world.writes)["update workflow"] == 30


@pytest.mark.parametrize("failure", [Killed, lambda: Unavailable("busy")])
@pytest.mark.parametrize("moment", Moment)
@pytest.mark.parametrize("undo", [False, True])
async def test_a_process_may_die_at_any_call(
    failure: Callable[[], BaseException], moment: Moment, undo: bool
) -> None:
    """Whichever call it dies at, the flow is converted once, or is as it was after an undo."""
    whole = await _played(Plan(), undo=undo)
    assert whole.driver.plan.calls > 30

    for at in range(1, whole.driver.plan.calls + 1):
        story = await _played(Plan(at=at, moment=moment, failure=failure), undo=undo)

        jobs = await story.jobs()
        expected = JobState.ROLLED_BACK if undo else JobState.PREPARED
        assert {job.state for job in jobs.values()} == {expected}, (at, jobs)
        kinds = {facts_of(flow.client_data).trigger_kind for flow in story.world.flows()}
        assert kinds == {"PowerApp" if undo else "PowerAppV2"}, at
        edits = [write for write in story.world.writes if write.what == "update workflow"]
        assert len(edits) == (4 if undo else 2), at
        assert signatures_in_store(story.world, story.twins.store) == []
        assert writes_outside(story.world, {story.build.environment.id}) == []


async def _played(plan: Plan, *, undo: bool) -> Story:
    """Convert two flows under a plan that kills; with `undo` that is rolled back under it."""
    story = Story()
    flows = [input_flow(story, name) for name in ("A", "B")]
    await story.opt_in()
    await story.order(PREPARE, *(flow.workflow_id for flow in flows))
    if undo:
        await story.approve(run=HOUR)
        story.driver.plan = plan
        story.renew()
        await decide_plan.roll_back(story.services, story.remediation.id)
    else:
        await story.approve(run=timedelta(0))
        story.driver.plan = plan
        story.renew()
    await story.run(2 * HOUR)
    return story
