import re
from html import unescape

from functions.dashboard.diagrams import GROUPS_ON_PAGE, DiagramFilter
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.plans.plan_item import PlannedCaller
from shared.use_cases.show_flow import FlowView
from tests.unit.remediation_rows import (
    build_blocked_flow,
    build_environment_job,
    build_flow,
    build_page,
)

LONG = "A name that is longer than the box of a flow"


def build_group(name: str, size: int) -> list[FlowView]:
    parent = build_flow(f"{name} 0", FlowJobState.COPIED)
    plan = {"parents": (parent.workflow_id,)}
    children = [
        build_flow(f"{name} {number}", FlowJobState.COPIED, plan=plan) for number in range(1, size)
    ]
    return [parent, *children]


def parse_calls(page: str) -> list[tuple[str, str]]:
    cells = [
        unescape(re.sub(r"<svg.*?</svg>|<span.*?</span>|<[^>]+>", "", cell)).strip()
        for table in re.findall(r'<table class="calls">.*?</table>', page, re.DOTALL)
        for cell in re.findall(r"<td>(.*?)</td>", table, re.DOTALL)
    ]
    return list(zip(cells[::2], cells[1::2], strict=True))


def test_calls_are_drawn_as_arrows_and_listed_with_full_names() -> None:
    callers = (PlannedCaller(kind="canvas_app", label="app Requests", manual_reason="its maker"),)
    child = build_flow(LONG, FlowJobState.COPIED, plan={"callers": callers})
    parent = build_flow("Parent", FlowJobState.COPIED, plan={"children": (child.workflow_id,)})
    page = build_page([child, parent])

    assert sorted(parse_calls(page)) == [("Parent", LONG), ("app Requests", LONG)]
    assert f"<title>{LONG}: copied</title>" in page
    assert len(re.findall(r'<path d="[^"]+" marker-end="url\(#arrow\)"/>', page)) == 2
    assert 'marker id="arrow"' in page


def test_call_loop_has_a_line_in_each_direction() -> None:
    where = build_environment_job()
    first = build_flow("a", FlowJobState.COPIED, plan={"children": ("id-b-env-1",)}, where=where)
    second = build_flow("b", FlowJobState.COPIED, plan={"children": ("id-a-env-1",)}, where=where)
    page = build_page([first, second])

    assert sorted(parse_calls(page)) == [("a", "b"), ("b", "a")]
    assert page.count("marker-end=") == 2


def test_line_to_a_flow_that_requires_an_action_is_red() -> None:
    child = build_blocked_flow("child")
    parent = build_flow("parent", FlowJobState.PLANNED, plan={"children": (child.workflow_id,)})
    page = build_page([child, parent])

    assert 'marker-end="url(#blocking)" class="holds"' in page
    assert '<tr class="holds">' in page
    assert "1 requires an action" in page


def test_every_group_is_on_one_page() -> None:
    flows = [one for number in range(30) for one in build_group(f"g{number}", 3)]
    pages = [
        build_page(flows, diagrams=DiagramFilter(start=start))
        for start in range(0, 30, GROUPS_ON_PAGE)
    ]

    assert "Dependencies: 30 groups" in pages[0]
    assert "1 to 12 of 30" in pages[0]
    listed = [call for page in pages for call in parse_calls(page)]
    assert len(listed) == len(set(listed)) == 60


def test_a_large_group_is_counted_and_leads_to_all_its_calls() -> None:
    """A diagram of a large group would be illegible."""
    flows = build_group("g", 100)
    page = build_page(flows)
    link = re.search(r'\?group=([^#"]+)#graph">Show all 99 calls', page)
    assert link is not None
    alone = build_page(flows, diagrams=DiagramFilter(flow_id=link[1].replace("%20", " ")))

    assert "100 flows" in page
    assert "too large for a diagram" in page
    assert len(parse_calls(page)) == 40
    assert len(parse_calls(alone)) == 99


def test_a_page_draws_a_limited_number_of_boxes_and_leads_to_the_other_diagrams() -> None:
    flows = [one for number in range(5) for one in build_group(f"g{number}", 50)]
    page = build_page(flows)
    alone = build_page(flows, diagrams=DiagramFilter(flow_id=flows[-1].workflow_id))

    assert page.count('<svg class="graph"') == 3
    assert page.count("Show the diagram</a>") == 2
    assert alone.count('<svg class="graph"') == 1
    assert len(page.encode()) < 300_000
