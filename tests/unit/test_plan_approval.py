from collections.abc import Callable, Iterable
from dataclasses import MISSING, fields, replace
from typing import Any

import pytest

from shared.domain.flow_owner import FlowOwner
from shared.domain.jobs.flow_job import MigrationMethod
from shared.domain.plans.display_text import ACTION_WORDS
from shared.domain.plans.plan_approval import (
    ApprovalDecision,
    apply_approval,
    compute_plan_version,
    format_plan_text,
    list_changes_since,
)
from shared.domain.plans.plan_item import PlanItem, PlannedAction, PlannedCaller
from shared.domain.plans.remediation import EnvironmentJob, FirewallIssueSummary, RemediationMode

JOB = EnvironmentJob(
    id="job", remediation_id="r", environment_id="environment", mode=RemediationMode.APPLY
)
SETTING = PlannedCaller(kind="app_setting", label="setting URL of the app shop")
GAP = FirewallIssueSummary(
    name="erp",
    kind="app_service",
    firewall_name="erp",
    missing_prefixes=(),
    fix="",
    workflow_ids=(),
)


def build_item(workflow_id: str = "a", **more: Any) -> PlanItem:
    base = PlanItem(
        environment_job_id="job",
        workflow_id=workflow_id,
        flow_name=f"name-{workflow_id}",
        display_name=f"Flow {workflow_id}",
        category="http",
        trigger_name="manual",
        has_trigger_url=True,
        in_solution=True,
        migration_method=MigrationMethod.UPDATE_CALLERS,
        is_on=True,
        microsoft_key_reasons=("http_trigger",),
        action=PlannedAction.COPY,
        message="It starts from an HTTP request.",
        digest="1",
        planned_changes=("turn the copy on",),
    )
    return replace(base, **more)


def find_version(job: EnvironmentJob, items: Iterable[PlanItem]) -> str:
    return compute_plan_version(format_plan_text(job, items))


# --- versions -------------------------------------------------------------------------------------


def test_a_version_is_the_same_in_any_order() -> None:
    """The app may read rows and findings in any order."""
    first, second = build_item("a"), build_item("b")
    job = replace(JOB, findings=("x", "y"), firewall_issues=(GAP, replace(GAP, name="crm")))
    turned = replace(job, findings=("y", "x"), firewall_issues=tuple(reversed(job.firewall_issues)))

    assert find_version(job, [first, second]) == find_version(turned, [second, first])


def change_value(value: object) -> object:
    match value:
        case bool():
            return not value
        case PlannedAction():
            return PlannedAction.CUT_OVER
        case MigrationMethod():
            return MigrationMethod.COPY_OFF
        case str():
            return f"{value}!"
        case int():
            return value + 1
        case tuple():
            return (*value, "one more")
    return 7


@pytest.mark.parametrize(
    "name",
    [
        field.name
        for field in fields(PlanItem)
        if field.name
        not in {
            "environment_job_id",
            "is_complete",
            "not_migrated_reason",
            "trigger_url_id",
            "was_run_checked",
        }
    ],
)
def test_a_version_changes_with_every_field_of_an_item(name: str) -> None:
    """A field that is added later counts, unless the code names it as an exception."""
    one = build_item()

    changed_value = FlowOwner(id="other") if name == "owner" else change_value(getattr(one, name))
    change: dict[str, Any] = {name: changed_value}
    changed = replace(one, **change)

    assert find_version(JOB, [one]) != find_version(JOB, [changed])


@pytest.mark.parametrize(
    "change",
    [
        lambda job: replace(job, environment_id="another"),
        lambda job: replace(job, findings=("A cycle.",)),
        lambda job: replace(job, firewall_issues=(GAP,)),
    ],
)
def test_plan_version_changes_with_facts_of_the_environment(
    change: Callable[[EnvironmentJob], EnvironmentJob],
) -> None:
    assert find_version(JOB, [build_item()]) != find_version(change(JOB), [build_item()])


def test_plan_version_does_not_depend_on_the_progress_of_the_job() -> None:
    leased = replace(JOB, fencing_token=3, message_number=7, message="Tried again.")

    assert find_version(JOB, [build_item()]) == find_version(leased, [build_item()])


def test_every_planned_action_has_a_text() -> None:
    assert set(ACTION_WORDS) == set(PlannedAction)


# --- changes --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, ()),
        ({"action": PlannedAction.CONTINUE_EXISTING_JOB, "digest": "2"}, ()),
        ({"message": "In other words."}, ()),
        ({"callers": (), "planned_changes": ()}, ()),
        ({"digest": "2"}, ("its definition was edited",)),
        ({"is_on": False, "migration_method": MigrationMethod.COPY_OFF}, ("it was turned off",)),
        ({"migration_method": MigrationMethod.CUT_OVER}, ("its trigger changed",)),
        (
            {"action": PlannedAction.NEEDS_CHANGES, "planned_changes": ()},
            ("planned action: needs changes first, not copy",),
        ),
        ({"display_name": "Other"}, ("it was named Flow a",)),
        (
            {
                "callers": (SETTING, replace(SETTING, label="the new one")),
                "planned_changes": ("turn the copy on", "update the new one"),
            },
            ("a new caller: the new one",),
        ),
        ({"planned_changes": ("turn the copy on", "dance")}, ("a new planned change: dance",)),
    ],
)
def test_only_a_difference_that_needs_approval_is_a_change(
    changes: dict[str, Any], said: tuple[str, ...]
) -> None:
    approved = build_item(callers=(SETTING,))

    assert list_changes_since(approved, replace(approved, **changes)) == said


def test_all_ancestors_of_a_changed_child_wait() -> None:
    child, sibling = build_item("child"), build_item("sibling")
    parent = build_item("parent", children=("child", "sibling"))
    top = build_item("top", children=("parent",))
    items = [child, sibling, parent, top]
    now = {one.workflow_id: one for one in items} | {"child": replace(child, digest="2")}

    decided = apply_approval(items, now, ApprovalDecision(number=1, approved_by="me"))

    waiting = {
        one.workflow_id: one.changed_since_approval for one in decided if one.changed_since_approval
    }
    assert waiting == {
        "child": ("its definition was edited",),
        "parent": ("it runs Flow child, which has changed",),
        "top": ("it runs Flow parent, which has changed",),
    }
    assert {one.approval_number for one in decided} == {1}


def test_interrupted_approval_has_the_same_result() -> None:
    """An interrupted approval has stored only some rows."""
    items = [
        build_item("child"),
        build_item("parent", children=("child",)),
        build_item("left"),
        build_item("free"),
    ]
    items.append(build_item("above", children=("left",)))
    now = {one.workflow_id: one for one in items} | {"child": build_item("child", digest="2")}
    decision = ApprovalDecision(
        number=1, approved_by="me", excluded_from_approval=frozenset({"name-left"})
    )
    whole = {one.workflow_id: one for one in apply_approval(items, now, decision)}

    for number in range(2 ** len(items)):
        written = [
            whole[one.workflow_id] if number >> place & 1 else one
            for place, one in enumerate(items)
        ]
        rest = {one.workflow_id: one for one in apply_approval(written, now, decision)}
        assert {one.workflow_id: rest.get(one.workflow_id, one) for one in written} == whole


def test_second_approval_decides_only_on_waiting_flows() -> None:
    under_way, held = (
        build_item("a", approval_number=1),
        build_item("b", approval_number=1, changed_since_approval=("edited",)),
    )
    now = {"a": build_item("a", digest="9"), "b": build_item("b")}

    decided = apply_approval([under_way, held], now, ApprovalDecision(number=2, approved_by="me"))

    assert [
        (one.workflow_id, one.approval_number, one.changed_since_approval) for one in decided
    ] == [("b", 2, ())]


def test_rows_of_earlier_versions_are_readable() -> None:
    names = {"approval_number", "changed_since_approval"}

    assert all(field.default is not MISSING for field in fields(PlanItem) if field.name in names)
