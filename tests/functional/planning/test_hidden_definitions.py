from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import pytest

from shared.domain.environment import ApprovalPolicy
from shared.domain.flow import FlowServiceFlow
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.plans.plan_item import PlannedAction
from shared.domain.plans.remediation import RemediationMode
from shared.errors import JobBlocked, PlatformMigrationInProgress
from shared.reason import Reason
from shared.settings import OnOriginalEdited
from shared.use_cases.change_remediation import cancel
from shared.use_cases.run_daily_check import run_daily_check
from shared.use_cases.set_kill_switch import set_kill_switch
from tests.fakes.driver import Driver
from tests.fakes.pause import PauseBefore
from tests.fakes.ports import Ports
from tests.fakes.tenant import FakeFlow
from tests.functional.copying.co_ownership_ports import SlowRights
from tests.functional.scenarios.disturbance import disturb
from tests.functional.scenarios.remediation_scenario import Scenario, edit, kill_after

HOUR = timedelta(hours=1)


def build_hidden_scenario(
    mode: ApprovalPolicy = ApprovalPolicy.REQUIRED,
) -> tuple[Scenario, FakeFlow]:
    scenario = Scenario(mode=mode)
    assumptions = scenario.world.assumptions
    assumptions.my_flows_have_rows = False
    assumptions.definitions_hidden_from_administrators = True
    flow = scenario.build.add_http_flow("Hidden")
    flow.in_solution, flow.flow_name = False, flow.workflow_id
    scenario.build.apply_key()
    return scenario, flow


async def test_flow_with_a_hidden_definition_is_planned_and_copied() -> None:
    scenario, flow = build_hidden_scenario()
    await scenario.start_remediation()
    item = (await scenario.plan())["Hidden"]
    between = dict(flow.co_owners)

    await scenario.approve()

    assert (item.action, item.category) == (PlannedAction.COPY, "http")
    job = await scenario.read_job("Hidden")
    assert job.state is FlowJobState.RETIRED, job.message
    assert not flow.is_on
    assert (between, flow.co_owners, job.grants.active) == ({}, {}, ())


@pytest.mark.parametrize("mode", [RemediationMode.ASSESS, RemediationMode.DRY_RUN])
async def test_dry_run_does_not_read_a_hidden_definition(mode: RemediationMode) -> None:
    scenario, _ = build_hidden_scenario()
    await scenario.opt_in()

    await scenario.order(mode)

    item = (await scenario.plan())["Hidden"]
    assert (item.action, item.category) == (PlannedAction.NEEDS_CHANGES, "unknown")
    assert f"in mode {mode} may not grant access" in item.message
    assert "service account" in item.fix
    assert scenario.world.writes == []


async def test_plan_is_made_without_a_grant_while_the_kill_switch_is_on() -> None:
    scenario, _ = build_hidden_scenario()
    scenario.build.add_http_flow("Orders")
    scenario.build.migrate()
    await scenario.opt_in()
    await set_kill_switch(scenario.services, is_on=True, by="tests", reason="test")

    await scenario.order()

    plan = await scenario.plan()
    assert (plan["Orders"].category, plan["Hidden"].category) == ("http", "unknown")
    assert "kill switch" in plan["Hidden"].message
    assert scenario.world.writes == []


async def test_service_account_that_is_a_co_owner_needs_no_grant() -> None:
    scenario, flow = build_hidden_scenario()
    flow.co_owners[scenario.world.operator.entra_id] = "CanEdit"
    await scenario.opt_in()

    await scenario.order(RemediationMode.DRY_RUN)

    assert (await scenario.plan())["Hidden"].category == "http"
    assert scenario.world.writes == []
    assert flow.co_owners == {scenario.world.operator.entra_id: "CanEdit"}


class NoServiceAccount:
    async def read_definition(self, environment_id: str, flow_name: str) -> FlowServiceFlow:
        raise JobBlocked("No operator is set up.", code=Reason.SERVICE_ACCOUNT_SIGNED_OUT)


async def test_plan_names_a_missing_service_account() -> None:
    scenario, _ = build_hidden_scenario()
    scenario.around = lambda ports: replace(ports, flow_access=cast("Any", NoServiceAccount()))

    await scenario.start_remediation()

    item = (await scenario.plan())["Hidden"]
    assert (item.action, item.category) == (PlannedAction.NEEDS_CHANGES, "unknown")
    assert "No operator is set up" in item.message


async def test_plan_waits_until_a_grant_takes_effect() -> None:
    scenario, flow = build_hidden_scenario()
    access = SlowRights(scenario.fakes.ports.flow_access, flow.flow_name, 0, definitions=3)

    def wrap_ports(ports: Ports) -> Ports:
        return replace(ports, flow_access=cast("Any", access))

    scenario.around = wrap_ports

    await scenario.start_remediation()

    assert (await scenario.plan())["Hidden"].category == "http"
    assert flow.co_owners == {}


@pytest.mark.parametrize("call", ["grant", "revoke"])
async def test_plan_waits_during_a_platform_migration(call: str) -> None:
    """The platform rejects grants and revocations during its migration."""
    scenario, flow = build_hidden_scenario()
    await scenario.opt_in()

    async def reject() -> None:
        raise PlatformMigrationInProgress(
            "moving", code="EnvironmentMigrationInProgress", status=409
        )

    disturb(scenario, "flow_access", call, reject)

    await scenario.order(run=timedelta(minutes=1))

    assert (await scenario.read_environment_job()).reason_code == Reason.PLATFORM_MIGRATION_RUNNING
    await scenario.run(timedelta(hours=2))
    assert (await scenario.plan())["Hidden"].category == "http"
    assert flow.co_owners == {}


@pytest.mark.parametrize("call", ["grant", "read_definition", "revoke"])
async def test_grant_of_a_killed_invocation_is_revoked(call: str) -> None:
    scenario, flow = build_hidden_scenario()
    await scenario.opt_in()
    plan = kill_after(scenario, f"FakeFlowAccess.{call}")

    await scenario.order()

    assert plan.at is not None
    assert (await scenario.plan())["Hidden"].category == "http"
    assert flow.co_owners == {}


async def test_timer_revokes_the_grant_of_a_cancelled_job() -> None:
    scenario, flow = build_hidden_scenario()
    await scenario.opt_in()
    disturb(
        scenario,
        "flow_access",
        "grant",
        lambda: cancel(scenario.services, scenario.remediation.id),
        after=True,
    )

    await scenario.order(run=timedelta(days=2))

    assert (await scenario.read_environment_job()).state == "cancelled"
    assert flow.co_owners == {}


async def test_grant_is_recorded_while_an_edited_original_is_copied_again() -> None:
    scenario, flow = build_hidden_scenario()
    scenario.settings = scenario.settings.model_copy(
        update={"on_original_edited": OnOriginalEdited.COPY_AGAIN}
    )
    scenario.renew()
    await scenario.start_remediation()
    await scenario.approve(run=timedelta(hours=1))
    assert (await scenario.read_job("Hidden")).step is FlowJobState.CHECKING_FOR_CALLS
    edit(flow)
    unnoted: list[object] = []

    def record_missing_grants() -> None:
        rows = [row for name, row in scenario.fakes.store.rows.items() if name[0] == "flowjobs"]
        if flow.co_owners and '"active_grants":[]' in str(rows):
            unnoted.append(rows)

    scenario.driver.meanwhile = record_missing_grants
    await scenario.run(timedelta(days=30))

    job = await scenario.read_job("Hidden")
    assert [change.state for change in job.history].count(FlowJobState.COPYING) == 2
    assert (job.state, unnoted, flow.co_owners) == (FlowJobState.RETIRED, [], {})


@pytest.mark.parametrize("is_approved", [False, True])
async def test_late_grant_of_a_frozen_invocation_is_revoked(*, is_approved: bool) -> None:
    scenario, flow = build_hidden_scenario(
        ApprovalPolicy.AUTOMATIC if is_approved else ApprovalPolicy.REQUIRED
    )
    await scenario.opt_in()
    pause = PauseBefore(
        call="FakeFlowAccess.grant",
        number=1,
        sleeps=timedelta(minutes=9),
        clock=scenario.world.clock,
    )
    scenario.driver = Driver(fakes=scenario.fakes, make=scenario.make, plan=pause)

    await scenario.order(run=timedelta(minutes=8))
    planned = await scenario.read_environment_job()
    assert (pause.is_asleep, planned.grants.past) == (True, (flow.flow_name,))
    assert planned.state == ("running_flow_jobs" if is_approved else "awaiting_approval")
    await scenario.run(timedelta(minutes=2))
    assert flow.co_owners
    await scenario.run(timedelta(hours=2))

    assert flow.co_owners == {}
    job = await scenario.read_environment_job()
    assert (job.state, job.has_grants) == (planned.state, False)


async def test_daily_check_revokes_a_late_grant_of_a_plan() -> None:
    scenario, flow = build_hidden_scenario()
    await scenario.opt_in()
    pause = PauseBefore(
        call="FakeFlowAccess.grant",
        number=1,
        sleeps=timedelta(hours=2),
        clock=scenario.world.clock,
    )
    scenario.driver = Driver(fakes=scenario.fakes, make=scenario.make, plan=pause)
    await scenario.order(run=timedelta(hours=3))
    assert not pause.is_asleep
    assert flow.co_owners != {}

    await scenario.driver.call(lambda s: run_daily_check(s, "today"))

    assert flow.co_owners == {}
    assert Reason.GRANT_NOT_REVOKED not in [
        told.reason_code for told in scenario.fakes.notices.told
    ]
