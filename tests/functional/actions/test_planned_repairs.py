"""Firewalls that a plan opens: those that the settings name, as it was shown and approved."""

from datetime import timedelta

import pytest

from shared.domain.environment import ApprovalPolicy
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.network.firewall_fix_record import FirewallFixState
from shared.domain.plans.remediation import RemediationMode
from shared.reason import Reason
from shared.use_cases.change_environment import change_environment
from shared.use_cases.manage_firewall_fixes import list_repairs
from shared.use_cases.run_daily_check import run_daily_check
from shared.use_cases.set_kill_switch import set_kill_switch
from tests.fakes import definition_builder as define
from tests.functional.actions.test_repair_network import APPLIED, Guarded, guarded
from tests.functional.scenarios.remediation_scenario import kill_after
from tests.kinds.firewalls.network_security_group import security_rule

HOUR = timedelta(hours=1)
GROUP = "network_security_group"


async def opted_in(kind: str = GROUP) -> Guarded:
    """Return a story whose environment lets plans open every resource that there is."""
    story = await guarded(kind)
    ids = frozenset(path for path in story.world.resources if not path.endswith("/config/web"))
    await story.opt_in(repaired_resources=ids)
    return story


@pytest.mark.parametrize("kind", APPLIED)
async def test_a_plan_says_what_it_opens_and_does_it_when_a_proof_needs_it(kind: str) -> None:
    """Nothing before the approval; afterwards the flow is moved, and who approved it is noted."""
    story = await opted_in(kind)
    before = story.azure
    await story.order()
    [finding] = (await story.environment_job()).network
    planned = story.azure

    await story.approve()

    [record] = await list_repairs(story.services)
    assert finding.repair.startswith("let ")
    assert planned == before
    assert (record.state, record.by) == (FirewallFixState.APPLIED, "tests")
    assert record.gap == finding.name
    assert (await story.job("Orders")).state is FlowJobState.RETIRED


@pytest.mark.parametrize("mode", [RemediationMode.ASSESS, RemediationMode.DRY_RUN])
async def test_a_dry_run_shows_it_and_writes_nothing(mode: RemediationMode) -> None:
    """The finding is the same as in the real run."""
    story = await opted_in()
    before = story.azure

    await story.order(mode)

    [finding] = (await story.environment_job()).network
    assert finding.repair
    assert story.azure == before


async def test_without_leave_a_plan_opens_nothing() -> None:
    """The flow waits for a person, as before."""
    story = await guarded(GROUP)
    before = story.azure
    await story.order()
    [finding] = (await story.environment_job()).network

    await story.approve()

    assert finding.repair == ""
    assert (await story.job("Orders")).code == Reason.FIREWALL_DENIES
    assert story.azure == before


async def test_leave_that_is_given_after_the_approval_was_not_approved() -> None:
    """What the plan did not show is not done; the next plan shows it."""
    story = await guarded(GROUP)
    before = story.azure
    await story.order()
    settings = {"repaired_resources": frozenset(story.world.resources)}
    await change_environment(story.services, story.build.environment.id, settings)

    await story.approve()

    assert (await story.job("Orders")).code == Reason.FIREWALL_DENIES
    assert story.azure == before


async def test_leave_counts_in_what_is_approved() -> None:
    """The version of a plan that opens a firewall is another one."""
    versions = []
    for story in (await guarded(GROUP), await opted_in()):
        await story.order()
        await story.approve(run=timedelta(0))
        versions.append((await story.environment_job()).approved_version)

    assert len({*versions}) == 2


async def test_many_flows_open_a_firewall_once() -> None:
    """Who comes second finds it open, or waits until it is."""
    story = await opted_in()
    for number in range(5):
        call = define.http_action("https://api.contoso.example/")
        story.build.http_flow(f"More {number}", {"Call": call})

    await story.order()
    await story.approve()

    jobs = await story.jobs()
    assert {job.state for job in jobs.values()} == {FlowJobState.RETIRED}
    assert len(jobs) == 6
    assert len(await list_repairs(story.services)) == 1
    assert story.azure.count("cmk-PPPlex.WestEurope") == 1


async def test_the_kill_switch_stops_it_and_the_job_goes_on_afterwards() -> None:
    """As every write of the job."""
    story = await opted_in(GROUP)
    before = story.azure
    await story.order()
    await story.approve(run=timedelta(0))
    await set_kill_switch(story.services, is_on=True, by="ops", reason="storm")
    await story.run(HOUR)
    held = story.azure
    await set_kill_switch(story.services, is_on=False, by="ops", reason="calm")
    await story.run(timedelta(days=60))

    assert held == before
    assert (await story.job("Orders")).state is FlowJobState.RETIRED


@pytest.mark.parametrize("kind", APPLIED)
async def test_a_process_that_dies_after_the_write_is_followed_by_one_that_finds_it(
    kind: str,
) -> None:
    """Nothing is there twice, and the daily look brings the record to its end."""
    story = await opted_in(kind)
    await story.order()
    write = "patch" if kind == "app_service" else "put"
    plan = kill_after(story, f"ResourceWriterTwin.{write}")

    await story.approve()
    await story.driver.call(lambda services: run_daily_check(services, "next"))

    [record] = await list_repairs(story.services)
    assert plan.has_struck
    assert Reason.FIREWALL_FIX_UNFINISHED not in {one.code for one in story.twins.notices.told}
    assert record.state is FirewallFixState.APPLIED
    assert (await story.job("Orders")).state is FlowJobState.RETIRED


async def test_what_the_app_cannot_open_is_said_in_the_plan_and_holds_the_flow_up() -> None:
    """No priority is free before the rule that refuses."""
    story = await opted_in()
    [path] = [one for one in story.world.resources if "/networksecuritygroups/" in one]
    group = dict(story.world.resources[path])
    refusing = [security_rule("first", 100, sourceAddressPrefix="LogicApps.WestEurope")]
    refusing.append(security_rule("nobody", 101, access="Deny"))
    group["properties"] = {"securityRules": refusing}
    story.world.resources[path] = group
    before = story.azure
    await story.order()
    [finding] = (await story.environment_job()).network

    await story.approve()

    assert finding.repair == ""
    assert "priority_taken" in finding.instruction
    assert (await story.job("Orders")).code == Reason.FIREWALL_DENIES
    assert story.azure == before


async def test_a_rollback_leaves_it_open() -> None:
    """Others may use it by then; an order closes it."""
    story = await opted_in()
    await story.order()
    await story.approve()
    opened = story.azure

    await story.roll_back()

    assert (await story.job("Orders")).state is FlowJobState.ROLLED_BACK
    assert story.azure == opened


async def test_in_mode_auto_leave_is_enough() -> None:
    """Nobody is asked: that is what the mode means."""
    story = await opted_in()
    settings = {"mode": ApprovalPolicy.AUTOMATIC}
    await change_environment(story.services, story.build.environment.id, settings)

    await story.order(run=timedelta(days=60))

    [record] = await list_repairs(story.services)
    assert record.by == "mode automatic"
    assert (await story.job("Orders")).state is FlowJobState.RETIRED
