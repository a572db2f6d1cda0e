from dataclasses import replace

import pytest

from functions.dashboard.plan_groups import ROWS_ON_PAGE, group_plan_rows, split_groups_into_pages
from functions.dashboard.plan_rows import PlanRow
from functions.dashboard.titles import compute_natural_sort_key
from shared.domain.jobs.flow_job import MigrationMethod
from shared.domain.plans.plan_item import PlanItem, PlannedAction, PlannedCaller
from shared.domain.plans.plan_outlook import build_outlooks
from shared.domain.plans.unknowns import UNKNOWN_CALLERS
from tests.unit.test_plan_approval import GAP, SETTING, build_item
from tests.unit.test_plan_outlook import AWAITING, MANUAL


def build_rows(*items: PlanItem, firewall: str = "") -> list[list[PlanRow]]:
    """Return the rows of these items by group. `firewall` is the id of a flow that a firewall
    blocks.
    """
    issues = (replace(GAP, firewall_name="afw-hub", workflow_ids=(firewall,)),) if firewall else ()
    job = replace(AWAITING, firewall_issues=issues)
    awaiting = frozenset(one.workflow_id for one in items if one.awaits_approval)
    return [
        list(group.rows) for group in group_plan_rows(items, build_outlooks(job, items), awaiting)
    ]


def list_flow_ids(groups: list[list[PlanRow]]) -> list[list[str]]:
    return [[row.item.workflow_id for row in group] for group in groups]


def test_groups_with_a_pause_are_first_and_flows_not_included_are_last() -> None:
    found = build_rows(
        build_item("flow 10"),
        build_item("flow 2"),
        build_item("needs", action=PlannedAction.NEEDS_CHANGES),
        build_item("manual", callers=(MANUAL,)),
        build_item("behind"),
        firewall="behind",
    )

    assert list_flow_ids(found) == [["behind"], ["manual"], ["flow 2"], ["flow 10"], ["needs"]]


def test_dependent_flows_are_adjacent_with_parents_before_children() -> None:
    found = build_rows(
        build_item("a", children=("c",)),
        build_item("b"),
        build_item("c", parents=("a",), action=PlannedAction.NEEDS_CHANGES),
    )

    assert list_flow_ids(found) == [["a", "c"], ["b"]]
    assert found[0][0].child_names == ("Flow c",)
    assert found[0][1].parent_names == ("Flow a",)


def test_row_names_all_flows_that_are_excluded_with_it() -> None:
    """If a flow is excluded, the flows that run it cannot be copied."""
    [[grandparent, parent, child]] = build_rows(
        build_item("c"), build_item("b", children=("c",)), build_item("a", children=("b",))
    )

    assert child.names_left_out_with_it == ("Flow a", "Flow b")
    assert grandparent.names_left_out_with_it == ()
    assert parent.child_positions == (child.position,)


@pytest.mark.parametrize(("text", "later"), [("Flow 2", "flow 10"), ("a", "B"), ("1", "a")])
def test_names_are_in_natural_order(text: str, later: str) -> None:
    assert compute_natural_sort_key(text) < compute_natural_sort_key(later)


def test_pages_keep_dependent_flows_together_unless_they_fill_more_than_a_page() -> None:
    alone = [build_item(f"alone {number}") for number in range(ROWS_ON_PAGE - 2)]
    dependent = [
        build_item("parent", children=("b 1", "b 2")),
        build_item("b 1"),
        build_item("b 2"),
    ]
    chain = [
        build_item(f"x {number}", children=(f"x {number + 1}",))
        for number in range(ROWS_ON_PAGE + 1)
    ]
    items = [*alone, *dependent, *chain]
    groups = group_plan_rows(items, build_outlooks(AWAITING, items), frozenset())

    pages = split_groups_into_pages(groups)

    shown = [[row.item.workflow_id for group in page for row in group.rows] for page in pages]
    every = [row.item.workflow_id for group in groups for row in group.rows]
    assert [one for page in shown for one in page] == every
    assert all(len(page) <= ROWS_ON_PAGE for page in shown)
    assert [sum(one in page for one in ("parent", "b 1", "b 2")) for page in shown].count(3) == 1


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (build_item("a"), "No pause known"),
        (build_item("a", unknowns=(UNKNOWN_CALLERS.text,)), "Some callers may be unknown"),
        (build_item("a", callers=(MANUAL,)), "Pauses: a person changes app Expenses"),
        (build_item("a", action=PlannedAction.CUT_OVER), "Off for a moment at the cutover"),
        (build_item("a", action=PlannedAction.COPY_OFF), "Is off, stays off"),
        (build_item("a", action=PlannedAction.NEEDS_CHANGES, message="No trigger."), "No trigger."),
        (build_item("a", changed_since_approval=("edited",)), "Changed since the approval"),
    ],
)
def test_row_shows_its_most_important_risk(one: PlanItem, words: str) -> None:
    [[row]] = build_rows(one)

    assert row.risk[2] == words


def test_row_of_a_waiting_flow_names_the_flow_that_pauses() -> None:
    [[parent, child]] = build_rows(build_item("a", children=("b",)), build_item("b"), firewall="b")

    assert (child.risk[2], parent.risk[2]) == ("Pauses: firewall afw-hub", "Pauses with Flow b")


def test_row_counts_its_callers() -> None:
    """If the plan does not list all callers, a plus follows the count."""
    more = PlannedCaller(kind="more", label="12 more callers")
    counted = [
        build_rows(build_item("a", callers=callers))[0][0].callers
        for callers in ((), (SETTING,), (SETTING, MANUAL), (SETTING, MANUAL, more))
    ]
    cut_over = build_item("a", migration_method=MigrationMethod.CUT_OVER)

    assert counted == ["No known caller", "1 caller", "2 callers", "2+ callers"]
    assert build_rows(cut_over)[0][0].callers == ""
