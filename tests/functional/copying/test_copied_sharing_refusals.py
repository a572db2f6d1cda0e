from datetime import timedelta

import pytest

from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.sharing import list_rights
from shared.reason import Reason
from shared.use_cases import set_kill_switch
from shared.use_cases.change_environment import ignore_issue
from tests.fakes import definition_builder as define
from tests.fakes.sharing import build_user_row
from tests.functional.copying.sharing_scenario import (
    build_team_scenario,
    find_copy,
    find_solution,
)
from tests.functional.scenarios.remediation_scenario import Scenario, kill_after


async def test_note_is_removed_when_its_cause_is_fixed() -> None:
    scenario = Scenario()
    flow = scenario.build.add_power_apps_v1_flow("App flow")
    late = scenario.world.add_user("Late")
    flow.co_owners[late.entra_id] = "CanEdit"
    del scenario.world.users[late.user_id]
    scenario.build.apply_key()
    await scenario.start_remediation()
    job = await scenario.approve_and_run_until("App flow", FlowJobState.CHECKING_FOR_CALLS)
    assert [note for note in job.notes if late.entra_id in note]
    scenario.world.users[late.user_id] = late

    await scenario.run(timedelta(days=60))

    job = await scenario.read_job("App flow")
    assert job.state is FlowJobState.RETIRED
    assert find_copy(scenario, job).shares == {build_user_row(late): list_rights("CanEdit")}
    assert not [note for note in job.notes if late.entra_id in note]


async def test_original_stays_on_while_its_copy_cannot_be_shared() -> None:
    scenario, original = build_team_scenario()
    await scenario.start_remediation()
    await scenario.approve_and_run_until("Orders", FlowJobState.CHECKING_FOR_CALLS)
    scenario.build.share(original, scenario.world.add_user("Late"))
    scenario.world.may_share = False

    await scenario.run(timedelta(days=60))
    blocked = await scenario.read_job("Orders")
    was_on = original.is_on
    scenario.world.may_share = True
    await scenario.retry()

    assert (blocked.state, blocked.reason_code, was_on) == (
        FlowJobState.BLOCKED,
        "sharing_rejected",
        True,
    )
    job = await scenario.read_job("Orders")
    assert job.state is FlowJobState.RETIRED
    assert len(find_copy(scenario, job).shares) == 3


async def test_copy_is_not_shared_while_the_kill_switch_is_on() -> None:
    scenario, _ = build_team_scenario()
    await scenario.start_remediation()
    await scenario.approve_and_run_until("Orders", FlowJobState.COPYING)
    plan = kill_after(scenario, "FakeWorkflows.create")
    await scenario.run(timedelta(0))
    assert plan.has_struck
    await set_kill_switch.set_kill_switch(scenario.services, is_on=True, by="tests", reason="look")

    await scenario.run(timedelta(hours=1))

    job = await scenario.read_job("Orders")
    assert job.state is FlowJobState.WAITING
    assert find_copy(scenario, job).shares == {}
    assert job.copy.id not in find_solution(scenario, "OrdersSolution").flows


async def test_disabled_co_owner_is_noted_and_not_shared_with() -> None:
    scenario, original = build_team_scenario()
    leaver = scenario.world.add_user("Leaver")
    scenario.build.share(original, leaver)
    leaver.is_disabled = True

    await scenario.run_remediation()

    job = await scenario.read_job("Orders")
    assert job.state is FlowJobState.RETIRED
    assert build_user_row(leaver) not in find_copy(scenario, job).shares
    assert [note for note in job.notes if leaver.user_id in note and "disabled" in note]


async def test_rejected_share_blocks_the_job_until_a_retry() -> None:
    scenario, original = build_team_scenario()
    scenario.world.may_share = False
    await scenario.run_remediation()
    blocked = await scenario.read_job("Orders")
    assert (blocked.state, blocked.reason_code) == (FlowJobState.BLOCKED, "sharing_rejected")
    assert "System Administrator" in blocked.fix
    assert not find_copy(scenario, blocked).is_on

    scenario.world.may_share = True
    await scenario.retry()

    job = await scenario.read_job("Orders")
    assert job.state is FlowJobState.RETIRED
    assert find_copy(scenario, job).shares == original.shares


async def test_solution_that_rejects_the_copy_blocks_the_job() -> None:
    scenario, _ = build_team_scenario()
    scenario.world.may_change_solutions = False
    await scenario.run_remediation()
    blocked = await scenario.read_job("Orders")
    assert (blocked.state, blocked.reason_code) == (FlowJobState.BLOCKED, "solution_rejected")
    assert "OrdersSolution title" in blocked.fix

    find_solution(scenario, "OrdersSolution").flows.add(blocked.copy.id)
    await scenario.retry()

    assert (await scenario.read_job("Orders")).state is FlowJobState.RETIRED


@pytest.mark.parametrize(
    ("wrong", "says", "remedy"),
    [
        ("disabled", "Contoso maker, is disabled", "Primary owner"),
        ("gone", "is not a user of this environment", "Add that person"),
        ("delegate", "for its owner, Contoso maker", "prvActOnBehalfOfAnotherUser"),
    ],
)
async def test_unavailable_owner_blocks_the_job_with_a_fix(
    wrong: str, says: str, remedy: str
) -> None:
    scenario, original = build_team_scenario()
    owner = scenario.build.owner
    if wrong == "disabled":
        owner.is_disabled = True
    elif wrong == "gone":
        del scenario.world.users[owner.user_id]
    else:
        scenario.world.may_act_on_behalf = False
    await scenario.run_remediation()
    blocked = await scenario.read_job("Orders")
    assert (blocked.state, blocked.reason_code) == (FlowJobState.BLOCKED, "owner_unavailable")
    assert says in blocked.message
    assert remedy in blocked.fix
    assert not [flow for flow in scenario.world.list_flows() if flow.made_by_app]

    scenario.world.may_act_on_behalf, owner.is_disabled = True, False
    scenario.world.users[owner.user_id] = owner
    await scenario.retry()

    assert find_copy(scenario, await scenario.read_job("Orders")).owner_id == original.owner_id


async def kill_before_activation(*, is_disabled: bool) -> Scenario:
    """Return a scenario whose process died before it turned the copy on, and whose owner is
    unavailable.
    """
    scenario = Scenario()
    scenario.build.add_flow(
        "Orders",
        define.build_http_trigger(),
        {"Send": define.build_connector_action("shared_office365", "SendEmailV2")},
        connections={"mail-1": "shared_office365"},
    )
    scenario.build.apply_key()
    await scenario.start_remediation()
    await scenario.approve_and_run_until("Orders", FlowJobState.COPYING)
    plan = kill_after(scenario, "FakeWorkflows.create")
    await scenario.run(timedelta(0))
    assert plan.has_struck
    owner = scenario.build.owner
    owner.is_disabled = is_disabled
    if not is_disabled:
        del scenario.world.users[owner.user_id]
    return scenario


@pytest.mark.parametrize(("is_disabled", "says"), [(True, "is disabled"), (False, "is not a user")])
async def test_owner_who_leaves_before_the_copy_is_on_blocks_the_job(
    *, is_disabled: bool, says: str
) -> None:
    """Without its owner, nobody may use the connection of the copy."""
    scenario = await kill_before_activation(is_disabled=is_disabled)
    await scenario.run(timedelta(days=60))
    blocked = await scenario.read_job("Orders")
    assert (blocked.state, blocked.reason_code) == (FlowJobState.BLOCKED, "owner_unavailable")
    assert "The owner of the copy of Orders" in blocked.message
    assert says in blocked.message
    assert "Primary owner" in blocked.fix
    assert not find_copy(scenario, blocked).is_on

    if is_disabled:
        scenario.build.share_connections()
    else:
        scenario.world.users[scenario.build.owner.user_id] = scenario.build.owner
    await scenario.retry()
    if is_disabled:  # whether the original could be turned on again is unknown
        assert (await scenario.read_job("Orders")).reason_code == Reason.START_WOULD_FAIL
        name = f"owner:{scenario.build.owner.user_id}"
        await ignore_issue(
            scenario.services, scenario.build.environment.id, name, "connections are shared"
        )
        await scenario.run(timedelta(days=60))

    job = await scenario.read_job("Orders")
    assert job.state is FlowJobState.RETIRED, (job.message, job.history)


async def test_rollback_turns_off_the_copy_of_a_disabled_owner() -> None:
    """The app can turn a copy off without the connections of its disabled owner."""
    scenario, original = build_team_scenario()
    await scenario.run_remediation()
    scenario.build.owner.is_disabled = True

    await scenario.roll_back()

    job = await scenario.read_job("Orders")
    assert job.state is FlowJobState.ROLLED_BACK, (job.message, job.history)
    assert not find_copy(scenario, job).is_on
    assert original.is_on


async def test_plan_and_job_note_run_only_users() -> None:
    """No API lists run-only users."""
    scenario = Scenario()
    scenario.build.add_power_apps_v1_flow("App flow")
    scenario.build.add_http_flow("Orders")
    scenario.build.apply_key()

    await scenario.start_remediation()
    plan = await scenario.plan()
    await scenario.approve()

    assert "run-only users" in " ".join(plan["App flow"].notes)
    assert plan["Orders"].notes == ()
    assert "run-only users" in " ".join((await scenario.read_job("App flow")).notes)
    assert (await scenario.read_job("Orders")).notes == ()
