import asyncio
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.plans.discovery import NOT_SHOWN
from shared.domain.plans.remediation import RemediationMode
from tests.fakes.builder import Builder
from tests.fakes.definition_builder import (
    build_http_trigger,
    build_recurrence_trigger,
    build_request_trigger,
)
from tests.functional.assessing.assessed_tenant import Assessed
from tests.functional.scenarios.remediation_scenario import Scenario
from tests.property.examples import count_examples

_TRIGGERS = {
    "http": build_http_trigger(),
    "daily": build_recurrence_trigger("Day"),
    "agents": build_request_trigger("VirtualAgent"),
    "riddle": build_request_trigger("NobodyKnows"),
    "v1": build_request_trigger("PowerApp"),
}
_FLOWS = st.lists(
    st.tuples(st.sampled_from(sorted(_TRIGGERS)), st.booleans(), st.booleans()),
    max_size=8,
)
_TENANTS = st.tuples(_FLOWS, st.booleans(), st.booleans(), st.booleans())
type _Tenant = tuple[list[tuple[str, bool, bool]], bool, bool, bool]


def build_flows(builder: Builder, tenant: _Tenant) -> None:
    flows, have_rows, hidden, stopped_listed = tenant
    assumptions = builder.world.assumptions
    assumptions.my_flows_have_rows = have_rows
    assumptions.definitions_hidden_from_administrators = hidden
    assumptions.stopped_flows_stay_listed = stopped_listed
    for number, (kind, in_solution, is_on) in enumerate(flows):
        builder.add_flow(f"{kind} {number}", _TRIGGERS[kind], in_solution=in_solution, is_on=is_on)


@settings(max_examples=count_examples(60))
@given(_TENANTS)
def test_assessment_counts_every_flow_once(tenant: _Tenant) -> None:
    assessed = Assessed()
    build_flows(assessed.build, tenant)

    asyncio.run(assessed.assess())

    listed = {
        flow.workflow_id
        for flow in assessed.build.environment.list_live_flows()
        if flow.in_solution
        or assessed.world.assumptions.my_flows_have_rows
        or flow.is_on
        or assessed.world.assumptions.stopped_flows_stay_listed
    }
    told = Counter(flow.stays_on_microsoft_key for flow in assessed.found.flows)
    assert assessed.found.flow_count == len(listed)
    assert told[True] + told[None] <= len(listed)
    assert len({flow.workflow_id for flow in assessed.found.flows}) == told.total()
    for flow in assessed.found.flows:
        assert flow.stays_on_microsoft_key is not False
        if NOT_SHOWN in flow.message:
            assert flow.category == "unknown"


@settings(max_examples=count_examples(40))
@given(_TENANTS, st.booleans())
def test_plan_contains_every_listed_flow(tenant: _Tenant, opted_in: bool) -> None:
    scenario = Scenario()
    build_flows(scenario.build, tenant)
    scenario.build.apply_key()

    async def plan() -> tuple[set[str], dict[str, int]]:
        if opted_in:
            await scenario.opt_in()
        reports = scenario.services.flow_reports
        home = scenario.build.environment.id
        listed = (await reports.read_microsoft_key_flows(home, cannot_migrate_only=True)).items
        mode = RemediationMode.APPLY if opted_in else RemediationMode.ASSESS
        await scenario.order(mode)
        items = await scenario.plan()
        assert {item.workflow_id for item in items.values()} == {one.identity for one in listed}
        return {one.identity for one in listed}, (
            await scenario.read_environment_job()
        ).planned_action_counts or {}

    listed, counts = asyncio.run(plan())
    assert sum(counts.values()) == len(listed)
