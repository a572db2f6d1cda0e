import json
from collections.abc import Callable
from datetime import timedelta

from shared.domain.jobs.flow_states import FLOW_STATES, ExpectedFlowState, FlowJobState
from tests.fakes.tenant import FakeFlow
from tests.functional.scenarios.remediation_scenario import Scenario


def is_as_expected(standing: ExpectedFlowState, flow: FakeFlow | None, *, was_on: bool) -> bool:
    """Return whether a flow, or None for a missing one, is as the table of states expects."""
    is_on = flow is not None and flow.is_on
    match standing:
        case ExpectedFlowState.NONE:
            return flow is None
        case ExpectedFlowState.OFF:
            return not is_on
        case ExpectedFlowState.UNCHANGED:
            return is_on == was_on
        case ExpectedFlowState.UNDETERMINED:
            return True


def compare_states(
    scenario: Scenario, flows: dict[str, FakeFlow], seen: set[str], wrong: list[str]
) -> None:
    """Compare the flows of each unleased job with the table, and add states to `seen` and
    differences to `wrong`.
    """
    environment = scenario.world.get_environment(scenario.build.environment.id)
    for row in scenario.fakes.store.rows.values():
        if row.table != "flowjobs":
            continue
        job = json.loads(str(row.columns["data0"]))
        if job["leased_until"]:
            continue
        reached = FlowJobState(job["resume_state"] or job["state"])
        facts, title = FLOW_STATES[reached], job["display_name"]
        seen.add(reached)
        original, copy = flows[title], environment.flows.get(job["copy_id"])
        was_on = title != "Off"
        if not is_as_expected(facts.original, original, was_on=was_on):
            wrong.append(f"{title} is {reached}, and its original is on: {original.is_on}")
        if not is_as_expected(facts.copy, copy, was_on=was_on):
            wrong.append(f"{title} is {reached}, and its copy is on: {copy and copy.is_on}")


async def test_each_state_matches_the_flows() -> None:
    scenario = Scenario()
    scenario.settings = scenario.settings.model_copy(update={"invocation_time_limit": timedelta(0)})
    makes: dict[str, Callable[[str], FakeFlow]] = {
        "Called": scenario.build.add_http_flow,
        "Keyword": scenario.build.add_keyword_flow,
        "Off": scenario.build.add_off_flow,
    }
    flows = {title: make(title) for title, make in makes.items()}
    scenario.build.add_app_setting_caller(flows["Called"])
    scenario.build.apply_key()
    scenario.build.share_connections()
    await scenario.opt_in()
    seen: set[str] = set()
    wrong: list[str] = []
    scenario.driver.meanwhile = lambda: compare_states(scenario, flows, seen, wrong)

    await scenario.order()
    await scenario.approve()
    ends = {job.state for job in (await scenario.read_jobs()).values()}
    await scenario.roll_back(replay=True)

    assert wrong == []
    assert ends == {FlowJobState.RETIRED}
    assert {job.state for job in (await scenario.read_jobs()).values()} == {
        FlowJobState.ROLLED_BACK
    }
    without_copy = {FlowJobState.PREPARING, FlowJobState.PREPARED}
    working = {state for state in FlowJobState if not FLOW_STATES[state].resumes_later}
    assert seen == working - without_copy - {FlowJobState.CANCELLED}
