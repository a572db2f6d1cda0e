from datetime import timedelta

import pytest

from shared.callers.copilot_agent import CopilotAgentCallers
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.plans.plan_item import PlannedAction
from tests.fakes.definition_builder import build_child_flow_action, build_request_trigger
from tests.fakes.tenant import FakeFlow, FakeRow
from tests.functional.assessing.assessed_tenant import Assessed
from tests.functional.callers.called_tenant import Tenant
from tests.functional.scenarios.remediation_scenario import Scenario, plan_remediation

KIND = CopilotAgentCallers.kind
#: Longer than a copy has to be quiet.
LONG = timedelta(days=9)
CHANGED = "2026-02-01T00:00:00Z"


def add_agents_flow(scenario: Scenario, kind: str) -> FakeFlow:
    """Add a flow with a trigger for agents, and a child flow that stays on Microsoft's key."""
    child = scenario.build.add_http_flow("Lookup")
    actions = {"Run": build_child_flow_action(child.workflow_id)}
    return scenario.build.add_flow("Book", build_request_trigger(kind), actions)


def replace_flow(topic: FakeRow, old: str, new: str) -> None:
    """Replace the flow in a topic, as its maker does, without publishing the agent."""
    topic.values |= {"data": str(topic.values["data"]).replace(old, new), "modifiedon": CHANGED}


def publish_agent(topic: FakeRow) -> None:
    topic.values["parentbotid"] = {"name": "Travel", "publishedon": CHANGED}


@pytest.mark.parametrize("kind", ["VirtualAgent", "Skills"])
async def test_original_is_retired_after_its_agent_runs_the_copy_and_is_published(
    kind: str,
) -> None:
    scenario = Scenario()
    original = add_agents_flow(scenario, kind)
    topic = scenario.build.add_agent_topic(original, published="2026-01-01T00:00:00Z")
    await plan_remediation(scenario)
    item = (await scenario.plan())["Book"]
    await scenario.approve(run=LONG)
    blocked = await scenario.read_job("Book")
    copy = scenario.world.get_workflow(blocked.environment_id, blocked.copy.id)
    both = original.is_on, copy.is_on

    replace_flow(topic, original.workflow_id, copy.workflow_id)
    await scenario.retry(run=LONG)
    unpublished = await scenario.read_job("Book")
    publish_agent(topic)
    await scenario.retry(run=LONG)
    retired = await scenario.read_job("Book")
    await scenario.roll_back(run=LONG)
    back = await scenario.read_job("Book")
    both_again = original.is_on, copy.is_on
    replace_flow(topic, copy.workflow_id, original.workflow_id)
    await scenario.retry(run=LONG)

    assert item.action is PlannedAction.COPY_WITH_DEPENDENT_FLOWS
    assert [(one.kind, one.label) for one in item.callers if one.manual_reason] == [
        (KIND, "topic Booking of the agent Travel")
    ]
    assert (blocked.state, blocked.reason_code) == (FlowJobState.BLOCKED, "manual_caller")
    assert "Open the agent Travel in Copilot Studio. In its topic Booking, replace" in blocked.fix
    assert both == (True, True)
    assert "Publish the agent Travel" in unpublished.fix
    assert retired.state is FlowJobState.RETIRED, retired.message
    assert (back.reason_code, both_again) == ("manual_caller", (True, True))
    assert (await scenario.read_job("Book")).state is FlowJobState.ROLLED_BACK
    assert not copy.is_on


async def test_flow_that_no_agent_runs_is_retired_without_a_person() -> None:
    scenario = Scenario()
    original = add_agents_flow(scenario, "VirtualAgent")
    scenario.build.add_agent_topic(scenario.build.add_off_flow("Other"))
    await plan_remediation(scenario)

    await scenario.approve(run=LONG)

    assert (await scenario.read_job("Book")).state is FlowJobState.RETIRED
    assert not original.is_on


async def test_assessment_names_the_agent_and_its_topic() -> None:
    tenant = Assessed()
    child = tenant.build.add_http_flow("Lookup")
    trigger = build_request_trigger("VirtualAgent")
    book = tenant.build.add_flow(
        "Book", trigger, {"Run": build_child_flow_action(child.workflow_id)}
    )
    tenant.build.add_agent_topic(book)

    await tenant.assess()

    assert [one.label for one in tenant.flows["Book"].callers] == [
        "topic Booking of the agent Travel"
    ]


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("kind: TaskDialog\naction:\n  flowId: {id}", "tool Booking of the agent Travel"),
        ("- flowId: /providers/Microsoft.Flow/flows/{id}", "topic Booking of the agent Travel"),
        ('{{"FlowId":"{upper}"}}', "topic Booking of the agent Travel"),
        ("- kind: HttpRequestAction\n  url: {url}", "topic Booking of the agent Travel"),
    ],
)
async def test_flow_is_found_however_a_topic_names_it(text: str, label: str) -> None:
    """A topic may name the flow by its id in any property, or by its URL."""
    tenant = Tenant()
    flow_id, url = tenant.original.workflow_id, tenant.builder.get_trigger_url(tenant.original)
    tenant.builder.add_agent_topic(text=text.format(id=flow_id, upper=flow_id.upper(), url=url))

    [caller] = await tenant.list_found_callers(KIND)

    assert caller.label == label


async def test_text_of_an_earlier_format_is_searched_too() -> None:
    """Agents made with Power Virtual Agents have their topics in another column."""
    tenant = Tenant()
    row = tenant.builder.add_agent_topic(tenant.original)
    row.values |= {"content": row.values["data"], "data": None}

    assert len(await tenant.list_found_callers(KIND)) == 1
