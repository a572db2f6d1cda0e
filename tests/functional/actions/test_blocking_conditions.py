from datetime import timedelta

import pytest

from shared.domain.environment import ApprovalPolicy
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.plans.plan_item import PlannedAction
from shared.errors import IssueNotFound
from shared.settings import Settings
from shared.use_cases.change_environment import change_environment, ignore_issue
from shared.use_cases.set_kill_switch import set_kill_switch
from shared.use_cases.show_remediation import show_plan
from tests.fakes import definition_builder as define
from tests.functional.scenarios.disturbance import disturb
from tests.functional.scenarios.firewall_scenario import build_erp_firewall
from tests.functional.scenarios.remediation_scenario import (
    Scenario,
    plan_and_approve,
    plan_and_run_until,
    plan_remediation,
)

HOUR = timedelta(hours=1)


async def test_job_writes_nothing_while_kill_switch_is_on_and_completes_afterwards() -> None:
    scenario = Scenario()
    orders = scenario.build.add_http_flow("Orders")
    scenario.build.add_app_setting_caller(orders)
    await plan_and_run_until(scenario, "Orders", FlowJobState.COPIED)
    await set_kill_switch(scenario.services, is_on=True, by="tests", reason="audit")
    writes = len(scenario.world.writes)

    await scenario.run(timedelta(days=3))
    held = await scenario.read_job("Orders")
    written = scenario.world.writes[writes:]
    await set_kill_switch(scenario.services, is_on=False, by="tests", reason="over")
    await scenario.run(timedelta(days=60))

    assert held.state is FlowJobState.WAITING
    assert "kill switch" in held.message
    assert written == []
    assert (await scenario.read_job("Orders")).state is FlowJobState.RETIRED


async def test_job_is_blocked_if_environment_becomes_read_only() -> None:
    scenario = Scenario()
    scenario.build.add_http_flow("Orders")
    await plan_and_run_until(scenario, "Orders", FlowJobState.COPIED)
    await scenario.set_approval_policy(ApprovalPolicy.READ_ONLY)
    writes = len(scenario.world.writes)

    await scenario.run(timedelta(days=3))
    blocked = await scenario.read_job("Orders")
    written = scenario.world.writes[writes:]
    await scenario.opt_in()
    await scenario.retry()

    assert (blocked.state, blocked.reason_code) == (FlowJobState.BLOCKED, "environment_read_only")
    assert written == []
    assert (await scenario.read_job("Orders")).state is FlowJobState.RETIRED


async def test_job_waits_while_no_policy_is_applied() -> None:
    scenario = Scenario()
    scenario.build.add_http_flow("Orders")
    await plan_and_run_until(scenario, "Orders", FlowJobState.COPIED)
    link = scenario.build.environment.policy
    writes = len(scenario.world.writes)

    scenario.build.unlink()
    await scenario.run(timedelta(days=1))
    unlinking = await scenario.read_job("Orders")
    scenario.build.environment.policy = None
    await scenario.run(timedelta(days=1))
    unlinked = await scenario.read_job("Orders")
    written = scenario.world.writes[writes:]
    scenario.build.environment.policy = link
    await scenario.run(timedelta(days=60))

    assert (unlinking.state, unlinking.message) == (
        FlowJobState.WAITING,
        "The status of the environment's policy is Unlinking.",
    )
    assert "no longer linked" in unlinked.message
    assert written == []
    assert (await scenario.read_job("Orders")).state is FlowJobState.RETIRED


async def test_job_waits_while_another_policy_is_applied() -> None:
    scenario = Scenario()
    scenario.build.add_http_flow("Orders")
    await plan_and_run_until(scenario, "Orders", FlowJobState.COPIED)
    writes = len(scenario.world.writes)

    scenario.build.apply_key(name="cmk-other")
    await scenario.run(timedelta(days=1))

    job = await scenario.read_job("Orders")
    assert (job.state, job.message) == (
        FlowJobState.WAITING,
        "The environment was moved to another encryption policy.",
    )
    assert scenario.world.writes[writes:] == []


async def test_cutover_completes_after_the_maintenance_window_closes() -> None:
    scenario = Scenario()
    keyword = scenario.build.add_keyword_flow("Keyword")
    now = scenario.world.clock.now()
    closes = (now + 2 * HOUR).strftime("%H:%M")
    await plan_and_run_until(
        scenario, "Keyword", FlowJobState.CUTTING_OVER, maintenance_window=f"{now:%H:%M}-{closes}"
    )

    async def close_window() -> None:
        if not keyword.is_on:
            scenario.world.clock.advance_to(now + 3 * HOUR)

    disturb(scenario, "workflows", "update", close_window, after=True)
    await scenario.run(4 * HOUR)

    job = await scenario.read_job("Keyword")
    assert job.state is FlowJobState.WAITING, (job.message, job.history)
    assert job.resume_state is FlowJobState.MONITORING, (job.message, job.history)
    assert scenario.world.get_workflow(keyword.environment_id, job.copy.id).is_on


@pytest.mark.parametrize("name", ["workflow_id", "flow_name"])
async def test_other_flows_are_copied_after_the_pilot_flow_reaches_the_no_call_period(
    name: str,
) -> None:
    scenario = Scenario()
    canary, rest = scenario.build.add_http_flow("Canary"), scenario.build.add_http_flow("Rest")
    canary.flow_name = "0d5c9a4e-0000-4000-8000-00000000abcd"
    site = scenario.build.add_app_setting_caller(canary)
    await plan_remediation(scenario, pilot_flows=frozenset({getattr(canary, name)}))

    await scenario.approve_and_run_until("Rest", FlowJobState.COPYING)

    assert (await scenario.read_job("Canary")).step is FlowJobState.CHECKING_FOR_CALLS
    assert rest.is_on
    assert "invoke" in site.settings["FLOW_URL"]


@pytest.mark.parametrize("name", ["workflow_id", "flow_name"])
async def test_job_of_flow_excluded_while_kill_switch_is_on_writes_nothing(name: str) -> None:
    scenario = Scenario()
    orders = scenario.build.add_http_flow("Orders")
    orders.flow_name = "0d5c9a4e-0000-4000-8000-00000000abcd"
    await plan_remediation(scenario)
    await set_kill_switch(scenario.services, is_on=True, by="tests", reason="look first")
    await scenario.approve(run=HOUR)
    await scenario.opt_in(excluded_flows=frozenset({getattr(orders, name)}))
    await set_kill_switch(scenario.services, is_on=False, by="tests", reason="looked")

    await scenario.run(timedelta(days=60))

    job = await scenario.read_job("Orders")
    assert (job.state, job.reason_code) == (FlowJobState.BLOCKED, "flow_excluded")
    assert scenario.world.writes == []


async def test_flow_can_be_excluded_by_its_flow_name() -> None:
    scenario = Scenario()
    orders = scenario.build.add_http_flow("Orders")
    orders.flow_name = "0d5c9a4e-0000-4000-8000-00000000abcd"

    await plan_remediation(scenario, excluded_flows=frozenset({orders.flow_name}))

    assert (await scenario.plan())["Orders"].action is PlannedAction.NO_CHANGE


async def test_children_of_a_pilot_flow_are_pilot_flows() -> None:
    """Otherwise the pilot flow would wait for its child, and the child for the pilot flow."""
    scenario = Scenario()
    _, parent, _ = scenario.build.add_family("Billing")
    scenario.build.add_http_flow("Rest")

    await plan_and_approve(scenario, pilot_flows=frozenset({parent.workflow_id}))

    jobs = await scenario.read_jobs()
    assert {job.state for job in jobs.values()} == {FlowJobState.RETIRED}, [
        (job.display_name, job.state, job.message) for job in jobs.values()
    ]


async def test_job_is_blocked_until_firewall_allows_the_tag_and_a_person_retries() -> None:
    scenario = Scenario()
    scenario.build.add_http_flow(
        "Orders", {"Call": define.build_http_action("https://erp.contoso.example/")}
    )
    firewall = build_erp_firewall()
    scenario.world.firewalls = [firewall]
    scenario.world.service_tags = _list_service_tags(scenario)
    await plan_remediation(scenario)

    await scenario.approve(run=HOUR)
    blocked = await scenario.read_job("Orders")
    scenario.world.firewalls = [build_erp_firewall("PowerPlatformPlex")]
    await scenario.retry()

    assert (blocked.state, blocked.reason_code) == (FlowJobState.BLOCKED, "firewall_denies")
    assert "erp" in blocked.message
    assert (await scenario.read_job("Orders")).state is FlowJobState.RETIRED


async def test_job_continues_after_its_firewall_issue_is_ignored() -> None:
    scenario = Scenario()
    scenario.build.add_http_flow(
        "Orders", {"Call": define.build_http_action("https://erp.contoso.example/")}
    )
    scenario.world.firewalls = [build_erp_firewall()]
    scenario.world.service_tags = _list_service_tags(scenario)
    await plan_remediation(scenario)
    await scenario.approve(run=HOUR)
    (gap,) = (await scenario.read_environment_job()).firewall_issues
    environment_id = scenario.build.environment.id

    with pytest.raises(IssueNotFound) as misspelled:
        await ignore_issue(scenario.services, environment_id, gap.name[:-1], "by mistake")
    wrong = {"ignored_issues": {"another": "by mistake"}}
    with pytest.raises(IssueNotFound):
        await change_environment(scenario.services, environment_id, wrong)
    await scenario.run(HOUR)
    still = await scenario.read_job("Orders")
    await ignore_issue(
        scenario.services, environment_id, gap.name, "the ERP is not called any more"
    )
    await scenario.run(timedelta(days=60))

    assert misspelled.value.fix == f"Did you mean {gap.name}?"
    assert still.reason_code == "firewall_denies"
    assert (await scenario.read_job("Orders")).state is FlowJobState.RETIRED


async def test_plan_lists_external_hosts_with_flows_and_address_ranges() -> None:
    scenario = Scenario()
    for title in ("Orders", "Returns"):
        call = define.build_http_action("https://api.fabrikam.example/")
        scenario.build.add_http_flow(title, {"Call": call})
    scenario.build.add_http_flow(
        "Bookings", {"Call": define.build_http_action("https://erp.contoso.example/")}
    )
    scenario.world.firewalls = [build_erp_firewall("PowerPlatformPlex")]
    scenario.world.service_tags = _list_service_tags(scenario)
    await plan_remediation(scenario)

    [shown] = await show_plan(scenario.services, scenario.remediation.id)
    [target] = shown.external_hosts

    assert (target.host, target.flow_count) == ("api.fabrikam.example", 2)
    assert target.prefixes == ("20.1.0.0/24",)
    flows = {one.workflow_id: one.display_name for one in shown.items}
    assert sorted(flows[one] for one in target.workflow_ids) == ["Orders", "Returns"]


async def test_settings_accept_an_ignored_issue_that_no_longer_exists() -> None:
    """A client may send settings back that contain the name of a resolved issue."""
    scenario = Scenario()
    scenario.world.firewalls = [build_erp_firewall()]
    scenario.world.service_tags = _list_service_tags(scenario)
    scenario.build.apply_key()
    await scenario.opt_in()
    environment_id = scenario.build.environment.id
    gap = f"app_service:{scenario.world.firewalls[0].id}"

    first = {"ignored_issues": {gap: "shut on purpose"}}
    await change_environment(scenario.services, environment_id, first)
    scenario.world.firewalls = [build_erp_firewall("PowerPlatformPlex")]
    again = {"ignored_issues": {gap: "shut on purpose, as before"}}
    shown = await change_environment(scenario.services, environment_id, again)

    assert shown.settings.ignored_issues == again["ignored_issues"]


async def test_missing_optional_tag_is_a_finding_and_blocks_no_flow() -> None:
    scenario = Scenario()
    scenario.build.add_http_flow(
        "Orders", {"Call": define.build_http_action("https://erp.contoso.example/")}
    )
    scenario.world.firewalls = [build_erp_firewall("PowerPlatformPlex")]
    scenario.world.service_tags = {
        **_list_service_tags(scenario),
        "PowerPlatformInfra.westeurope": ["20.3.0.0/24"],
    }
    await plan_remediation(scenario)
    job = await scenario.read_environment_job()

    await scenario.approve()

    assert job.firewall_issues == ()
    [told] = [finding for finding in job.findings if "erp" in finding]
    assert "PowerPlatformInfra.westeurope" in told
    assert "20.3.0.0/24" in told
    assert (await scenario.read_job("Orders")).state is FlowJobState.RETIRED


async def test_missing_tag_that_a_setting_requires_blocks_the_flow() -> None:
    settings = Settings(tenant_id="fakes", additional_required_tags=("PowerPlatformInfra",))
    scenario = Scenario(settings=settings)
    scenario.build.add_http_flow(
        "Orders", {"Call": define.build_http_action("https://erp.contoso.example/")}
    )
    scenario.world.firewalls = [build_erp_firewall("PowerPlatformPlex")]
    scenario.world.service_tags = {
        **_list_service_tags(scenario),
        "PowerPlatformInfra.westeurope": ["20.3.0.0/24"],
    }
    await plan_remediation(scenario)

    await scenario.approve(run=HOUR)
    blocked = await scenario.read_job("Orders")
    scenario.world.firewalls = [build_erp_firewall("PowerPlatformPlex", "PowerPlatformInfra")]
    await scenario.retry()

    assert (blocked.state, blocked.reason_code) == (FlowJobState.BLOCKED, "firewall_denies")
    assert "PowerPlatformInfra.westeurope" in blocked.fix
    assert (await scenario.read_job("Orders")).state is FlowJobState.RETIRED


def _list_service_tags(scenario: Scenario) -> dict[str, list[str]]:
    regions = ("westeurope", "northeurope")
    ranges = {f"powerplatformplex.{region}": ["20.1.0.0/24"] for region in regions}
    return {**ranges, "powerplatformplex": ["20.1.0.0/24"], "logicapps": ["20.2.0.0/24"]}


async def test_waiting_job_continues_after_the_maintenance_window_is_removed() -> None:
    scenario = Scenario()
    scenario.build.add_http_flow("Orders")
    opens = scenario.world.clock.now() + 9 * HOUR
    await plan_remediation(scenario, maintenance_window=f"{opens:%H:%M}-{opens + HOUR:%H:%M}")
    await scenario.approve(run=HOUR)
    held = await scenario.read_job("Orders")

    await change_environment(
        scenario.services, scenario.build.environment.id, {"maintenance_window": ""}
    )
    await scenario.run(scenario.settings.read_lag)

    assert (held.state, held.next_check_at) == (FlowJobState.WAITING, opens)
    assert (await scenario.read_job("Orders")).is_verified
