import re
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from functions import audit_page_api, deletions_page_api
from functions.dashboard.diagrams import GROUPS_ON_PAGE
from functions.dashboard.flow_lines import FlowFilter
from functions.dashboard.live_sections import select_changed_sections
from functions.dashboard.page_layout import PageContext
from functions.dashboard.plan_page import PlanChoice, build_plan_page
from functions.dashboard.remediation_page import RemediationPageChoice, build_remediation_page
from shared.domain.audit import AuditEntry
from shared.domain.environment import ApprovalPolicy
from shared.domain.jobs.environment_states import EnvironmentJobState
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.jobs.transitions import stop_with_reason
from shared.domain.plans.plan_item import PlannedCaller
from shared.domain.principal import Principal, PrincipalKind, Role
from shared.html_pages import render_template
from shared.use_cases.compare_job_index import compare_job_index
from shared.use_cases.seal_audit_log import seal_audit_log
from shared.use_cases.show_audit import ROWS_OF_PAGE
from shared.use_cases.show_flow import FlowView
from shared.use_cases.show_remediation import PlanView, RemediationView, show_remediation
from tests.fakes.evidence_key import KEY_URL, add_evidence_key
from tests.fakes.services import build_fake_settings
from tests.functional.deleting.deletion_scenario import build_retired_scenario, request_deletions
from tests.functional.scenarios.app_calls import call
from tests.functional.scenarios.remediation_scenario import Scenario
from tests.performance.growth import Grown
from tests.performance.operation_count import count_operations

FLOWS = 2_000
#: Each group of dependent flows has this many flows: a parent and the others. So many groups are
#: drawn.
FAMILY = 5
#: Operations, of those for a table of the same flows that escapes and redacts likewise.
MOST_TIMES = 3
#: Bytes of a page.
LARGEST_PAGE = 300_000
#: The part of a page's bytes that a live update transfers if one flow has changed.
LARGEST_PART = 1 / 5
BARE = """<!doctype html><table>{% for flow in flows %}
<tr><td>
<a href="/api/dashboard/remediations/{{ id }}/flows/{{ flow.workflow_id }}">
{{ flow.title }}</a></td>
<td><span class="tag">{{ flow.job.state }}</span></td>
<td>{{ flow.job.message }}<b>{{ flow.job.fix }}</b></td>
<td>{{ flow.item.callers | length }}</td></tr>
{% endfor %}</table>"""


async def build_large_remediation() -> tuple[RemediationView, list[FlowView]]:
    """Return a remediation in progress with thousands of flows, which are copies of one real
    flow.
    """
    scenario = Scenario()
    scenario.build.add_parent("Close of day", scenario.build.add_http_flow("Orders"))
    scenario.build.apply_key()
    await scenario.start_remediation()
    await scenario.approve(run=timedelta(hours=6))
    shown = await show_remediation(scenario.services, scenario.remediation.id)
    (environment_job,) = shown.environment_jobs
    (item,) = [
        i
        for i in await scenario.services.tables.plan_items.read_all(environment_job.id)
        if i.parents
    ]
    (job,) = [job for job in shown.flow_jobs if job.original.id == item.workflow_id]
    ids = [f"f0000000-0000-4000-8000-{number:012d}" for number in range(FLOWS)]
    flows = [
        FlowView(
            environment_job=environment_job,
            item=replace(
                item,
                workflow_id=one,
                display_name=f"Flow {number}",
                parents=(ids[number - number % FAMILY],) if number % FAMILY else (),
                callers=(PlannedCaller(kind="app_setting", label=f"Setting {number}"),),
            ),
            job=replace(
                job, id=one, original=replace(job.original, id=one), display_name=f"Flow {number}"
            ),
        )
        for number, one in enumerate(ids)
    ]
    jobs = tuple(flow.job for flow in flows if flow.job)
    return replace(shown, flow_jobs=jobs), flows


@pytest.mark.parametrize("owner", ["", "maker"])
async def test_remediation_page_of_2000_flows_costs_little_more_than_a_table(
    tmp_path: Path, owner: str
) -> None:
    shown, flows = await build_large_remediation()
    bare = tmp_path / "bare.html.j2"
    bare.write_text(BARE)
    principal = Principal(name="a", roles=frozenset(Role), kind=PrincipalKind.USER)
    view = PageContext(principal=principal, now=shown.remediation.created_at)

    def render_table() -> str:
        return render_template(bare, {"flows": flows, "id": shown.remediation.id})

    def build_page() -> str:
        choice = RemediationPageChoice(flows=FlowFilter(owner=owner), start=1_900 if owner else 0)
        return build_remediation_page(view, shown, flows, choice)

    for make in (render_table, build_page):
        make()  # templates are read once in a process
    ratio = count_operations(build_page) / count_operations(render_table)

    assert build_page().count('<svg class="graph"') == GROUPS_ON_PAGE
    assert ratio <= MOST_TIMES, ratio
    assert len(build_page().encode()) <= LARGEST_PAGE
    assert ("owner=maker&amp;start=1800#flows" in build_page()) == bool(owner)


async def test_live_update_of_2000_flows_transfers_only_changes() -> None:
    shown, flows = await build_large_remediation()
    principal = Principal(name="a", roles=frozenset(Role), kind=PrincipalKind.USER)
    view = PageContext(principal=principal, now=shown.remediation.created_at)

    def build_page(flows: list[FlowView]) -> str:
        jobs = tuple(flow.job for flow in flows if flow.job)
        return build_remediation_page(
            view, replace(shown, flow_jobs=jobs), flows, RemediationPageChoice()
        )

    before = build_page(flows)
    known = " ".join(re.findall(r'data-(?:live|part)="(\w+)"', before))
    for number in (0, 1, FLOWS // 2, FLOWS - 1):
        flow = flows[number]
        assert flow.job
        job = stop_with_reason(
            flow.job, FlowJobState.BLOCKED, "Its owner has left.", "Name another owner.",
            code="owner_unavailable", now=view.now,
        )  # fmt: skip
        changed = [*flows]
        changed[number] = replace(flow, job=job)
        sent = select_changed_sections(build_page(changed), known)

        assert "Its owner has left." in sent
        assert len(sent) <= LARGEST_PART * len(before), (number, len(sent), len(before))
    assert select_changed_sections(build_page(flows), known) == ""


async def test_plan_page_of_2000_flows_costs_little_more_than_a_table(
    tmp_path: Path,
) -> None:
    shown, flows = await build_large_remediation()
    [environment_job] = shown.environment_jobs
    bare = tmp_path / "bare.html.j2"
    bare.write_text(BARE)
    principal = Principal(name="a", roles=frozenset(Role), kind=PrincipalKind.USER)
    view = PageContext(principal=principal, now=shown.remediation.created_at)
    awaiting = [
        replace(
            flow.item,
            approval_number=0,
            children=tuple(
                other.workflow_id
                for other in flows[number + 1 : number + FAMILY]
                if number % FAMILY == 0
            ),
        )
        for number, flow in enumerate(flows)
        if flow.item
    ]
    plan = PlanView(
        environment_job=replace(environment_job, state=EnvironmentJobState.AWAITING_APPROVAL),
        items=tuple(awaiting),
        trigger_hosts=(),
        approval_policy=ApprovalPolicy.REQUIRED,
    )

    def render_table() -> str:
        return render_template(bare, {"flows": flows, "id": shown.remediation.id})

    def build_page() -> str:
        return build_plan_page(view, shown.remediation.id, [plan], PlanChoice())

    for make in (render_table, build_page):
        make()  # templates are read once in a process
    ratio = count_operations(build_page) / count_operations(render_table)

    assert f"You approve {FLOWS:,} flows" in build_page()
    assert build_page().count('class="group"') > 1
    assert ratio <= MOST_TIMES, ratio
    assert len(build_page().encode()) <= LARGEST_PAGE


async def build_audited_tenant(entries: int) -> Grown:
    """Return a tenant with this number of sealed audit entries, one every ten minutes."""
    scenario = Scenario(settings=build_fake_settings(evidence_key=KEY_URL))
    add_evidence_key(scenario.world)
    scenario.build.add_http_flow("Orders")
    scenario.build.apply_key()
    await scenario.start_remediation()
    await compare_job_index(scenario.services)
    began, services = scenario.services.now, scenario.services
    for number in range(entries):
        request = AuditEntry(
            id=f"{number:08}-0000-4000-8000-000000000000",
            recorded_at=began + timedelta(minutes=10) * number,
            who="anna@contoso.example" if number % 2 else "bert@contoso.example",
            who_id="",
            kind=PrincipalKind.USER,
            client="",
            operation="retry_remediation",
            target=f"/api/remediations/{scenario.remediation.id}/retry",
            request_body="{}",
        )
        await services.tables.audit_log.upsert(request, replace(request, status=200))
    for _ in range(entries // 144 + 1):
        scenario.world.clock.advance(timedelta(days=1))
        await seal_audit_log(scenario.services)
    await compare_job_index(scenario.services)
    sizes = Counter((table, partition) for table, partition, _ in scenario.fakes.store.rows)
    return Grown(scenario=scenario, services=scenario.services, sizes=sizes)


async def test_cost_of_the_audit_page_does_not_grow_with_the_log() -> None:
    small, large = await build_audited_tenant(150), await build_audited_tenant(3_000)
    oldest = f"{large.services.now - timedelta(days=20):%Y-%m-%d}"
    found = [
        await large.measure_cost(
            lambda _, query=query: call(audit_page_api.show_audit_page, query=query)  # type: ignore[misc]  # the loop's
        )
        for query in ({}, {"until": oldest}, {"who": "nobody"})
    ]
    few = await small.measure_cost(lambda _: call(audit_page_api.show_audit_page))

    assert [cost.operations for cost in found] == [few.operations] * 2 + [found[2].operations]
    assert found[2].operations <= few.operations
    audit_rows = [cost.by_query["query auditlog"] for cost in found]
    assert audit_rows == [101, 101, ROWS_OF_PAGE + 1]
    assert few.by_query["query auditlog"] == 101
    assert max(cost.size for cost in found) <= LARGEST_PAGE


async def test_deletions_page_needs_as_many_requests_for_2000_as_for_three() -> None:
    scenario = await build_retired_scenario()
    await compare_job_index(scenario.services)
    (one,) = await request_deletions(scenario)
    found = []
    for number in (3, FLOWS):
        await scenario.services.tables.deletions.upsert(
            *(
                replace(
                    one,
                    job_id=f"f0000000-0000-4000-8000-{each:012d}",
                    original_id=f"f0000000-0000-4000-8000-{each:012d}",
                    display_name=f"Flow {each}",
                    approved_by=f"approver-{each % 40}@contoso.example",
                )
                for each in range(number)
            )
        )
        sizes = Counter((table, partition) for table, partition, _ in scenario.fakes.store.rows)
        tenant = Grown(scenario=scenario, services=scenario.services, sizes=sizes)
        found.append(
            await tenant.measure_cost(lambda _: call(deletions_page_api.show_deletions_page))
        )
    few, many = found

    assert many.operations == few.operations
    assert many.by_query["query deletions"] == FLOWS + 1
    assert many.size <= LARGEST_PAGE
