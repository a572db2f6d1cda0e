"""Test the work of building the pages of a remediation of two thousand flows."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from functions.dashboard.page_layout import PageContext
from functions.dashboard.plan_page import PlanChoice, plan_page
from functions.dashboard.remediation_page import RemediationPageChoice, remediation_page
from shared.domain.jobs.environment_states import EnvironmentJobState
from shared.domain.principal import Principal, PrincipalKind, Role
from shared.html_pages import render_template
from shared.use_cases.show_flow import FlowView
from shared.use_cases.show_remediation import PlanView, RemediationView, show_remediation
from tests.functional.scenarios.remediation_scenario import Scenario
from tests.performance.operation_count import count_operations

FLOWS = 2_000
#: As many flows as a parent calls: the picture has families to draw.
FAMILY = 5
#: Operations, of those for a table of the same flows that escapes and redacts likewise: it is 1.7.
MOST_TIMES = 2
MOST_TIMES_OF_A_PLAN = 3
#: Bytes of a page.
LARGEST_PAGE = 300_000
BARE = """<!doctype html><table>{% for flow in flows %}
<tr><td>
<a href="/api/dashboard/remediations/{{ id }}/flows/{{ flow.workflow_id }}">
{{ flow.title }}</a></td>
<td><span class="tag">{{ flow.job.state }}</span></td>
<td>{{ flow.job.message }}<b>{{ flow.job.fix }}</b></td>
<td>{{ flow.item.callers | length }}</td></tr>
{% endfor %}</table>"""


async def large_remediation() -> tuple[RemediationView, list[FlowView]]:
    """Return a remediation of many flows in progress: one real flow, repeated."""
    scenario = Scenario()
    scenario.build.parent("Close of day", scenario.build.http_flow("Orders"))
    scenario.build.link()
    await scenario.opt_in()
    await scenario.order()
    await scenario.approve(run=timedelta(hours=6))
    shown = await show_remediation(scenario.services, scenario.remediation.id)
    (environment_job,) = shown.environment_jobs
    (item,) = [
        i for i in await scenario.services.tables.plan_items.all(environment_job.id) if i.parents
    ]
    (job,) = [job for job in shown.flow_jobs if job.original_id == item.workflow_id]
    ids = [f"f0000000-0000-4000-8000-{number:012d}" for number in range(FLOWS)]
    flows = [
        FlowView(
            environment_job=environment_job,
            item=replace(
                item,
                workflow_id=one,
                display_name=f"Flow {number}",
                parents=(ids[number - number % FAMILY],) if number % FAMILY else (),
            ),
            job=replace(job, id=one, original_id=one, display_name=f"Flow {number}"),
        )
        for number, one in enumerate(ids)
    ]
    jobs = tuple(flow.job for flow in flows if flow.job)
    return replace(shown, flow_jobs=jobs), flows


async def test_a_page_of_two_thousand_flows_takes_little_more_than_a_bare_table(
    tmp_path: Path,
) -> None:
    """The page sorts, counts, draws and redacts all flows, and shows the actions."""
    shown, flows = await large_remediation()
    bare = tmp_path / "bare.html.j2"
    bare.write_text(BARE)
    principal = Principal(name="a", roles=frozenset(Role), kind=PrincipalKind.USER)
    view = PageContext(principal=principal, now=shown.remediation.created_at)

    def table() -> str:
        return render_template(bare, {"flows": flows, "id": shown.remediation.id})

    def page() -> str:
        return remediation_page(view, shown, flows, RemediationPageChoice())

    for make in (table, page):
        make()  # templates are read once in a process
    ratio = count_operations(page) / count_operations(table)

    assert ratio <= MOST_TIMES, ratio
    assert len(page().encode()) <= LARGEST_PAGE


async def test_plan_page_of_two_thousand_flows_takes_little_more_than_a_bare_table(
    tmp_path: Path,
) -> None:
    """The page sorts, groups and counts all flows, and shows those of one page."""
    shown, flows = await large_remediation()
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
    )

    def table() -> str:
        return render_template(bare, {"flows": flows, "id": shown.remediation.id})

    def page() -> str:
        return plan_page(view, shown.remediation.id, [plan], PlanChoice())

    for make in (table, page):
        make()  # templates are read once in a process
    ratio = count_operations(page) / count_operations(table)

    assert f"You approve {FLOWS:,} flows" in page()
    assert ratio <= MOST_TIMES_OF_A_PLAN, ratio
    assert len(page().encode()) <= LARGEST_PAGE
