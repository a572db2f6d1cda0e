"""Test that a new remediation continues with the existing copies after all state is lost."""

from datetime import timedelta

import pytest

from shared.domain.environment import ApprovalPolicy
from shared.domain.flow import FlowState
from shared.domain.ids import derive_copy_id
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.plans.plan_item import PlannedAction
from shared.domain.plans.remediation import RemediationMode
from tests.fakes.tenant import FakeFlow
from tests.functional.scenarios.remediation_scenario import Scenario

#: From the first write of a copy to the retirement of the last original.
MINUTES = (0, 1, 2, 3, 5, 10, 30, 60, 12 * 60, 30 * 60, 5 * 24 * 60, 20 * 24 * 60)


async def build_started_scenario(minutes: int) -> tuple[Scenario, dict[str, FakeFlow]]:
    """Start to migrate a called and a self-starting flow, and let this time pass."""
    scenario = Scenario(mode=ApprovalPolicy.AUTOMATIC)
    originals = {
        "called": scenario.build.add_http_flow("Orders"),
        "self-starting": scenario.build.add_keyword_flow("Keyword"),
    }
    scenario.build.add_app_setting_caller(originals["called"])
    scenario.build.apply_key()
    await scenario.opt_in()
    await scenario.order(run=timedelta(0))
    await scenario.run(timedelta(minutes=minutes))
    return scenario, originals


async def lose_state(scenario: Scenario) -> None:
    """Delete all rows, archived files and messages, and permit changes again."""
    scenario.fakes.store.rows.clear()
    scenario.fakes.archive.contents.clear()
    scenario.fakes.messages.lose_waiting_messages()
    scenario.renew()
    await scenario.opt_in()


def find_copy(scenario: Scenario, original: FakeFlow) -> FakeFlow:
    policy = scenario.build.environment.policy
    assert policy
    identity = derive_copy_id(original.environment_id, original.workflow_id, policy.policy_id)
    return next(flow for flow in scenario.world.list_flows() if flow.workflow_id == identity)


@pytest.mark.parametrize("minutes", MINUTES)
async def test_each_flow_has_one_copy_which_replaces_it(minutes: int) -> None:
    scenario, originals = await build_started_scenario(minutes)
    await lose_state(scenario)

    await scenario.order(cause="after the loss")
    await scenario.run(timedelta(days=60))

    assert len(list(scenario.world.list_flows())) == 2 * len(originals)
    for original in originals.values():
        assert original.state is FlowState.OFF
        assert find_copy(scenario, original).state is FlowState.ON
    (site,) = scenario.world.sites.values()
    copy = find_copy(scenario, originals["called"])
    assert all(copy.trigger_url_id in value for value in site.settings.values())


async def test_original_whose_copy_is_on_is_not_planned() -> None:
    """A plan for a retired original would turn its copy off."""
    scenario, originals = await build_started_scenario(MINUTES[-1])
    await lose_state(scenario)

    await scenario.order(cause="after the loss")

    assert await scenario.plan() == {}
    assert (await scenario.read_environment_job()).findings == (
        "2 retired originals are not listed: their copies have replaced them.",
    )
    assert {find_copy(scenario, one).state for one in originals.values()} == {FlowState.ON}


async def test_flow_that_is_off_like_its_copy_needs_changes() -> None:
    """The app cannot know whether a cutover was interrupted."""
    scenario, originals = await build_started_scenario(MINUTES[-1])
    copy = find_copy(scenario, originals["self-starting"])
    copy.state = FlowState.OFF
    await lose_state(scenario)

    await scenario.order(cause="after the loss")

    item = (await scenario.plan())[originals["self-starting"].name]
    assert item.action is PlannedAction.NEEDS_CHANGES
    assert item.message == "The flow and its copy are off, and the copy's job is lost."
    assert "turn it on" in item.fix


async def test_flow_that_is_off_like_its_copy_is_migrated_if_it_is_named() -> None:
    """Naming the flow confirms that it was off before."""
    scenario, originals = await build_started_scenario(MINUTES[-1])
    original = originals["self-starting"]
    find_copy(scenario, original).state = FlowState.OFF
    await lose_state(scenario)

    await scenario.order(RemediationMode.APPLY, original.workflow_id, cause="after the loss")
    await scenario.run(timedelta(days=60))

    (job,) = (await scenario.read_jobs()).values()
    assert job.original.id == original.workflow_id
    assert job.state is FlowJobState.RETIRED
    assert find_copy(scenario, original).state is FlowState.OFF
    assert len(list(scenario.world.list_flows())) == 2 * len(originals)
