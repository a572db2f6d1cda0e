"""Whole remediations on twins: what becomes of each kind of flow, and of those who call it."""

from local_cloud.tenant.core.profiles import Profile
from shared.domain.jobs.environment_states import EnvironmentJobState
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.plans.plan_item import PlannedAction
from shared.domain.plans.remediation import RemediationMode
from tests.fakes import definition_builder as define
from tests.functional.scenarios.remediation_scenario import Story, on_both_platforms


@on_both_platforms
async def test_a_called_flow_gives_way_to_its_copy_without_a_lost_call(profile: Profile) -> None:
    """An HTTP flow with three callers ends retired, and each caller holds the copy's URL."""
    story = Story(profile=profile)
    orders = story.build.http_flow("Orders")
    site = story.build.app_setting_caller(orders)
    secret = story.build.secret_caller(orders)
    caller = story.build.flow_caller(orders)
    old_url = story.build.url_of(orders)
    story.build.link()
    await story.opt_in()

    await story.order()
    story.world.traffic.beat(story.world)
    await story.approve()
    story.world.traffic.beat(story.world)

    job = (await story.jobs())["Orders"]
    assert job.state is FlowJobState.RETIRED, (job.reason, job.history)
    assert not orders.is_on
    assert story.world.traffic.lost == []
    for text in (site.settings["FLOW_URL"], secret.value, caller.client_data):
        assert old_url not in text
    assert (await story.environment_job()).state is EnvironmentJobState.COMPLETED


@on_both_platforms
async def test_a_self_starting_flow_is_swapped(profile: Profile) -> None:
    """A keyword flow goes off before its copy comes on, and ends retired."""
    story = Story(profile=profile)
    keyword = story.build.keyword_flow("Keyword")
    story.build.link()
    story.build.share_connections()
    await story.opt_in()

    await story.order()
    assert (await story.plan())["Keyword"].action is PlannedAction.CUT_OVER
    await story.approve()

    job = (await story.jobs())["Keyword"]
    assert job.state is FlowJobState.RETIRED, (job.reason, job.history)
    assert not keyword.is_on
    assert story.world.workflow(keyword.environment_id, job.copy_id).is_on


@on_both_platforms
async def test_a_family_is_copied_bottom_up_and_retired_top_down(profile: Profile) -> None:
    """Child, parent and grandparent all end retired, in that order reversed."""
    story = Story(profile=profile)
    child, parent, grandparent = story.build.family("Billing")
    story.build.link()
    await story.opt_in()

    await story.order()
    await story.approve()

    jobs = await story.jobs()
    assert {name: job.state for name, job in jobs.items()} == dict.fromkeys(
        (child.name.removesuffix(" (retired, MMK)"), "Billing parent", "Billing grandparent"),
        FlowJobState.RETIRED,
    ), [(job.display_name, job.reason, job.history) for job in jobs.values()]
    offs = [s.workflow_id for s in story.world.switches if s.state == "off"]
    assert offs == [grandparent.workflow_id, parent.workflow_id, child.workflow_id]


async def test_a_dry_run_shows_every_write_and_makes_none() -> None:
    """The plan of a dry run names writes and callers; the tenant is untouched."""
    story = Story()
    orders = story.build.http_flow("Orders")
    story.build.app_setting_caller(orders)
    story.world.traffic.beat(story.world)
    story.build.link()
    before = len(story.world.writes)

    await story.order(RemediationMode.DRY_RUN)

    item = (await story.plan())["Orders"]
    assert item.action is PlannedAction.COPY
    assert any("orders-api" in write for write in item.writes), item
    assert len(story.world.writes) == before


@on_both_platforms
async def test_an_original_that_is_off_is_copied_and_stays_off(profile: Profile) -> None:
    """Neither the original nor the copy is turned on."""
    story = Story(profile=profile)
    off = story.build.off_flow("Old form")
    story.build.link()
    await story.opt_in()

    await story.order()
    await story.approve()

    job = (await story.jobs())["Old form"]
    assert job.state is FlowJobState.RETIRED, (job.reason, job.history)
    assert not off.is_on
    assert not story.world.workflow(off.environment_id, job.copy_id).is_on


async def test_an_environment_without_dataverse_is_told_in_the_plan() -> None:
    """Flows are copied by Dataverse: no job is begun that could not end."""
    story = Story()
    story.build.flow("Orders", define.http_trigger(), in_solution=False)
    story.build.link()
    await story.opt_in()
    story.world.environments[story.build.environment.id].dataverse_url = None

    await story.order()

    item = (await story.plan())["Orders"]
    assert item.action is PlannedAction.NEEDS_CHANGES
    assert "no Dataverse" in item.explanation
    assert "Add a Dataverse database" in item.instruction
    assert await story.jobs() == {}
