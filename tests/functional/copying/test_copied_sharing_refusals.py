"""What keeps a copy from being shared as its original is: who is told, what goes on."""

from datetime import timedelta

import pytest

from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.sharing import rights_of
from shared.reason import Reason
from shared.use_cases import set_kill_switch
from shared.use_cases.change_environment import ignore_issue
from tests.fakes import definition_builder as define
from tests.fakes.sharing import user_row
from tests.functional.copying.sharing_story import copy_of, solution_named, story_of_a_team
from tests.functional.scenarios.remediation_scenario import Story, kill_after


async def test_a_note_goes_when_what_it_names_is_settled() -> None:
    """Whoever is added to the environment in the quiet days gets the copy when its time comes."""
    story = Story()
    flow = story.build.power_apps_v1_flow("App flow")
    late = story.world.add_user("Late")
    flow.co_owners[late.entra_id] = "CanEdit"
    del story.world.users[late.user_id]
    story.build.link()
    await story.opt_in()
    await story.order()
    await story.approve(run=timedelta(0))
    job = await story.until("App flow", FlowJobState.CHECKING_FOR_CALLS)
    assert [note for note in job.notes if late.entra_id in note]
    story.world.users[late.user_id] = late

    await story.run(timedelta(days=60))

    job = await story.job("App flow")
    assert job.state is FlowJobState.RETIRED
    assert copy_of(story, job).shares == {user_row(late): rights_of("CanEdit")}
    assert not [note for note in job.notes if late.entra_id in note]


async def test_an_original_stays_on_while_its_copy_cannot_be_shared() -> None:
    """Whoever joined in the quiet days must not lose the flow with its original."""
    story, original = story_of_a_team()
    await story.opt_in()
    await story.order()
    await story.approve(run=timedelta(0))
    await story.until("Orders", FlowJobState.CHECKING_FOR_CALLS)
    story.build.share(original, story.world.add_user("Late"))
    story.world.may_share = False

    await story.run(timedelta(days=60))
    blocked = await story.job("Orders")
    was_on = original.is_on
    story.world.may_share = True
    await story.retry()

    assert (blocked.state, blocked.code, was_on) == (FlowJobState.BLOCKED, "sharing_rejected", True)
    job = await story.job("Orders")
    assert job.state is FlowJobState.RETIRED
    assert len(copy_of(story, job).shares) == 3


async def test_nothing_is_shared_while_writes_are_stopped() -> None:
    """The kill switch is read before each share and each membership."""
    story, _ = story_of_a_team()
    await story.opt_in()
    await story.order()
    await story.approve(run=timedelta(0))
    await story.until("Orders", FlowJobState.COPYING)
    plan = kill_after(story, "WorkflowsTwin.create")
    await story.run(timedelta(0))
    assert plan.has_struck
    await set_kill_switch.set_kill_switch(story.services, is_on=True, by="tests", reason="look")

    await story.run(timedelta(hours=1))

    job = await story.job("Orders")
    assert job.state is FlowJobState.WAITING
    assert copy_of(story, job).shares == {}
    assert job.copy_id not in solution_named(story, "OrdersSolution").flows


async def test_a_co_owner_who_is_disabled_is_named_and_stops_nothing() -> None:
    """Leavers stay on flows for years."""
    story, original = story_of_a_team()
    leaver = story.world.add_user("Leaver")
    story.build.share(original, leaver)
    leaver.is_disabled = True
    await story.opt_in()

    await story.order()
    await story.approve()

    job = await story.job("Orders")
    assert job.state is FlowJobState.RETIRED
    assert user_row(leaver) not in copy_of(story, job).shares
    assert [note for note in job.notes if leaver.user_id in note and "disabled" in note]


async def test_a_refusal_to_share_says_what_to_do_and_a_retry_goes_on() -> None:
    """The copy stays off and nothing moves to it meanwhile."""
    story, original = story_of_a_team()
    story.world.may_share = False
    await story.opt_in()
    await story.order()
    await story.approve()
    blocked = await story.job("Orders")
    assert (blocked.state, blocked.code) == (FlowJobState.BLOCKED, "sharing_rejected")
    assert "System Administrator" in blocked.instruction
    assert not copy_of(story, blocked).is_on

    story.world.may_share = True
    await story.retry()

    job = await story.job("Orders")
    assert job.state is FlowJobState.RETIRED
    assert copy_of(story, job).shares == original.shares


async def test_a_solution_that_refuses_the_copy_blocks_with_its_name() -> None:
    """A person adds the copy by hand; a retry finds it there and goes on."""
    story, _ = story_of_a_team()
    story.world.may_change_solutions = False
    await story.opt_in()
    await story.order()
    await story.approve()
    blocked = await story.job("Orders")
    assert (blocked.state, blocked.code) == (FlowJobState.BLOCKED, "solution_rejected")
    assert "OrdersSolution title" in blocked.instruction

    solution_named(story, "OrdersSolution").flows.add(blocked.copy_id)
    await story.retry()

    assert (await story.job("Orders")).state is FlowJobState.RETIRED


@pytest.mark.parametrize(
    ("wrong", "says", "remedy"),
    [
        ("disabled", "Contoso maker, is disabled", "Primary owner"),
        ("gone", "is no user of this environment", "Add that person"),
        ("delegate", "for its owner, Contoso maker", "prvActOnBehalfOfAnotherUser"),
    ],
)
async def test_an_owner_that_cannot_be_acted_for_blocks_with_who_and_what_to_do(
    wrong: str, says: str, remedy: str
) -> None:
    """Nothing is created; once a person has settled it, a retry makes the owner's copy."""
    story, original = story_of_a_team()
    owner = story.build.owner
    if wrong == "disabled":
        owner.is_disabled = True
    elif wrong == "gone":
        del story.world.users[owner.user_id]
    else:
        story.world.may_act_on_behalf = False
    await story.opt_in()
    await story.order()
    await story.approve()
    blocked = await story.job("Orders")
    assert (blocked.state, blocked.code) == (FlowJobState.BLOCKED, "owner_unavailable")
    assert says in blocked.reason
    assert remedy in blocked.instruction
    assert not [flow for flow in story.world.flows() if flow.made_by_app]

    story.world.may_act_on_behalf, owner.is_disabled = True, False
    story.world.users[owner.user_id] = owner
    await story.retry()

    assert copy_of(story, await story.job("Orders")).owner_id == original.owner_id


async def story_killed_before_activation(*, is_disabled: bool) -> Story:
    """Return a story whose copy is made and off when its owner goes: disabled, or deleted."""
    story = Story()
    story.build.flow(
        "Orders",
        define.http_trigger(),
        {"Send": define.connector_action("shared_office365", "SendEmailV2")},
        connections={"mail-1": "shared_office365"},
    )
    story.build.link()
    await story.opt_in()
    await story.order()
    await story.approve(run=timedelta(0))
    await story.until("Orders", FlowJobState.COPYING)
    plan = kill_after(story, "WorkflowsTwin.create")
    await story.run(timedelta(0))
    assert plan.has_struck
    owner = story.build.owner
    owner.is_disabled = is_disabled
    if not is_disabled:
        del story.world.users[owner.user_id]
    return story


@pytest.mark.parametrize(("is_disabled", "says"), [(True, "is disabled"), (False, "is no user")])
async def test_an_owner_who_leaves_before_the_copy_is_on_is_named(
    *, is_disabled: bool, says: str
) -> None:
    """Neither may use the connection then: who has to do what is said; a retry goes on."""
    story = await story_killed_before_activation(is_disabled=is_disabled)
    await story.run(timedelta(days=60))
    blocked = await story.job("Orders")
    assert (blocked.state, blocked.code) == (FlowJobState.BLOCKED, "owner_unavailable")
    assert "The owner of the copy of Orders" in blocked.reason
    assert says in blocked.reason
    assert "Primary owner" in blocked.instruction
    assert not copy_of(story, blocked).is_on

    if is_disabled:
        story.build.share_connections()
    else:
        story.world.users[story.build.owner.user_id] = story.build.owner
    await story.retry()
    if is_disabled:  # the original runs on; that the app could start it again nobody knows
        assert (await story.job("Orders")).code == Reason.START_WOULD_FAIL
        name = f"owner:{story.build.owner.user_id}"
        await ignore_issue(
            story.services, story.build.environment.id, name, "connections are shared"
        )
        await story.run(timedelta(days=60))

    job = await story.job("Orders")
    assert job.state is FlowJobState.RETIRED, (job.reason, job.history)


async def test_a_rollback_turns_the_copy_off_whose_owner_has_left() -> None:
    """It needs no connection: the app does it itself."""
    story, original = story_of_a_team()
    await story.opt_in()
    await story.order()
    await story.approve()
    story.build.owner.is_disabled = True

    await story.roll_back()

    job = await story.job("Orders")
    assert job.state is FlowJobState.ROLLED_BACK, (job.reason, job.history)
    assert not copy_of(story, job).is_on
    assert original.is_on


async def test_run_only_users_are_left_to_a_person_in_plan_and_job() -> None:
    """No interface reads that list: whoever approves is told, and whoever looks at the job."""
    story = Story()
    story.build.power_apps_v1_flow("App flow")
    story.build.http_flow("Orders")
    story.build.link()
    await story.opt_in()

    await story.order()
    plan = await story.plan()
    await story.approve()

    assert "run-only users" in " ".join(plan["App flow"].notes)
    assert plan["Orders"].notes == ()
    assert "run-only users" in " ".join((await story.job("App flow")).notes)
    assert (await story.job("Orders")).notes == ()
