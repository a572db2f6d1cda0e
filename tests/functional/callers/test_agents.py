"""Copilot Studio agents are not shown by any API, so a person has to confirm them."""

from datetime import timedelta

import pytest

from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.plans.plan_item import PlannedAction
from shared.errors import IssueNotFound
from shared.use_cases.change_environment import ignore_issue
from tests.fakes.definition_builder import child_flow_action, request_trigger
from tests.fakes.tenant import FakeFlow
from tests.functional.assessing.assessed_tenant import Assessed
from tests.functional.scenarios.remediation_scenario import Scenario, planned

#: Longer than a copy has to be quiet.
LONG = timedelta(days=9)


async def confirm_agents(scenario: Scenario, name: str) -> None:
    """Record a person's confirmation with this name, and let time pass."""
    await ignore_issue(scenario.services, scenario.build.environment.id, name, "the makers")
    await scenario.run(LONG)


def add_agents_flow(scenario: Scenario, kind: str) -> FakeFlow:
    """Add a flow that agents run, with a child on Microsoft's key."""
    child = scenario.build.http_flow("Lookup")
    actions = {"Run": child_flow_action(child.workflow_id)}
    return scenario.build.flow("Book", request_trigger(kind), actions)


@pytest.mark.parametrize("kind", ["VirtualAgent", "Skills"])
async def test_original_is_not_retired_before_its_agents_are_confirmed(kind: str) -> None:
    """Both flows stay on until a person confirms the agents, also in a rollback."""
    scenario = Scenario()
    original = add_agents_flow(scenario, kind)
    await planned(scenario)
    item = (await scenario.plan())["Book"]
    await scenario.approve(run=LONG)
    asked = await scenario.job("Book")
    copy = scenario.world.workflow(asked.environment_id, asked.copy_id)
    both = original.is_on, copy.is_on

    await scenario.retry(run=LONG)
    again = await scenario.job("Book")
    await confirm_agents(scenario, f"agents:{original.workflow_id}")
    retired = await scenario.job("Book")
    await scenario.roll_back(run=LONG)
    back = await scenario.job("Book")
    both_again = original.is_on, copy.is_on
    await confirm_agents(scenario, f"agents-back:{original.workflow_id}")
    settings = await scenario.services.tables.environment_settings.get(
        "environment", asked.environment_id
    )

    assert item.action is PlannedAction.COPY_WITH_DEPENDENT_FLOWS
    assert [one.kind for one in item.callers if one.manual_reason] == ["agent"]
    assert (asked.state, asked.reason_code, both) == (
        FlowJobState.BLOCKED,
        "agents_not_confirmed",
        (True, True),
    )
    assert f"agents:{original.workflow_id}" in asked.fix
    assert again.reason_code == "agents_not_confirmed"
    assert retired.state is FlowJobState.RETIRED, retired.message
    assert (back.reason_code, both_again) == ("agents_not_confirmed", (True, True))
    assert (await scenario.job("Book")).state is FlowJobState.ROLLED_BACK
    assert not copy.is_on
    assert settings
    assert settings.item.ignored_issues == {}


async def test_agents_of_a_planned_flow_can_be_confirmed() -> None:
    """A confirmation is accepted only for a flow that agents run, once a plan contains it."""
    scenario = Scenario()
    original = add_agents_flow(scenario, "Skills")
    with pytest.raises(IssueNotFound, match="No issue"):
        await confirm_agents(scenario, f"agents:{original.workflow_id}")
    await planned(scenario)
    child = next(one for one in scenario.build.environment.flows.values() if one.name == "Lookup")
    with pytest.raises(IssueNotFound, match="No issue"):
        await confirm_agents(scenario, f"agents:{child.workflow_id}")

    await ignore_issue(
        scenario.services,
        scenario.build.environment.id,
        f"agents:{original.workflow_id}",
        "the makers",
    )
    await scenario.approve()

    assert (await scenario.job("Book")).state is FlowJobState.RETIRED


async def test_rollback_needs_no_confirmation_if_no_agent_runs_the_copy() -> None:
    """No agent runs the copy yet, so the rollback requires no confirmation."""
    scenario = Scenario()
    add_agents_flow(scenario, "VirtualAgent")
    await planned(scenario)
    await scenario.approve()

    await scenario.roll_back()

    assert (await scenario.job("Book")).state is FlowJobState.ROLLED_BACK


async def test_assessment_lists_agents_as_a_caller() -> None:
    """The assessment lists the agents as a caller, so that a person can find them in time."""
    tenant = Assessed()
    child = tenant.build.http_flow("Lookup")
    trigger = request_trigger("VirtualAgent")
    tenant.build.flow("Book", trigger, {"Run": child_flow_action(child.workflow_id)})

    await tenant.assess()

    assert tenant.flows["Book"].category == "virtual_agent"
    assert [one.kind for one in tenant.flows["Book"].callers] == ["agent"]
