from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.jobs.grants import Grants
from shared.domain.plans.remediation import RemediationMode
from shared.domain.sharing import TEAMS, USERS, DataversePrincipal, list_rights
from tests.fakes import definition_builder as define
from tests.fakes.crash import Moment, Plan
from tests.fakes.driver import Driver
from tests.fakes.sharing import build_user_row
from tests.functional.copying.sharing_scenario import (
    build_team_scenario,
    find_copy,
    find_solution,
)
from tests.functional.scenarios.remediation_scenario import Scenario


async def test_copy_keeps_owner_description_shares_and_solution() -> None:
    scenario, original = build_team_scenario()
    before = dict(original.shares)

    await scenario.run_remediation()

    job = await scenario.read_job("Orders")
    copy = find_copy(scenario, job)
    assert job.state is FlowJobState.RETIRED, (job.message, job.history)
    assert copy.name == "Orders"
    assert (copy.owner_id, copy.description) == (original.owner_id, "What the shop sends")
    assert copy.shares == before == original.shares
    assert len(job.copy.shared_with) == 2
    held = {original.workflow_id, copy.workflow_id}
    assert find_solution(scenario, "OrdersSolution").flows == held
    assert job.notes == ()


@pytest.mark.parametrize("moment", Moment)
async def test_copy_is_shared_once_after_a_kill_at_any_request(moment: Moment) -> None:
    """A kill after a request equals a kill before the next, so every other request suffices."""
    at, struck = -1, True
    while struck:
        at += 2
        scenario, original = build_team_scenario()
        plan = Plan(at=at, moment=moment)
        scenario.settings = scenario.settings.model_copy(
            update={"no_call_period": timedelta(hours=1)}
        )
        await scenario.start_remediation()
        await scenario.approve(run=timedelta(0))
        scenario.driver = Driver(fakes=scenario.fakes, make=scenario.make, plan=plan)
        await scenario.run(timedelta(days=2))

        job = await scenario.read_job("Orders")
        copy = find_copy(scenario, job)
        assert job.state is FlowJobState.RETIRED, (at, job.message, job.history)
        assert copy.shares == original.shares, at
        assert copy.workflow_id in find_solution(scenario, "OrdersSolution").flows, at
        assert sum(flow.made_by_app for flow in scenario.world.list_flows()) == 1
        struck = plan.has_struck


@pytest.mark.parametrize(("is_shared", "most"), [(False, 15), (True, 27)])
async def test_sharing_a_copy_needs_few_requests(*, is_shared: bool, most: int) -> None:
    if is_shared:
        scenario, _ = build_team_scenario()
    else:
        scenario = Scenario()
        scenario.build.add_http_flow("Orders")
        scenario.world.traffic.beat(scenario.world)
        scenario.build.apply_key()
    plan = Plan(trace=[])
    scenario.driver = Driver(fakes=scenario.fakes, make=scenario.make, plan=plan)

    await scenario.run_remediation()

    ports = ("FakeFlowSharing.", "FakePrincipals.", "FakeSolutions.")
    calls = [name for name in plan.trace or () if name.startswith(ports)]
    assert (await scenario.read_job("Orders")).state is FlowJobState.RETIRED
    assert len(calls) == most, Counter(calls)


async def test_existing_shares_are_not_written_again() -> None:
    scenario, _ = build_team_scenario()
    scenario.world.assumptions.shares_let_people_ask = False

    await scenario.run_remediation()

    writes = Counter(write.what for write in scenario.world.writes)
    assert writes["share workflow"] == 2 + 1  # the third is the one try of a grant
    assert writes["add to solution"] == 1


async def test_app_and_granted_service_account_get_no_share_of_the_copy() -> None:
    scenario, original = build_team_scenario()
    scenario.build.share(original, scenario.world.application)
    await scenario.start_remediation()
    job = await scenario.approve_and_run_until("Orders", FlowJobState.COPYING)
    # A delivery that read the URL died before it could step back.
    kept = await scenario.services.tables.flow_jobs.get(job.environment_id, job.id)
    assert kept is not None
    await scenario.services.tables.flow_jobs.replace(
        kept, replace(kept.item, grants=Grants(active=(job.original.flow_name,)))
    )
    original.co_owners[scenario.world.operator.entra_id] = "CanEdit"

    await scenario.run(timedelta(days=60))

    copy = find_copy(scenario, await scenario.read_job("Orders"))
    assert len(copy.shares) == 2
    own = {build_user_row(scenario.world.application), build_user_row(scenario.world.operator)}
    assert not own & copy.shares.keys()
    assert copy.co_owners == {}


async def test_service_account_that_a_person_made_co_owner_keeps_its_share() -> None:
    scenario, original = build_team_scenario()
    scenario.build.share(original, scenario.world.operator)

    await scenario.run_remediation()

    copy = find_copy(scenario, await scenario.read_job("Orders"))
    assert build_user_row(scenario.world.operator) in copy.shares


async def test_changed_rights_of_a_co_owner_are_replaced_on_the_copy() -> None:
    scenario, original = build_team_scenario()
    reader = scenario.world.add_user("Reader")
    scenario.build.share(original, reader, "CanView")
    await scenario.start_remediation()
    await scenario.approve_and_run_until("Orders", FlowJobState.CHECKING_FOR_CALLS)
    scenario.build.share(original, reader, "CanEdit")

    await scenario.run(timedelta(days=60))

    copy = find_copy(scenario, await scenario.read_job("Orders"))
    assert copy.shares[build_user_row(reader)] == list_rights("CanEdit")


async def test_co_owner_added_in_the_no_call_period_is_added_to_the_copy() -> None:
    scenario, original = build_team_scenario()
    await scenario.start_remediation()
    await scenario.approve_and_run_until("Orders", FlowJobState.CHECKING_FOR_CALLS)
    late = scenario.world.add_user("Late")
    left = next(who for who in original.shares if who.table == USERS)
    del original.shares[left]
    scenario.build.share(original, late)
    scenario.build.add_solution("Late", original)

    await scenario.run(timedelta(days=60))

    job = await scenario.read_job("Orders")
    copy = find_copy(scenario, job)
    assert job.state is FlowJobState.RETIRED
    assert build_user_row(late) in copy.shares
    assert left in copy.shares
    assert [note for note in job.notes if left.id in note and "is no longer shared with" in note]
    assert copy.workflow_id in find_solution(scenario, "Late").flows


@pytest.mark.parametrize("in_solution", [True, False])
async def test_new_owner_of_the_original_gets_a_share_of_the_copy(*, in_solution: bool) -> None:
    scenario = Scenario()
    original = scenario.build.add_flow(
        "Orders", define.build_http_trigger(), {}, in_solution=in_solution
    )
    scenario.build.apply_key()
    await scenario.start_remediation()
    await scenario.approve_and_run_until("Orders", FlowJobState.CHECKING_FOR_CALLS)
    heir = scenario.world.add_user("Heir")
    original.owner_id = heir.user_id

    await scenario.run(timedelta(days=60))

    job = await scenario.read_job("Orders")
    assert job.state is FlowJobState.RETIRED, (job.message, job.history)
    assert find_copy(scenario, job).owner_id == scenario.build.owner.user_id
    assert find_copy(scenario, job).shares == {build_user_row(heir): list_rights("Owner")}
    assert [note for note in job.notes if heir.user_id in note and "Primary owner" in note]


async def test_co_owners_of_a_flow_outside_solutions_are_found_in_dataverse() -> None:
    scenario = Scenario()
    flow = scenario.build.add_power_apps_v1_flow("App flow")
    flow.description = "For the app"
    person, group = scenario.world.add_user("Person"), scenario.world.add_team("Group")
    stranger = scenario.world.create_guid()
    flow.co_owners |= {person.entra_id: "CanEdit", str(group.entra_id): "CanView"}
    flow.co_owners[stranger] = "CanEdit"
    scenario.build.apply_key()

    await scenario.run_remediation()

    job = await scenario.read_job("App flow")
    copy = find_copy(scenario, job)
    assert job.state is FlowJobState.RETIRED, (job.message, job.history)
    assert copy.description == "For the app"
    assert copy.shares == {
        build_user_row(person): list_rights("CanEdit"),
        DataversePrincipal(table=TEAMS, id=group.team_id): list_rights("CanView"),
    }
    [note] = [note for note in job.notes if stranger in note]
    assert "add it to the environment" in note


async def test_copy_of_a_flow_without_a_row_keeps_its_shares() -> None:
    scenario = Scenario()
    scenario.world.assumptions.my_flows_have_rows = False
    flow = scenario.build.add_power_apps_v1_flow("App flow")
    flow.description = "For the app"
    person = scenario.world.add_user("Person")
    flow.co_owners[person.entra_id] = "CanEdit"
    scenario.build.apply_key()

    await scenario.run_remediation()

    copy = find_copy(scenario, await scenario.read_job("App flow"))
    assert (copy.owner_id, copy.description) == (flow.owner_id, "For the app")
    assert copy.shares == {build_user_row(person): list_rights("CanEdit")}


async def test_copy_is_not_added_to_built_in_and_managed_solutions() -> None:
    scenario, original = build_team_scenario()
    for name in ("Default", "Active", "Basic"):
        scenario.build.add_solution(name, original)
    scenario.build.add_solution("Bought", original, is_managed=True)

    await scenario.run_remediation()

    job = await scenario.read_job("Orders")
    assert job.state is FlowJobState.RETIRED
    joined = [
        one.unique_name
        for one in scenario.build.environment.solutions.values()
        if job.copy.id in one.flows
    ]
    assert joined == ["OrdersSolution"]


async def test_plan_names_co_owners_and_solutions() -> None:
    scenario, _ = build_team_scenario()
    scenario.build.add_power_apps_v1_flow("App flow")
    before = len(scenario.world.writes)

    await scenario.order(RemediationMode.DRY_RUN)

    plan = await scenario.plan()
    assert "share the copy with 2 co-owners of Orders" in plan["Orders"].planned_changes
    assert "add the copy to the solution OrdersSolution title" in plan["Orders"].planned_changes
    assert "share the copy as App flow is shared" in plan["App flow"].planned_changes
    assert len(scenario.world.writes) == before


async def test_rollback_keeps_shares_and_solution_of_the_original() -> None:
    scenario, original = build_team_scenario()
    before = dict(original.shares)
    await scenario.run_remediation()

    await scenario.roll_back()

    job = await scenario.read_job("Orders")
    assert job.state is FlowJobState.ROLLED_BACK, (job.message, job.history)
    assert original.shares == before == find_copy(scenario, job).shares
    assert original.workflow_id in find_solution(scenario, "OrdersSolution").flows
