import math
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.domain.assessment.assessment import (
    AssessedCaller,
    AssessedFlow,
    AssessmentPhase,
    RemediationStatus,
)
from shared.domain.assessment.environment_findings import (
    list_eligibility_findings,
    list_network_findings,
)
from shared.domain.assessment.estimate import (
    CALLER_CALLS,
    DAILY_POOL,
    DATAVERSE_CALLS,
    FLOW_SERVICE_CALLS,
    ProcessingRates,
    estimate_effort,
)
from shared.domain.assessment.flows import assess_flows, find_phase, list_flow_findings
from shared.domain.assessment.recommendations import list_recommendations
from shared.domain.assessment.snapshots import EnvironmentSnapshot, MicrosoftKeyLists, NoAnswer
from shared.domain.assessment.uncovered_features import (
    list_copilot_findings,
    list_run_history_findings,
)
from shared.domain.definitions.connector_sign_in import parse_sign_in
from shared.domain.definitions.flow_definition import DefinitionFormat
from shared.domain.definitions.flow_summary import DefinitionSummary
from shared.domain.definitions.trigger_kinds import TriggerCategory
from shared.domain.environment import Environment, PolicyLink, PolicyLinkStatus
from shared.domain.finding import Finding, FindingLevel
from shared.domain.network.firewall_issue import FirewallIssue, build_issue_for_external_host
from shared.domain.plans.flow_facts import FlowFacts
from shared.domain.plans.microsoft_key_reason import MicrosoftKeyReason

NOW = datetime(2026, 3, 1, 9, tzinfo=UTC)
SILENT = NoAnswer(message="no answer")


def build_flow(name: str, category: TriggerCategory, *children: str, **more: Any) -> FlowFacts:
    summary = DefinitionSummary(
        format=DefinitionFormat.CLIENT_DATA,
        trigger_name="manual",
        trigger_categories=(category,),
        children=frozenset(children),
        http_hosts=(),
        uses_list_flows_as_admin_v1=False,
    )
    facts = FlowFacts(
        workflow_id=name.lower(),
        flow_name=f"name-{name.lower()}",
        display_name=name,
        owner="maker",
        is_on=True,
        is_managed=False,
        in_solution=True,
        summary=summary,
    )
    return replace(facts, **more)


def build_lists(*staying: str, movable: int = 0, is_joined: bool = True) -> MicrosoftKeyLists:
    ids = frozenset(staying)
    return MicrosoftKeyLists(
        on_microsoft_key=ids, not_movable=ids, movable=movable, is_matched=is_joined
    )


def build_facts(
    *flows: FlowFacts, status: PolicyLinkStatus | None = None, **more: Any
) -> EnvironmentSnapshot:
    link = PolicyLink(policy_id="p", system_id="s", status=status) if status else None
    environment = Environment(
        id="e",
        display_name="Contoso",
        geography="europe",
        region="westeurope",
        sku="Production",
        is_managed=True,
        is_enabled=True,
        policy=link,
        dataverse_url="https://contoso.api.crm4.dynamics.com",
    )
    plain = EnvironmentSnapshot(
        read_at=NOW,
        environment=environment,
        keyed_environments=1,
        policy=None,
        key=None,
        flows={one.workflow_id: one for one in flows},
        microsoft_key_lists=build_lists(),
        differences=(),
        connections=(),
        canvas_apps=(),
        hosted_machine_groups=(),
        creates_flows_in_solutions=True,
        firewall_issues=(),
        linked_at=None,
    )
    return replace(plain, **more)


def get_by_code(findings: Iterable[Finding], code: str) -> Finding:
    (found,) = (one for one in findings if one.code == code)
    return found


@pytest.mark.parametrize(
    ("status", "lists", "phase"),
    [
        (None, build_lists(), AssessmentPhase.BEFORE_KEY),
        (PolicyLinkStatus.LINKING, build_lists(), AssessmentPhase.PLATFORM_MIGRATION),
        (PolicyLinkStatus.LINKED, build_lists("a", movable=2), AssessmentPhase.PLATFORM_MIGRATION),
        (PolicyLinkStatus.LINKED, build_lists("a"), AssessmentPhase.AFTER_KEY),
        (PolicyLinkStatus.LINKED, SILENT, AssessmentPhase.UNKNOWN),
    ],
)
def test_the_phase_comes_from_the_link_and_the_lists(
    status: PolicyLinkStatus | None, lists: MicrosoftKeyLists | NoAnswer, phase: AssessmentPhase
) -> None:
    assert find_phase(build_facts(status=status, microsoft_key_lists=lists)) is phase


def test_listed_flow_without_a_known_reason_is_reported() -> None:
    there = build_facts(
        build_flow("Daily", TriggerCategory.RECURRENCE), microsoft_key_lists=build_lists("daily")
    )

    (found,) = assess_flows(there)
    told = get_by_code(list_flow_findings(there, [found]), "report_reconciled")

    assert found.microsoft_key_reasons == ("unknown",)
    assert "The platform lists Daily" in told.message


def test_unlisted_flow_with_a_reason_is_reported_before_the_key_is_applied() -> None:
    orders = build_flow("Orders", TriggerCategory.HTTP)

    (found,) = assess_flows(build_facts(orders))
    told = get_by_code(list_flow_findings(build_facts(orders), [found]), "report_reconciled")

    assert found.is_on_microsoft_key_list is False
    assert "stays (http_trigger)" in told.message
    assert assess_flows(build_facts(orders, status=PolicyLinkStatus.LINKED)) == ()


def test_blocked_by_flows_ends_at_a_flow_with_its_own_reason() -> None:
    there = build_facts(
        build_flow("Child", TriggerCategory.HTTP),
        build_flow("Middle", TriggerCategory.HTTP, "child"),
        build_flow("Top", TriggerCategory.RECURRENCE, "middle"),
        microsoft_key_lists=build_lists("child", "middle", "top"),
    )

    ways = {one.display_name: one.blocked_by_flows for one in assess_flows(there)}

    assert ways == {"Child": (), "Middle": ("Child",), "Top": ("Middle", "Child")}


@pytest.mark.parametrize(
    ("policy", "status", "text"),
    [
        (None, None, "no policy was named"),
        (None, PolicyLinkStatus.LINKED, "none of the subscriptions that the app reads"),
        (SILENT, PolicyLinkStatus.LINKED, "could not be read: no answer"),
    ],
)
def test_geography_finding_is_unknown_with_its_cause_if_it_cannot_be_compared(
    policy: NoAnswer | None, status: PolicyLinkStatus | None, text: str
) -> None:
    there = build_facts(policy=policy, status=status)

    found = get_by_code(list_eligibility_findings(there), "environment_geography")

    assert found.level is FindingLevel.UNKNOWN
    assert text in found.message


def test_parent_chains_contain_one_chain_for_each_called_flow_that_stays() -> None:
    there = build_facts(
        build_flow("Near", TriggerCategory.HTTP),
        build_flow("Far", TriggerCategory.TEAMS_WEBHOOK),
        build_flow("Middle", TriggerCategory.RECURRENCE, "far", "gone"),
        build_flow("Top", TriggerCategory.RECURRENCE, "near", "middle"),
        microsoft_key_lists=build_lists("near", "far", "middle", "top"),
    )

    chains = {one.display_name: one.parent_chains for one in assess_flows(there)}

    assert chains["Near"] == ()
    assert chains["Middle"] == (("Far",), ("gone (not in this environment)",))
    assert chains["Top"] == (
        ("Near",),
        ("Middle", "Far"),
        ("Middle", "gone (not in this environment)"),
    )


RATES = ProcessingRates(
    flow_service_requests_per_minute=5,
    flow_service_requests_per_day=40_000,
    no_call_period=timedelta(days=7),
)


def test_effort_beyond_the_daily_request_limit_takes_more_than_a_day() -> None:
    there = build_facts(
        build_flow("Orders", TriggerCategory.HTTP), microsoft_key_lists=build_lists("orders")
    )
    (known,) = assess_flows(there)
    few = replace(RATES, flow_service_requests_per_minute=100, flow_service_requests_per_day=1_300)

    assert estimate_effort([known] * 90, few).minutes == 24 * 60
    assert estimate_effort([known] * 91, few).minutes == 24 * 60 + 1
    assert estimate_effort([known] * 90, RATES).minutes == 90 * FLOW_SERVICE_CALLS // 5


def test_effort_names_the_reason_for_which_it_may_be_higher() -> None:
    rates = RATES
    there = build_facts(
        build_flow("Orders", TriggerCategory.HTTP), microsoft_key_lists=build_lists("orders")
    )
    (known,) = assess_flows(there)
    doubtful = replace(known, callers_unknown_reason="Places were not searched.")

    assert estimate_effort([known], rates).unknown_reason == ""
    assert "callers of 1 flow" in estimate_effort([doubtful], rates).unknown_reason
    assert "could be read" in estimate_effort([], rates, has_read_all=False).unknown_reason


def test_call_loop_is_a_finding_and_blocks_both_flows() -> None:
    there = build_facts(
        build_flow("One", TriggerCategory.HTTP, "two"),
        build_flow("Two", TriggerCategory.HTTP, "one"),
        microsoft_key_lists=build_lists("one", "two"),
    )

    found = assess_flows(there)

    assert {one.display_name: one.blocked_by_flows for one in found} == {
        "One": ("Two",),
        "Two": ("One",),
    }
    assert "One, Two" in get_by_code(list_flow_findings(there, found), "flow_cycle").message


def test_call_loop_of_retired_originals_is_no_finding() -> None:
    there = build_facts(
        build_flow("One", TriggerCategory.HTTP, "two"),
        build_flow("Two", TriggerCategory.HTTP, "one"),
        microsoft_key_lists=build_lists("one", "two"),
    )
    retired = [
        replace(one, remediation_status=RemediationStatus.RETIRED) for one in assess_flows(there)
    ]

    codes = {one.code for one in list_flow_findings(there, retired)}

    assert "flow_cycle" not in codes
    assert "flows_staying" not in codes


@pytest.mark.parametrize(
    ("status", "level"),
    [(None, FindingLevel.PROBLEM), (PolicyLinkStatus.LINKED, FindingLevel.WARNING)],
)
def test_environment_limit_is_a_problem_only_before_the_key(
    status: PolicyLinkStatus | None, level: FindingLevel
) -> None:
    found = list_eligibility_findings(build_facts(status=status, keyed_environments=40))

    assert get_by_code(found, "environment_limit").level is level


def test_parent_of_a_child_in_another_environment_is_undetermined() -> None:
    (found,) = assess_flows(build_facts(build_flow("Parent", TriggerCategory.BUTTON, "elsewhere")))

    assert found.stays_on_microsoft_key is None
    assert found.blocked_by_flows == ("elsewhere (not in this environment)",)


def test_flow_with_an_unreadable_definition_is_undetermined_unless_it_is_listed() -> None:
    broken = build_flow("Broken", TriggerCategory.HTTP, summary=None, problem="no JSON")

    (open_,) = assess_flows(build_facts(broken))
    (listed,) = assess_flows(build_facts(broken, microsoft_key_lists=build_lists("broken")))

    assert open_.stays_on_microsoft_key is None
    assert listed.stays_on_microsoft_key is True


def test_findings_about_unread_flows_are_unknown() -> None:
    there = build_facts(microsoft_key_lists=build_lists("strange", is_joined=False))

    levels = {one.level for one in [*list_copilot_findings(there), *list_network_findings(there)]}
    unread = build_facts(flows=SILENT, differences=("Orders is listed as staying.",))
    told = list(list_flow_findings(unread, []))

    assert levels == {FindingLevel.UNKNOWN}
    assert [one.level for one in told] == [FindingLevel.UNKNOWN, FindingLevel.WARNING]


@pytest.mark.parametrize(
    ("is_required", "is_certain", "level"),
    [
        (True, True, FindingLevel.PROBLEM),
        (True, False, FindingLevel.UNKNOWN),
        (False, True, FindingLevel.WARNING),
    ],
)
def test_severity_of_a_firewall_issue_depends_on_its_certainty_and_requirement(
    is_required: bool, is_certain: bool, level: FindingLevel
) -> None:
    gap = FirewallIssue(
        name="app_service:/erp",
        kind="app_service",
        firewall_id="/erp",
        firewall_name="erp",
        is_required=is_required,
        is_certain=is_certain,
        missing_tags=("PowerPlatformPlex.WestEurope",),
        missing_prefixes=("20.61.88.128/26",),
        message="erp denies addresses.",
        fix="Allow them.",
    )
    orders = build_flow("Orders", TriggerCategory.HTTP)
    assert orders.summary is not None
    calling = replace(orders, summary=replace(orders.summary, http_hosts=("erp.contoso.example",)))
    there = build_facts(calling, firewall_issues=(gap,))

    assert get_by_code(list_network_findings(there), "firewall").level is level


def test_equal_warnings_about_firewalls_are_one_finding() -> None:
    gaps = [
        FirewallIssue(
            name=f"app_service:/erp{number}",
            kind="app_service",
            firewall_id=f"/erp{number}",
            firewall_name=f"erp{number}",
            is_required=False,
            is_certain=number > 2,
            missing_tags=("PowerPlatformInfra.WestEurope",),
            missing_prefixes=("20.61.88.128/26",),
            message=f"erp{number} denies addresses.",
            fix=f"Allow them on erp{number}.",
        )
        for number in range(1, 8)
    ]
    hosts = [
        build_issue_for_external_host(host, ["Orders"], {})
        for host in ("a.fabrikam.example", "b.fabrikam.example")
    ]
    calling = build_flow("Orders", TriggerCategory.HTTP)
    assert calling.summary is not None
    calling = replace(
        calling, summary=replace(calling.summary, http_hosts=("erp.contoso.example",))
    )
    private = replace(
        gaps[0],
        name="app_service:/private",
        denies_all_public_access=True,
        fix="Turn public access on.",
    )
    there = build_facts(calling, firewall_issues=(*gaps, private, *hosts))

    warnings = [one for one in list_network_findings(there) if one.code == "firewall"]

    assert [one.level for one in warnings] == [FindingLevel.WARNING] * 3
    assert warnings.pop(1).fix == "Turn public access on."
    assert "7 firewalls" in warnings[0].message
    assert warnings[0].message.endswith(": erp1, erp2, erp3, erp4, erp5 and 2 more.")
    assert "CMK_ADDITIONAL_REQUIRED_TAGS" in warnings[0].fix
    assert warnings[1].message.endswith(": a.fabrikam.example, b.fabrikam.example.")
    assert "Ask their owners" in warnings[1].fix


@pytest.mark.parametrize(
    ("days", "level"),
    [(None, FindingLevel.WARNING), (3, FindingLevel.WARNING), (5, FindingLevel.PROBLEM)],
)
def test_movable_flows_long_after_the_link_are_a_case_for_support(
    days: int | None, level: FindingLevel
) -> None:
    since = None if days is None else NOW - timedelta(days=days)
    there = build_facts(
        status=PolicyLinkStatus.LINKED, microsoft_key_lists=build_lists(movable=1), linked_at=since
    )

    found = get_by_code(list_eligibility_findings(there), "policy_link")

    assert found.level is level
    assert "support" in found.fix


@pytest.mark.parametrize(
    ("days", "level", "text"),
    [
        (None, FindingLevel.UNKNOWN, "so is the last day"),
        (10, FindingLevel.WARNING, "until 2026-03-21 at the latest"),
        (31, FindingLevel.WARNING, "ended about 2026-02-28"),
    ],
)
def test_the_ticket_for_run_history_has_a_last_day(
    days: int | None, level: FindingLevel, text: str
) -> None:
    since = None if days is None else NOW - timedelta(days=days)

    (found,) = list_run_history_findings(
        build_facts(status=PolicyLinkStatus.LINKED, linked_at=since)
    )

    assert found.level is level
    assert text in found.message


@pytest.mark.parametrize("is_before", [True, False])
@pytest.mark.parametrize("reason", list(MicrosoftKeyReason))
def test_there_is_advice_for_every_reason(reason: MicrosoftKeyReason, *, is_before: bool) -> None:
    advice = list_recommendations([reason], is_before=is_before, is_managed=False)

    managed = list_recommendations([reason], is_before=is_before, is_managed=True)
    assert advice
    assert managed[1:] == advice
    assert "where the solution is developed" in managed[0]


@pytest.mark.parametrize(
    ("connector", "chosen", "answer"),
    [
        ({"connectionParameters": {"token": {"type": "oauthSetting"}}}, "", True),
        ({"connectionParameters": {"password": {"type": "securestring"}}}, "", False),
        ({"connectionParameters": {}}, "", False),
        ({}, "", None),
        ("sets", "entra", True),
        ("sets", "basic", False),
        ("sets", "", None),
    ],
)
def test_sign_in_of_a_connection_is_parsed_from_its_connector(
    connector: Any, chosen: str, answer: bool | None
) -> None:
    sets = {
        "connectionParameterSets": {
            "values": [
                {"name": "entra", "parameters": {"token": {"type": "oauthSetting"}}},
                {"name": "basic", "parameters": {"password": {"type": "securestring"}}},
            ]
        }
    }

    assert parse_sign_in(sets if connector == "sets" else connector).uses_oauth(chosen) is answer


def test_effort_counts_each_caller_once_and_excludes_managed_flows() -> None:
    there = build_facts(
        build_flow("Orders", TriggerCategory.HTTP),
        build_flow("Bills", TriggerCategory.HTTP),
        build_flow("Bought", TriggerCategory.HTTP, is_managed=True),
        microsoft_key_lists=build_lists("orders", "bills", "bought"),
    )
    callers = (
        AssessedCaller(kind="app_setting", label="URL of shop", holds_url=True),
        AssessedCaller(kind="canvas_app", label="app Shop", manual_reason="by its maker"),
    )
    flows: list[AssessedFlow] = [replace(one, callers=callers) for one in assess_flows(there)]
    rates = replace(RATES, flow_service_requests_per_minute=4)

    effort = estimate_effort(flows, rates)

    assert (effort.copies, effort.callers, effort.manual_callers) == (2, 1, 1)
    assert effort.url_holder_count == 1
    calls = 2 * (FLOW_SERVICE_CALLS + DATAVERSE_CALLS) + CALLER_CALLS
    minutes = math.ceil(2 * FLOW_SERVICE_CALLS / 4)
    assert (effort.requests, effort.minutes, effort.no_call_days) == (calls, minutes, 7)
    assert effort.share_of_daily_pool == round(calls / DAILY_POOL, 4)
