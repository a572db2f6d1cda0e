import re
from dataclasses import replace
from html import unescape

import pytest

from functions.dashboard.flow_lines import FlowFilter
from shared.domain.jobs.environment_states import EnvironmentJobState
from shared.domain.jobs.flow_job import MigrationMethod
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.plans.plan_item import NotMigratedReason, PlannedAction
from shared.domain.plans.remediation import RemediationMode
from shared.domain.principal import Role
from shared.use_cases.show_flow import FlowView
from tests.unit.remediation_rows import (
    build_blocked_flow,
    build_denied_flow,
    build_environment_job,
    build_flow,
    build_issue,
    build_needs_changes_flow,
    build_page,
    build_planned_flow,
)

STATES = FlowJobState
LEAVES_ONE = build_environment_job(not_migrated={"needs_changes": 1})


def find_lead(page: str) -> str:
    """Return the sentences below the page's title."""
    found = re.search(r'<p class="lead">(.*?)</p>', page)
    assert found is not None
    return unescape(found[1])


def find_state_and_style(page: str) -> str:
    """Return the style and the text of the state beside the title."""
    found = re.search(r'<h1.*?<span class="chip is-(\w+)">.*?</svg>([^<]+)', page)
    assert found is not None
    return f"{found[1]}: {unescape(found[2])}"


def find_counts(page: str) -> list[tuple[str, int, str]]:
    """Return the filter, the number and the words of each count on the page."""
    part = r'href="[^"]*\?state=(\w+)#flows"><b class="num">.*?</svg>([\d,]+)</b><span>([^<]+)'
    return [
        (key, int(number.replace(",", "")), unescape(words))
        for key, number, words in re.findall(part, page)
    ]


def find_titles(page: str) -> list[str]:
    return [unescape(one) for one in re.findall(r"<li[^>]*><b><a [^>]*>([^<]+)</a>", page)]


def build_every_kind() -> list[FlowView]:
    return [
        build_blocked_flow(
            "off",
            "both_off",
            stopped_at=STATES.CUTTING_OVER,
            migration_method=MigrationMethod.CUT_OVER,
        ),
        build_blocked_flow("owner"),
        build_flow(
            "failed", STATES.FAILED, stopped_at=STATES.COPYING, reason_code="internal_error"
        ),
        build_flow(
            "called",
            STATES.WAITING,
            stopped_at=STATES.CHECKING_FOR_CALLS,
            reason_code="late_caller",
        ),
        build_needs_changes_flow("loop"),
        build_flow("copying", STATES.COPYING),
        build_flow("back soon", STATES.ROLLING_BACK),
        build_planned_flow("moved"),
        build_flow("stopped", STATES.CANCELLED),
        build_flow("back", STATES.ROLLED_BACK),
        build_planned_flow(
            "left out",
            action=PlannedAction.NO_CHANGE,
            not_migrated_reason=NotMigratedReason.EXCLUDED,
        ),
        build_flow("early", STATES.PREPARED),
        build_flow("old", STATES.RETIRED),
        build_planned_flow("done before", action=PlannedAction.NO_CHANGE),
    ]


def test_each_count_equals_the_number_of_flows_that_its_link_lists() -> None:
    flows = build_every_kind()
    found = find_counts(build_page(flows))

    assert sum(number for _, number, _ in found) == len(flows)
    assert found[0][0] == "both_off"
    for key, number, _ in found:
        assert len(find_titles(build_page(flows, flows=FlowFilter(state=key)))) == number, key


def test_page_lists_each_flow_once() -> None:
    flows = build_every_kind()

    assert sorted(find_titles(build_page(flows))) == sorted(one.title for one in flows)


def test_lead_shows_blocked_flows_the_fix_and_working_originals() -> None:
    page = build_page(
        [
            build_blocked_flow("a"),
            build_blocked_flow("b"),
            build_needs_changes_flow("c"),
            build_flow("d", STATES.RETIRED),
        ]
    )

    assert find_lead(page) == (
        "3 flows require an action: 2 are blocked and can be retried once their cause is fixed, "
        "1 needs changes and a new remediation. The originals of all 3 work as before. "
        "1 of 4 flows is migrated."
    )
    assert find_state_and_style(page) == "bad: Blocked since 2026-03-09 09:00 UTC"


def test_lead_omits_originals_that_the_app_may_have_turned_off() -> None:
    page = build_page(
        [build_blocked_flow("a", stopped_at=STATES.CUTTING_OVER), build_needs_changes_flow("b")]
    )

    assert "2 flows require an action" in find_lead(page)
    assert "original" not in find_lead(page)


def test_both_off_is_shown_first_in_red() -> None:
    page = build_page(
        [
            build_flow("d", STATES.RETIRED),
            build_blocked_flow("a"),
            build_blocked_flow("z", "both_off"),
        ]
    )

    assert find_state_and_style(page) == "bad: Both off: 1 flow"
    assert find_counts(page)[0] == ("both_off", 1, "does not run: both off")
    assert find_titles(page)[0] == "z"
    assert "These flows do not run." in page


@pytest.mark.parametrize(
    ("flows", "mode", "state", "sentence"),
    [
        (
            [
                build_flow("a", STATES.RETIRED, where=LEAVES_ONE),
                build_flow("b", STATES.CANCELLED, where=LEAVES_ONE),
                build_needs_changes_flow("c", where=LEAVES_ONE),
            ],
            RemediationMode.APPLY,
            "warn: Completed · 2 not migrated",
            "2 of 3 flows are not migrated: 1 needs changes first and 1 was cancelled.",
        ),
        (
            [build_flow("a", STATES.ROLLED_BACK), build_flow("b", STATES.ROLLED_BACK)],
            RemediationMode.APPLY,
            "warn: Completed · 2 not migrated",
            "All 2 flows are rolled back and still on Microsoft's key.",
        ),
        (
            [build_flow("a", STATES.RETIRED), build_flow("b", STATES.RETIRED)],
            RemediationMode.APPLY,
            "ok: Completed",
            "All 2 flows are migrated.",
        ),
        (
            [build_flow("a", STATES.RETIRED), build_flow("b", STATES.COPYING)],
            RemediationMode.APPLY,
            "info: In progress",
            "1 flow is in progress. 1 of 2 flows is migrated.",
        ),
    ],
)
def test_headline_of_each_outcome(
    flows: list[FlowView], mode: RemediationMode, state: str, sentence: str
) -> None:
    page = build_page(flows, mode=mode)

    assert find_state_and_style(page) == state
    assert find_lead(page).startswith(sentence)


def test_page_of_a_dry_run_shows_that_nothing_was_changed() -> None:
    where = build_environment_job(mode=RemediationMode.DRY_RUN, has_started_flow_jobs=False)
    page = build_page(
        [build_planned_flow("a", where=where), build_needs_changes_flow("b", where=where)],
        mode=RemediationMode.DRY_RUN,
    )

    assert find_state_and_style(page) == "idle: Completed · nothing was changed"
    assert find_lead(page).startswith("Nothing was changed. Of 2 flows, 1 need")
    assert "Actions that would be required" in page


def test_page_of_a_plan_that_awaits_approval_links_to_the_plan() -> None:
    where = build_environment_job(
        state=EnvironmentJobState.AWAITING_APPROVAL,
        has_started_flow_jobs=False,
        awaiting_approval_count=2,
    )
    page = build_page([build_planned_flow("a", where=where), build_planned_flow("b", where=where)])

    assert find_state_and_style(page) == "warn: Awaiting approval"
    assert find_lead(page).startswith("2 flows await approval.")
    assert re.search(r'<a class="button primary" href="[^"]+/plan">Review the plan</a>', page)


def test_firewall_cause_is_shown_once_for_all_environments() -> None:
    first = build_environment_job(firewall_issues=(build_issue("erp", 20), build_issue("edge", 23)))
    second = build_environment_job("env-2", firewall_issues=(build_issue("erp", 20),))
    page = build_page(
        [
            build_denied_flow("a", "erp", where=first),
            build_denied_flow("b", "edge", "erp", where=first),
            build_denied_flow("c", "erp", where=second),
        ]
    )

    assert page.count("<h3>Firewall: 3 flows</h3>") == 1
    assert "2 firewalls deny 23 address ranges of the copies." in page
    assert "Show fix for 2 firewalls" in page
    assert "Firewalls erp, edge" in page
    assert page.count('<span class="sub">Env-2</span>') == 1
    folded = re.findall(r"<details class=\"fold\"><summary>([^<]+)", page)
    assert folded.count("20 missing address ranges") == 2


def test_flows_with_the_same_cause_are_grouped_with_their_own_fixes() -> None:
    same = build_page([build_blocked_flow("a"), build_blocked_flow("b")])
    other = build_page(
        [
            build_blocked_flow("a"),
            build_blocked_flow("b", fix="Enable the owner.", message="It is off."),
        ]
    )

    assert same.count("Name another owner.") == 1
    assert other.count("<h3>Owner unavailable: 2 flows</h3>") == 1
    assert other.count("<b>Fix:</b> Name another owner.") == 1
    assert other.count("<b>Fix:</b> Enable the owner.") == 1


def test_cause_with_many_flows_links_to_the_full_list() -> None:
    flows = [build_blocked_flow(f"Flow {number}") for number in range(1, 131)]
    page = build_page(flows)
    pages = [
        build_page(flows, flows=FlowFilter(reason_code="owner_unavailable"), start=start)
        for start in (0, 100)
    ]

    assert find_titles(page) == [f"Flow {number}" for number in range(1, 21)]
    assert re.search(r'\?reason_code=owner_unavailable#flows">Show all 130 flows', page)
    assert [len(find_titles(one)) for one in pages] == [100, 30]
    assert [title for one in pages for title in find_titles(one)] == [one.title for one in flows]


def test_page_offers_a_new_remediation_for_flows_not_migrated() -> None:
    where = build_environment_job(mode=RemediationMode.DRY_RUN, has_started_flow_jobs=False)
    cancelled = [build_flow(f"Flow {number}", STATES.CANCELLED) for number in range(101)]
    title = "Start a remediation for {}</summary>"

    assert title.format("2 flows") in build_page(
        [build_needs_changes_flow("a"), build_needs_changes_flow("b")]
    )
    assert title.format("1 flow") in build_page([build_flow("a", STATES.ROLLED_BACK)])
    assert "Start a remediation" not in build_page(cancelled)
    assert "Start a remediation" not in build_page(
        [build_needs_changes_flow("a", where=where)], mode=RemediationMode.DRY_RUN
    )


def test_new_remediation_names_no_flow_with_an_unknown_trigger() -> None:
    """A person must start such a remediation, because naming the flow permits its cutover."""
    known, unknown = build_needs_changes_flow("a"), build_needs_changes_flow("b")
    assert unknown.item
    unknown = replace(unknown, item=replace(unknown.item, category="unknown"))

    assert "Start a remediation for 1 flow<" in build_page([known, unknown])
    assert "Start a remediation" not in build_page([unknown])


def test_a_search_finds_flows_by_name_and_by_id() -> None:
    flows = [build_flow("Orders", STATES.COPYING), build_flow("Bills", STATES.RETIRED)]

    assert find_titles(build_page(flows, flows=FlowFilter(search="order"))) == ["Orders"]
    assert find_titles(build_page(flows, flows=FlowFilter(search="ID-BILLS"))) == ["Bills"]
    assert "No flow matches the filter." in build_page(flows, flows=FlowFilter(search="none"))


def test_retry_is_a_button_and_cancel_and_roll_back_are_in_a_menu() -> None:
    page = build_page([build_blocked_flow("a"), build_flow("b", STATES.RETIRED)])
    visible, _, menu = page.partition('<summary class="button">More</summary>')
    menu = menu.partition('<div id="counts"')[0]

    assert "Retry 1 blocked flow</summary>" in visible
    assert "a: retried from the step where it stopped" in visible
    assert "rollback" not in visible
    assert re.findall(r'action="/api/remediations/[^/]+/(\w+)"', menu) == ["cancel", "rollback"]
    assert re.findall(r"<button class=\"button ([^\"]*)\">([^<]+)", menu) == [
        ("", "Cancel remaining flows"),
        ("danger", "Roll back all flows"),
    ]


def test_reader_gets_an_explanation_in_place_of_each_button() -> None:
    page = build_page(
        [build_blocked_flow("a"), build_blocked_flow("b", "manual_caller")],
        roles=frozenset({Role.READER}),
    )

    described = re.findall(r'aria-disabled="true" aria-describedby="([^"]+)"', page)
    shown = dict(re.findall(r'<p class="why" id="([^"]+)">(.*?)</p>', page))

    assert '<form method="post"' not in page
    assert len(described) > len(shown) > 1
    assert {*described} == {*shown}
    assert all("You need the role operator." in reason for reason in shown.values())


def test_a_rolled_back_flow_with_a_method_without_copy_has_no_steps() -> None:
    cut = build_flow("cut", STATES.MONITORING, migration_method=MigrationMethod.CUT_OVER)
    page = build_page(
        [
            cut,
            build_flow("back", STATES.ROLLING_BACK),
            build_flow("early", STATES.PREPARING, migration_method=MigrationMethod.ADD_TO_SOLUTION),
        ]
    )

    assert re.findall(r'class="steps5" role="img" aria-label="([^"]+)"', page) == [
        "3 of 5 steps done, next: Monitored"
    ]
    assert "Rolling back" in page
    assert "Preparing" in page


def test_firewalls_are_listed_until_the_copies_are_verified() -> None:
    """A verified copy can reach its hosts. The Network page follows the same rule."""
    where = build_environment_job(
        state=EnvironmentJobState.RUNNING_FLOW_JOBS, firewall_issues=(build_issue("erp", 3),)
    )
    copying, verified = (
        build_page([replace(build_flow("a", state, where=where), environment_job=where)])
        for state in (STATES.COPYING, STATES.VERIFIED)
    )

    assert "Firewalls that do not allow all addresses of copies" in copying
    assert "Firewalls that do not allow all addresses of copies" not in verified
    assert "When the plan was made, 1 firewall denied the new addresses." in verified


def test_firewall_lists_a_few_flows_and_counts_the_others() -> None:
    names = [build_denied_flow(f"f{number}", "erp") for number in range(8)]
    ids = tuple(one.workflow_id for one in names)
    where = build_environment_job(
        firewall_issues=(build_issue("erp", 3, workflow_ids=ids, flow_count=60),)
    )
    page = build_page([replace(one, environment_job=where) for one in names])

    assert "and 55 more flows." in page
