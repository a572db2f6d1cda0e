from dataclasses import replace

import pytest

from shared.domain.flow_owner import FlowOwner, OwnerStatus
from shared.domain.jobs.environment_states import EnvironmentJobState
from shared.domain.jobs.flow_job import MigrationMethod
from shared.domain.plans.plan_item import PlannedAction, PlannedCaller
from shared.domain.plans.plan_outlook import FlowOutlook, Outlook, build_outlooks
from shared.domain.plans.unknowns import OF_EVERY_COPY, find_unknown_by_text
from tests.unit.test_plan_approval import GAP, JOB, SETTING, build_item

AWAITING = replace(JOB, state=EnvironmentJobState.AWAITING_APPROVAL)
MANUAL = PlannedCaller(kind="canvas_app", label="app Expenses", manual_reason="By its maker.")


def find_outlook(*flows: str, fix_by_app: str = "", number: int = 0) -> FlowOutlook:
    issue = replace(GAP, workflow_ids=flows, flow_count=number, fix_by_app=fix_by_app)
    job = replace(AWAITING, firewall_issues=(issue,))
    return build_outlooks(
        job, [build_item("a", http_hosts=("erp",)), build_item("b", http_hosts=("erp",))]
    )["a"]


def test_flow_behind_a_firewall_pauses_unless_the_app_fixes_it() -> None:
    """The app makes a planned fix before the first copy needs it."""
    assert find_outlook("a").outlook is Outlook.FIREWALL
    assert find_outlook("a", fix_by_app="allow the tag").outlook is Outlook.NO_PAUSE
    assert find_outlook("a", fix_by_app="allow the tag").firewall_issues
    assert find_outlook("b").outlook is Outlook.NO_PAUSE


def test_unnamed_flow_behind_the_same_firewall_pauses() -> None:
    """An issue names only its first flows."""
    assert find_outlook("b", number=2).outlook is Outlook.FIREWALL
    assert find_outlook("b", number=1).outlook is Outlook.NO_PAUSE


def test_dependent_flows_pause_with_a_flow_behind_a_firewall() -> None:
    """A parent waits for the copies of its children, which are retired after it."""
    job = replace(AWAITING, firewall_issues=(replace(GAP, workflow_ids=("child",)),))
    flows = [
        build_item("child", http_hosts=("erp",)),
        build_item("parent", children=("child", "sibling")),
        build_item("sibling"),
        build_item("other"),
    ]

    found = build_outlooks(job, flows)

    assert {flow: (one.outlook, one.waits_for) for flow, one in found.items()} == {
        "child": (Outlook.FIREWALL, ""),
        "parent": (Outlook.FIREWALL, "child"),
        "sibling": (Outlook.FIREWALL, "parent"),
        "other": (Outlook.NO_PAUSE, ""),
    }


@pytest.mark.parametrize("status", OwnerStatus)
def test_flow_whose_owner_has_left_pauses_with_the_flows_that_run_it(status: OwnerStatus) -> None:
    """The app cannot create a copy for such an owner."""
    owner = FlowOwner(id="a", status=status)
    flows = [
        build_item("child", owner=owner),
        build_item("parent", children=("child",)),
        build_item("edited", owner=owner, action=PlannedAction.CONVERT_TRIGGER),
    ]

    found = build_outlooks(AWAITING, flows)

    paused = Outlook.OWNER if status.has_left else Outlook.NO_PAUSE
    assert [one.outlook for one in found.values()] == [paused, paused, Outlook.NO_PAUSE]
    assert found["parent"].waits_for == ("child" if status.has_left else "")


def test_manual_caller_pauses_its_flow_and_the_children_of_the_flow() -> None:
    """The children are retired after their parent."""
    flows = [
        build_item("child"),
        build_item("parent", children=("child",), callers=(SETTING, MANUAL)),
        build_item("grandparent", children=("parent",)),
    ]

    found = build_outlooks(AWAITING, flows)

    assert found["parent"].manual_callers == (MANUAL,)
    assert {flow: (one.outlook, one.waits_for) for flow, one in found.items()} == {
        "child": (Outlook.PERSON, "parent"),
        "parent": (Outlook.PERSON, ""),
        "grandparent": (Outlook.NO_PAUSE, ""),
    }


def test_manual_caller_of_a_copy_that_stays_off_causes_no_pause() -> None:
    """The app lists callers of a flow that is off, and changes none."""
    off = build_item("a", callers=(MANUAL,), migration_method=MigrationMethod.COPY_OFF)

    assert build_outlooks(AWAITING, [off])["a"].outlook is Outlook.NO_PAUSE


def test_each_flow_of_a_plan_has_one_outlook() -> None:
    flows = [
        build_item("a"),
        build_item("b", action=PlannedAction.NEEDS_CHANGES, planned_changes=()),
        build_item("c", action=PlannedAction.NO_CHANGE, planned_changes=()),
        build_item("d", action=PlannedAction.CONTINUE_EXISTING_JOB, planned_changes=()),
        build_item("e", approval_number=1),
        build_item("f", approval_number=1, changed_since_approval=("its definition was edited",)),
    ]

    found = build_outlooks(AWAITING, flows)

    assert [one.outlook for one in found.values()] == [
        Outlook.NO_PAUSE,
        Outlook.NOT_INCLUDED,
        Outlook.NOT_INCLUDED,
        Outlook.HAS_JOB,
        Outlook.HAS_JOB,
        Outlook.NO_PAUSE,
    ]


def test_unknown_of_another_app_version_is_shown_as_its_text() -> None:
    """A plan that another version of the app stored must stay readable."""
    assert find_unknown_by_text(OF_EVERY_COPY[0].text) is OF_EVERY_COPY[0]
    assert find_unknown_by_text("Whether it rains.").title == "Whether it rains."
    assert find_unknown_by_text("Whether it rains.").consequence == ""
