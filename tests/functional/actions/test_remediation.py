from local_cloud.tenant.core.profiles import Profile
from shared.domain.jobs.environment_states import EnvironmentJobState
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.plans.plan_item import PlannedAction
from shared.domain.plans.remediation import RemediationMode
from tests.fakes import definition_builder as define
from tests.functional.scenarios.remediation_scenario import Scenario, on_both_platforms


@on_both_platforms
async def test_called_flow_is_replaced_without_a_lost_call(profile: Profile) -> None:
    scenario = Scenario(profile=profile)
    orders = scenario.build.add_http_flow("Orders")
    site = scenario.build.add_app_setting_caller(orders)
    secret = scenario.build.add_secret_caller(orders)
    caller = scenario.build.add_flow_caller(orders)
    old_url = scenario.build.get_trigger_url(orders)
    scenario.build.apply_key()

    await scenario.start_remediation()
    scenario.world.traffic.beat(scenario.world)
    await scenario.approve()
    scenario.world.traffic.beat(scenario.world)

    job = (await scenario.read_jobs())["Orders"]
    assert job.state is FlowJobState.RETIRED, (job.message, job.history)
    assert not orders.is_on
    assert scenario.world.traffic.lost_calls == []
    for text in (site.settings["FLOW_URL"], secret.value, caller.client_data):
        assert old_url not in text
    assert (await scenario.read_environment_job()).state is EnvironmentJobState.COMPLETED


@on_both_platforms
async def test_self_starting_flow_is_cut_over(profile: Profile) -> None:
    scenario = Scenario(profile=profile)
    keyword = scenario.build.add_keyword_flow("Keyword")
    scenario.build.apply_key()
    scenario.build.share_connections()

    await scenario.start_remediation()
    assert (await scenario.plan())["Keyword"].action is PlannedAction.CUT_OVER
    await scenario.approve()

    job = (await scenario.read_jobs())["Keyword"]
    assert job.state is FlowJobState.RETIRED, (job.message, job.history)
    assert not keyword.is_on
    assert scenario.world.get_workflow(keyword.environment_id, job.copy.id).is_on


@on_both_platforms
async def test_parent_flows_are_turned_off_before_their_children(profile: Profile) -> None:
    scenario = Scenario(profile=profile)
    child, parent, grandparent = scenario.build.add_family("Billing")
    scenario.build.apply_key()

    await scenario.run_remediation()

    jobs = await scenario.read_jobs()
    assert {name: job.state for name, job in jobs.items()} == dict.fromkeys(
        (child.name.removesuffix(" (retired, MMK)"), "Billing parent", "Billing grandparent"),
        FlowJobState.RETIRED,
    ), [(job.display_name, job.message, job.history) for job in jobs.values()]
    offs = [s.workflow_id for s in scenario.world.switches if s.state == "off"]
    assert offs == [grandparent.workflow_id, parent.workflow_id, child.workflow_id]


async def test_dry_run_shows_planned_writes_and_makes_none() -> None:
    scenario = Scenario()
    orders = scenario.build.add_http_flow("Orders")
    scenario.build.add_app_setting_caller(orders)
    scenario.world.traffic.beat(scenario.world)
    scenario.build.apply_key()
    before = len(scenario.world.writes)

    await scenario.order(RemediationMode.DRY_RUN)

    item = (await scenario.plan())["Orders"]
    assert item.action is PlannedAction.COPY
    assert any("orders-api" in write for write in item.planned_changes), item
    assert len(scenario.world.writes) == before


@on_both_platforms
async def test_original_that_is_off_is_retired_and_its_copy_stays_off(profile: Profile) -> None:
    scenario = Scenario(profile=profile)
    off = scenario.build.add_off_flow("Old form")
    scenario.build.apply_key()

    await scenario.run_remediation()

    job = (await scenario.read_jobs())["Old form"]
    assert job.state is FlowJobState.RETIRED, (job.message, job.history)
    assert not off.is_on
    assert not scenario.world.get_workflow(off.environment_id, job.copy.id).is_on


async def test_plan_requires_dataverse_database_for_flow_without_solution() -> None:
    scenario = Scenario()
    scenario.build.add_flow("Orders", define.build_http_trigger(), in_solution=False)
    scenario.build.apply_key()
    await scenario.opt_in()
    scenario.world.environments[scenario.build.environment.id].dataverse_url = None

    await scenario.order()

    item = (await scenario.plan())["Orders"]
    assert item.action is PlannedAction.NEEDS_CHANGES
    assert "no Dataverse" in item.message
    assert "Add a Dataverse database" in item.fix
    assert await scenario.read_jobs() == {}
