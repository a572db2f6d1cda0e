from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.environment import ApprovalPolicy
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.network.firewall_fix_record import FirewallFixState
from shared.domain.plans.denying_firewalls import list_denying_firewalls
from shared.domain.plans.remediation import RemediationMode
from shared.reason import Reason
from shared.use_cases.change_environment import change_environment
from shared.use_cases.manage_firewall_fixes import list_applied_fixes
from shared.use_cases.run_daily_check import run_daily_check
from shared.use_cases.set_kill_switch import set_kill_switch
from tests.fakes import definition_builder as define
from tests.functional.scenarios.firewall_scenario import APPLIED, Guarded, build_guarded_scenario
from tests.functional.scenarios.remediation_scenario import kill_after
from tests.kinds.firewalls.network_security_group import build_security_rule

HOUR = timedelta(hours=1)
GROUP = "network_security_group"


async def build_opted_in_scenario(kind: str = GROUP) -> Guarded:
    scenario = await build_guarded_scenario(kind)
    ids = frozenset(path for path in scenario.world.resources if not path.endswith("/config/web"))
    await scenario.opt_in(writable_firewalls=ids)
    return scenario


@pytest.mark.parametrize("kind", APPLIED)
async def test_plan_names_firewall_fix_and_app_applies_it_after_the_approval(kind: str) -> None:
    scenario = await build_opted_in_scenario(kind)
    before = scenario.azure
    await scenario.order()
    [finding] = (await scenario.read_environment_job()).firewall_issues
    planned = scenario.azure

    await scenario.approve()

    [record] = await list_applied_fixes(scenario.services)
    assert finding.fix_by_app.startswith("allow ")
    assert planned == before
    assert (record.state, record.changed_by) == (FirewallFixState.APPLIED, "tests")
    assert record.issue == finding.name
    assert (await scenario.read_job("Orders")).state is FlowJobState.RETIRED


@pytest.mark.parametrize("mode", [RemediationMode.ASSESS, RemediationMode.DRY_RUN])
async def test_dry_run_shows_firewall_fix_and_writes_nothing(mode: RemediationMode) -> None:
    scenario = await build_opted_in_scenario()
    before = scenario.azure

    await scenario.order(mode)

    [finding] = (await scenario.read_environment_job()).firewall_issues
    assert finding.fix_by_app
    assert scenario.azure == before


async def test_plan_changes_no_firewall_that_the_settings_do_not_name() -> None:
    scenario = await build_guarded_scenario(GROUP)
    before = scenario.azure
    await scenario.order()
    [finding] = (await scenario.read_environment_job()).firewall_issues

    await scenario.approve()

    job = await scenario.read_job("Orders")
    assert finding.fix_by_app == ""
    assert job.reason_code == Reason.FIREWALL_DENIES
    # The pages find the firewall by the message of the job.
    assert list_denying_firewalls(job, [replace(finding, firewall_name="x"), finding]) == [finding]
    assert scenario.azure == before


async def test_firewall_permitted_after_the_approval_is_not_changed() -> None:
    scenario = await build_guarded_scenario(GROUP)
    before = scenario.azure
    await scenario.order()
    settings = {"writable_firewalls": frozenset(scenario.world.resources)}
    await change_environment(scenario.services, scenario.build.environment.id, settings)

    await scenario.approve()

    assert (await scenario.read_job("Orders")).reason_code == Reason.FIREWALL_DENIES
    assert scenario.azure == before


async def test_plan_version_depends_on_firewall_fixes() -> None:
    """The approval of a plan without a firewall fix must not count for a plan with one."""
    versions = []
    for scenario in (await build_guarded_scenario(GROUP), await build_opted_in_scenario()):
        await scenario.order()
        await scenario.approve(run=timedelta(0))
        versions.append((await scenario.read_environment_job()).approved_version)

    assert len({*versions}) == 2


async def test_flows_behind_one_firewall_share_one_fix() -> None:
    scenario = await build_opted_in_scenario()
    for number in range(5):
        call = define.build_http_action("https://api.contoso.example/")
        scenario.build.add_http_flow(f"More {number}", {"Call": call})

    await scenario.order()
    await scenario.approve()

    jobs = await scenario.read_jobs()
    assert {job.state for job in jobs.values()} == {FlowJobState.RETIRED}
    assert len(jobs) == 6
    assert len(await list_applied_fixes(scenario.services)) == 1
    assert scenario.azure.count("cmk-PPPlex.WestEurope") == 1


async def test_kill_switch_stops_firewall_fix_and_job_completes_afterwards() -> None:
    scenario = await build_opted_in_scenario(GROUP)
    before = scenario.azure
    await scenario.order()
    await scenario.approve(run=timedelta(0))
    await set_kill_switch(scenario.services, is_on=True, by="ops", reason="storm")
    await scenario.run(HOUR)
    held = scenario.azure
    await set_kill_switch(scenario.services, is_on=False, by="ops", reason="calm")
    await scenario.run(timedelta(days=60))

    assert held == before
    assert (await scenario.read_job("Orders")).state is FlowJobState.RETIRED


@pytest.mark.parametrize("kind", APPLIED)
async def test_fix_is_recorded_once_if_the_process_dies_after_the_write(
    kind: str,
) -> None:
    scenario = await build_opted_in_scenario(kind)
    await scenario.order()
    write = "patch" if kind == "app_service" else "put"
    plan = kill_after(scenario, f"FakeResourceWriter.{write}")

    await scenario.approve()
    await scenario.driver.call(lambda services: run_daily_check(services, "next"))

    [record] = await list_applied_fixes(scenario.services)
    assert plan.has_struck
    assert Reason.FIREWALL_FIX_UNFINISHED not in {
        one.reason_code for one in scenario.fakes.notices.told
    }
    assert record.state is FirewallFixState.APPLIED
    assert (await scenario.read_job("Orders")).state is FlowJobState.RETIRED


async def test_plan_explains_why_the_app_cannot_fix_a_firewall_and_flow_is_blocked() -> None:
    scenario = await build_opted_in_scenario()
    [path] = [one for one in scenario.world.resources if "/networksecuritygroups/" in one]
    group = dict(scenario.world.resources[path])
    refusing = [build_security_rule("first", 100, sourceAddressPrefix="LogicApps.WestEurope")]
    refusing.append(build_security_rule("nobody", 101, access="Deny"))
    group["properties"] = {"securityRules": refusing}
    scenario.world.resources[path] = group
    before = scenario.azure
    await scenario.order()
    [finding] = (await scenario.read_environment_job()).firewall_issues

    await scenario.approve()

    assert finding.fix_by_app == ""
    assert "priority_taken" in finding.fix
    assert (await scenario.read_job("Orders")).reason_code == Reason.FIREWALL_DENIES
    assert scenario.azure == before


async def test_rollback_does_not_revert_firewall_fix() -> None:
    """Other flows may need the fix, so only a person reverts it."""
    scenario = await build_opted_in_scenario()
    await scenario.order()
    await scenario.approve()
    opened = scenario.azure

    await scenario.roll_back()

    assert (await scenario.read_job("Orders")).state is FlowJobState.ROLLED_BACK
    assert scenario.azure == opened


async def test_automatic_approval_policy_applies_firewall_fix_without_approval() -> None:
    scenario = await build_opted_in_scenario()
    settings = {"approval_policy": ApprovalPolicy.AUTOMATIC}
    await change_environment(scenario.services, scenario.build.environment.id, settings)

    await scenario.order(run=timedelta(days=60))

    [record] = await list_applied_fixes(scenario.services)
    assert record.changed_by == "approval policy automatic"
    assert (await scenario.read_job("Orders")).state is FlowJobState.RETIRED
