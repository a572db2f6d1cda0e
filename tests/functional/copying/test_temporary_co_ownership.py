from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from local_cloud.tenant.core.earlier_times import Lag
from shared.domain.jobs.flow_job import FlowJob
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.jobs.grants import Grants
from shared.errors import PlatformMigrationInProgress
from shared.reason import Reason
from shared.steps.flows.temporary_co_ownership import remove_co_ownership
from tests.fakes.driver import Driver
from tests.fakes.pause import Pause
from tests.fakes.sharing import is_co_owned
from tests.fakes.tenant import FakeFlow
from tests.functional.copying.co_ownership_ports import KeptRights, delay_rights
from tests.functional.scenarios.remediation_scenario import (
    Scenario,
    edit,
    plan_and_run_until,
    plan_remediation,
)

#: How access is granted: by a Dataverse share, or by the flow service.
by_either_service = pytest.mark.parametrize("is_heard", [True, False])


@pytest.mark.parametrize("is_existing", [True, False])
async def test_only_a_grant_of_the_app_is_revoked_after_its_delayed_effect(
    *, is_existing: bool
) -> None:
    scenario = Scenario()
    original = scenario.build.add_http_flow("Orders")
    existing = {scenario.world.operator.entra_id: "CanEdit"} if is_existing else {}
    original.co_owners |= existing
    scenario.build.apply_key()
    access = delay_rights(scenario, original, refusals=5)

    await scenario.run_remediation()

    job = await scenario.read_job("Orders")
    assert access.refusals == 0
    assert job.state is FlowJobState.RETIRED, job.message
    assert (job.original.flow_name in job.grants.past) is not is_existing
    assert original.co_owners == existing


class PauseAtGrant(Pause):
    """Freezes the process before it grants co-ownership in the flow service."""

    step = "FakeFlowAccess.grant"

    def enter(self, name: str) -> int:
        if name == self.step and self.at is None:
            self.at = self.calls + 1
        return Pause.enter(self, name)


class PauseAtShare(PauseAtGrant):
    """Freezes the process before it grants co-ownership through a share in Dataverse."""

    step = "FakeFlowSharing.grant"


async def freeze_at_a_grant(scenario: Scenario, *, is_heard: bool) -> tuple[Pause, FlowJob]:
    """Freeze the invocation that verifies the copy of Orders for nine minutes, before its grant."""
    scenario.world.assumptions.shares_let_people_ask = is_heard
    job = await plan_and_run_until(scenario, "Orders", FlowJobState.COPIED)
    at = PauseAtShare if is_heard else PauseAtGrant
    pause = at(sleeps=timedelta(minutes=9), clock=scenario.world.clock)
    scenario.driver = Driver(fakes=scenario.fakes, make=scenario.make, plan=pause)
    await scenario.run(scenario.settings.read_lag)
    assert pause.is_asleep
    return pause, job


@by_either_service
async def test_late_grant_is_revoked_after_its_job_is_blocked(*, is_heard: bool) -> None:
    scenario = Scenario()
    soon = {"read_back_timeout": timedelta(minutes=1)}
    scenario.settings = scenario.settings.model_copy(update=soon)
    scenario.build.add_http_flow("Orders")
    pause, job = await freeze_at_a_grant(scenario, is_heard=is_heard)

    copy = scenario.world.get_workflow(job.environment_id, job.copy.id)
    edit(copy)
    await scenario.run(timedelta(minutes=8))
    assert (await scenario.read_job("Orders")).state is FlowJobState.BLOCKED
    await scenario.run(timedelta(minutes=2))
    assert not pause.is_asleep
    assert is_co_owned(scenario.world, copy)
    await scenario.run(timedelta(hours=1))

    assert not is_co_owned(scenario.world, copy)
    job = await scenario.read_job("Orders")
    assert (job.state, job.reason_code, job.has_grants) == (
        FlowJobState.BLOCKED,
        "copy_changed",
        False,
    )


@by_either_service
async def test_late_grant_is_revoked_in_the_no_call_period(*, is_heard: bool) -> None:
    scenario = Scenario()
    orders = scenario.build.add_http_flow("Orders")
    _, job = await freeze_at_a_grant(scenario, is_heard=is_heard)
    copy = scenario.world.get_workflow(job.environment_id, job.copy.id)

    await scenario.run(timedelta(minutes=8))
    job = await scenario.read_job("Orders")
    assert (job.step, job.grants.active) == (FlowJobState.CHECKING_FOR_CALLS, ())
    await scenario.run(timedelta(minutes=2))
    assert is_co_owned(scenario.world, copy)
    await scenario.run(timedelta(hours=1))

    assert not any(is_co_owned(scenario.world, flow) for flow in (orders, copy))
    job = await scenario.read_job("Orders")
    assert (job.reason_code, job.has_grants) == (Reason.NO_CALL_PERIOD, False)
    await scenario.run(timedelta(days=8))
    assert (await scenario.read_job("Orders")).state is FlowJobState.RETIRED


@pytest.mark.parametrize("port", ["flow_access", "flow_sharing"])
async def test_grant_is_revoked_after_a_platform_migration(port: str) -> None:
    """The platform rejects the revoke during its migration."""
    scenario = Scenario()
    scenario.world.assumptions.shares_let_people_ask = port == "flow_sharing"
    orders = scenario.build.add_http_flow("Orders")
    scenario.build.apply_key()
    migrating = PlatformMigrationInProgress(
        "moving", code="EnvironmentMigrationInProgress", status=409
    )
    kept: Any = KeptRights(getattr(scenario.fakes.ports, port), migrating)
    scenario.around = lambda ports: replace(ports, **{port: kept})
    await scenario.start_remediation()
    await scenario.approve(run=timedelta(hours=1))
    assert is_co_owned(scenario.world, orders)

    scenario.around = lambda ports: ports
    scenario.renew()
    await scenario.run(timedelta(hours=3))

    assert not is_co_owned(scenario.world, orders)
    assert [one.reason_code for one in scenario.fakes.notices.told] == []


async def test_revoked_grant_of_the_plan_is_no_existing_co_ownership() -> None:
    """A late read may still list a grant that the plan has revoked."""
    scenario = Scenario()
    orders = scenario.build.add_http_flow("Orders")
    await plan_remediation(scenario)
    await record_grant_of_plan(scenario, orders)
    listed = orders.copy_for_reads()
    listed.co_owners[scenario.world.operator.entra_id] = "CanEdit"
    later = scenario.world.clock.now() + timedelta(days=1)
    orders.past.keep(listed, Lag(later, later))

    await scenario.approve()

    assert (await scenario.read_job("Orders")).state is FlowJobState.RETIRED
    assert orders.co_owners == {}


async def test_grant_of_the_plan_is_not_shared_on_the_copy() -> None:
    scenario = Scenario()
    orders = scenario.build.add_http_flow("Orders")
    orders.in_solution = False
    await plan_remediation(scenario)
    await record_grant_of_plan(scenario, orders)
    orders.co_owners[scenario.world.operator.entra_id] = "CanEdit"

    await scenario.approve()

    job = await scenario.read_job("Orders")
    assert job.state is FlowJobState.RETIRED
    assert scenario.world.get_workflow(job.environment_id, job.copy.id).shares == {}


async def record_grant_of_plan(scenario: Scenario, flow: FakeFlow) -> None:
    table, job = scenario.services.tables.environment_jobs, await scenario.read_environment_job()
    kept = await table.get(job.remediation_id, job.id)
    assert kept
    await table.replace(kept, replace(kept.item, grants=Grants(past=(flow.flow_name,))))


@by_either_service
async def test_revoked_co_ownership_that_is_still_listed_is_granted_again(
    *, is_heard: bool
) -> None:
    scenario = Scenario()
    scenario.world.assumptions.shares_let_people_ask = is_heard
    orders = scenario.build.add_http_flow("Orders")
    await plan_remediation(scenario)
    listed = orders.copy_for_reads()
    listed.co_owners[scenario.world.operator.entra_id] = "CanEdit"
    until = scenario.world.clock.now() + timedelta(minutes=3)
    orders.past.keep(listed, Lag(until, until))

    await scenario.approve()

    job = await scenario.read_job("Orders")
    assert job.state is FlowJobState.RETIRED, job.message
    assert job.original.flow_name in job.grants.past
    assert orders.co_owners == {}


@pytest.mark.parametrize("owns", [True, False])
async def test_service_account_is_never_removed_from_its_own_flow(*, owns: bool) -> None:
    """The platform may let an owner remove their own rights."""
    scenario, permits = Scenario(), list[str]()
    flow = scenario.build.add_http_flow("Orders")
    if owns:
        flow.owner_id = scenario.world.operator.user_id
    else:
        flow.co_owners[scenario.world.operator.entra_id] = "CanEdit"

    async def permit() -> None:
        permits.append("a write")

    home = scenario.build.environment.id
    await remove_co_ownership(scenario.services, (home, flow.flow_name), permit)

    assert permits == ([] if owns else ["a write"])
    assert flow.co_owners == {}
