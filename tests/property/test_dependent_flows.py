"""Test remediations of flows that depend on one another."""

import asyncio
import json
from dataclasses import dataclass
from datetime import datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from local_cloud.tenant.core.profiles import Profile
from shared.domain.environment import ApprovalPolicy
from shared.domain.jobs.flow_job import FlowJob
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.plans.dependency_graph import DependencyGraph
from shared.domain.plans.plan_item import PlannedAction
from tests.fakes import definition_builder as define
from tests.fakes.invariants import watch
from tests.fakes.tenant import FakeFlow
from tests.functional.scenarios.remediation_scenario import Scenario
from tests.property.examples import count_examples

TRIGGERS = {
    "http": define.build_http_trigger(),
    "button": define.build_request_trigger("Button"),
    "recurrence": define.build_recurrence_trigger(),
}


@dataclass(frozen=True, slots=True)
class FlowGroup:
    triggers: tuple[str, ...]
    children: tuple[frozenset[int], ...]

    @property
    def graph(self) -> DependencyGraph:
        return DependencyGraph(
            {str(one): frozenset(map(str, below)) for one, below in enumerate(self.children)}
        )

    @property
    def staying_titles(self) -> set[str]:
        """HTTP flows and all their ancestors stay on Microsoft's key."""
        http = [str(one) for one, trigger in enumerate(self.triggers) if trigger == "http"]
        return set(http) | self.graph.find_ancestors(*http)


_CHILDLESS: st.SearchStrategy[frozenset[int]] = st.just(frozenset())


@st.composite
def draw_groups(draw: st.DrawFn) -> FlowGroup:
    triggers = draw(st.lists(st.sampled_from(sorted(TRIGGERS)), min_size=1, max_size=7))
    children = []
    for one in range(len(triggers)):
        called = [other for other in range(one) if triggers[other] != "recurrence"]
        below = st.frozensets(st.sampled_from(called), max_size=3) if called else _CHILDLESS
        children.append(draw(below))
    return FlowGroup(tuple(triggers), tuple(children))


def build_flows(scenario: Scenario, family: FlowGroup) -> list[FakeFlow]:
    flows: list[FakeFlow] = []
    for title, (trigger, below) in enumerate(zip(family.triggers, family.children, strict=True)):
        children = [flows[one] for one in sorted(below)]
        flows.append(scenario.build.add_parent(str(title), *children, trigger=TRIGGERS[trigger]))
    return flows


async def remediate(scenario: Scenario) -> None:
    scenario.build.apply_key()
    scenario.build.share_connections()
    watch(scenario.world)
    await scenario.run_remediation()
    assert scenario.world.violations == []


def find_time_of_state(job: FlowJob, state: FlowJobState) -> datetime:
    return min(change.changed_at for change in job.history if change.state == state)


@settings(max_examples=count_examples(40))
@given(draw_groups(), st.sampled_from(Profile))
def test_dependent_flows_are_copied_bottom_up_and_retired_top_down(
    family: FlowGroup, profile: Profile
) -> None:
    async def play() -> None:
        scenario = Scenario(mode=ApprovalPolicy.REQUIRED, profile=profile)
        build_flows(scenario, family)
        if not family.staying_titles:
            return
        await remediate(scenario)

        jobs = await scenario.read_jobs()
        assert set(await scenario.plan()) == set(jobs) == family.staying_titles
        assert {job.state for job in jobs.values()} == {FlowJobState.RETIRED}
        for parent, job in jobs.items():
            for child in family.graph.find_children(parent) & jobs.keys():
                assert find_time_of_state(jobs[child], FlowJobState.VERIFIED) <= find_time_of_state(
                    job, FlowJobState.COPYING
                )
                assert find_time_of_state(job, FlowJobState.RETIRED) <= find_time_of_state(
                    jobs[child], FlowJobState.RETIRED
                )

    asyncio.run(play())


@settings(max_examples=count_examples(25))
@given(draw_groups(), st.data())
def test_call_loop_blocks_only_its_flows_and_their_ancestors(
    family: FlowGroup, data: st.DataObject
) -> None:
    """A flow that runs itself is no call loop: its copy runs itself."""
    graph = family.graph
    pairs = [
        (low, high)
        for low in sorted(family.staying_titles)
        for high in sorted({low} | graph.find_ancestors(low))
        if family.triggers[int(high)] != "recurrence"
    ]
    if not pairs:
        return
    low, high = data.draw(st.sampled_from(pairs))

    async def play() -> None:
        scenario = Scenario(mode=ApprovalPolicy.REQUIRED)
        flows = build_flows(scenario, family)
        document = json.loads(flows[int(low)].client_data)
        actions = document["properties"]["definition"]["actions"]
        actions["Back"] = define.build_child_flow_action(flows[int(high)].workflow_id) | {
            "runAfter": {}
        }
        flows[int(low)].client_data = json.dumps(document)
        between = graph.find_descendants(high) & (graph.find_ancestors(low) | {low})
        circle = {high, *between} if high != low else set[str]()
        above = {one for one in family.staying_titles if graph.find_descendants(one) & circle}
        scenario.build.apply_key()
        scenario.build.share_connections()
        await scenario.start_remediation()

        plan, free = await scenario.plan(), family.staying_titles - circle - above
        assert {title for title, item in plan.items() if item.action.is_work} == free
        assert {plan[one].action for one in circle} <= {PlannedAction.NEEDS_CHANGES}
        assert all(other in plan[one].message for one in circle for other in circle)
        if free:
            await scenario.approve()
        assert {
            title: job.state for title, job in (await scenario.read_jobs()).items()
        } == dict.fromkeys(free, FlowJobState.RETIRED)

    asyncio.run(play())
