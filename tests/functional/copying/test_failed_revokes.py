from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.domain.jobs.flow_job import FlowJob
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.jobs.grants import Grants
from shared.domain.jobs.transitions import move_to_state
from shared.errors import ThrottledError
from shared.jobs.job_kinds import FLOW
from shared.reason import Reason
from shared.use_cases import change_remediation
from shared.use_cases.clean_up_ended_jobs import revoke_leftover_grants
from shared.use_cases.set_kill_switch import set_kill_switch
from tests.fakes.sharing import is_co_owned
from tests.functional.copying.co_ownership_ports import KeptRights
from tests.functional.scenarios.remediation_scenario import (
    Scenario,
    plan_and_run_until,
    plan_remediation,
)


async def test_failed_revoke_is_repeated_after_minutes() -> None:
    scenario = Scenario()
    orders = scenario.build.add_http_flow("Orders")
    await plan_remediation(scenario)
    await scenario.approve(run=timedelta(hours=1))
    job = await scenario.read_job("Orders")
    assert (job.step, job.reason_code) == (FlowJobState.CHECKING_FOR_CALLS, Reason.NO_CALL_PERIOD)
    granted = (orders.flow_name,)
    orders.co_owners[scenario.world.operator.entra_id] = "CanEdit"

    def mark_granted(job: FlowJob | None) -> FlowJob | None:
        return job and replace(
            job, grants=Grants(active=granted, past=granted), next_check_at=scenario.services.now
        )

    await FLOW.change(scenario.services, (job.environment_id, job.id), mark_granted)
    await set_kill_switch(scenario.services, is_on=True, by="tests", reason="test")
    await scenario.run(timedelta(minutes=10))
    assert is_co_owned(scenario.world, orders)
    await set_kill_switch(scenario.services, is_on=False, by="tests", reason="test")
    await scenario.run(timedelta(hours=1))

    assert not is_co_owned(scenario.world, orders)
    job = await scenario.read_job("Orders")
    assert (job.reason_code, job.grants.active) == (Reason.NO_CALL_PERIOD, ())
    await scenario.run(timedelta(days=8))
    assert (await scenario.read_job("Orders")).state is FlowJobState.RETIRED


async def test_cancelled_job_keeps_revoked_grants_until_a_read_confirms_them() -> None:
    """A later check must find the grants that the platform did not revoke."""
    scenario = Scenario()
    orders = scenario.build.add_http_flow("Orders")
    await plan_remediation(scenario)
    await scenario.approve(run=timedelta(0))
    await set_kill_switch(scenario.services, is_on=True, by="tests", reason="test")
    await scenario.run(timedelta(minutes=10))
    job = await scenario.read_job("Orders")
    assert job.step is FlowJobState.PLANNED
    granted = (orders.flow_name,)
    orders.co_owners[scenario.world.operator.entra_id] = "CanEdit"

    def restore_grants(job: FlowJob | None) -> FlowJob | None:
        return job and replace(job, grants=Grants(active=granted, past=granted))

    await FLOW.change(scenario.services, (job.environment_id, job.id), restore_grants)
    await change_remediation.cancel(scenario.services, job.remediation_id)
    await set_kill_switch(scenario.services, is_on=False, by="tests", reason="test")
    await scenario.run(timedelta(seconds=1))

    job = await scenario.read_job("Orders")
    assert not is_co_owned(scenario.world, orders)
    assert (job.state, job.grants.returned) == (FlowJobState.CANCELLED, granted)


@pytest.mark.parametrize("port", ["flow_access", "flow_sharing"])
async def test_grant_that_cannot_be_revoked_is_reported(port: str) -> None:
    scenario = Scenario()
    scenario.world.assumptions.shares_let_people_ask = port == "flow_sharing"
    scenario.build.add_http_flow("Orders")
    scenario.build.apply_key()
    kept: Any = KeptRights(getattr(scenario.fakes.ports, port))
    scenario.around = lambda ports: replace(ports, **{port: kept})
    await scenario.start_remediation()
    await scenario.approve(run=timedelta(hours=1))

    job = await scenario.read_job("Orders")
    assert job.has_grants
    row = scenario.services.tables.flow_jobs.get_row_name(job)
    assert {(one.reason_code, one.row) for one in scenario.fakes.notices.told} == {
        (Reason.GRANT_NOT_REVOKED, row)
    }


class ActionBeforeRevoke:
    """A flow service that runs an action before its first revoke of a co-ownership."""

    def __init__(self, access: object, order: Callable[[], Awaitable[object]]) -> None:
        self._access: Any = access
        self._orders = [order]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._access, name)

    async def revoke(self, *flow: str) -> None:
        while self._orders:
            await self._orders.pop()()
        await self._access.revoke(*flow)


async def wake_by_reason_code(scenario: Scenario, job: FlowJob) -> None:
    """Wake up the job as if the reason for which it is blocked had ended."""
    place = (job.environment_id, job.id)
    await FLOW.wake_up(scenario.services, place, code=job.reason_code, even_blocked=True)


async def retry_job(scenario: Scenario, job: FlowJob) -> None:
    await change_remediation.retry(scenario.services, job.remediation_id, (job.original.id,))


@pytest.mark.parametrize("continue_job", [retry_job, wake_by_reason_code])
async def test_retry_during_the_revoke_of_grants_is_kept(
    continue_job: Callable[[Scenario, FlowJob], Awaitable[None]],
) -> None:
    """The timer holds the job's lease while it revokes the job's grants."""
    scenario = Scenario()
    scenario.world.assumptions.shares_let_people_ask = False
    orders = scenario.build.add_http_flow("Orders")
    job = await plan_and_run_until(scenario, "Orders", FlowJobState.COPIED)
    table = scenario.services.tables.flow_jobs
    kept = await table.get(job.environment_id, job.id)
    assert kept
    blocked = move_to_state(job, FlowJobState.BLOCKED, "mended since", now=scenario.services.now)
    granted = (orders.flow_name,)
    code = Reason.CHILD_FLOW_NOT_READY
    blocked = replace(
        blocked,
        resume_state=job.state,
        reason_code=code,
        grants=Grants(active=granted, past=granted),
    )
    kept = await table.replace(kept, blocked)
    access: Any = ActionBeforeRevoke(
        scenario.fakes.ports.flow_access, lambda: continue_job(scenario, blocked)
    )
    scenario.around = lambda ports: replace(ports, flow_access=access)
    scenario.renew()

    await revoke_leftover_grants(scenario.make(scenario.fakes.ports), [], [kept])

    after = await scenario.read_job("Orders")
    assert after.state is FlowJobState.COPIED
    assert after.next_check_at is not None
    await scenario.run(timedelta(days=60))
    assert (await scenario.read_job("Orders")).state is FlowJobState.RETIRED
    assert orders.co_owners == {}


class BusyOnce:
    """A flow service that throttles once, and whose revoke leaves a share in Dataverse."""

    def __init__(self, scenario: Scenario) -> None:
        self._world = scenario.world
        self._access: Any = scenario.fakes.ports.flow_access
        self.is_busy = True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._access, name)

    async def read_trigger_url(self, *flow: str) -> str:
        if self.is_busy:
            self.is_busy = False
            raise ThrottledError("busy", retry_after=timedelta(seconds=20))
        return str(await self._access.read_trigger_url(*flow))

    async def revoke(self, *flow: str) -> None:
        shares = self._world.get_flow(*flow).shares
        before = dict(shares)
        await self._access.revoke(*flow)
        shares.update(before)


async def test_share_without_effect_of_an_earlier_invocation_is_revoked() -> None:
    scenario = Scenario()
    scenario.world.assumptions.shares_let_people_ask = False
    scenario.build.add_http_flow("Orders")
    scenario.build.apply_key()
    access: Any = BusyOnce(scenario)
    scenario.around = lambda ports: replace(ports, flow_access=access)
    await scenario.run_remediation()

    assert not access.is_busy
    job = await scenario.read_job("Orders")
    assert (job.state, job.grants.active) == (FlowJobState.RETIRED, ())
    assert not any(is_co_owned(scenario.world, flow) for flow in scenario.world.list_flows())


class IgnoredFirstRevoke(KeptRights):
    """A port that accepts the first revoke without effect."""

    left: int = 1

    async def revoke(self, *of: object, **options: object) -> None:
        self.left -= 1
        if self.left < 0:
            await self._access.revoke(*of, **options)


@pytest.mark.parametrize("in_solution", [True, False])
@pytest.mark.parametrize("port", ["flow_access", "flow_sharing"])
async def test_revoke_without_effect_is_reported_and_repeated(
    port: str, *, in_solution: bool
) -> None:
    scenario = Scenario()
    scenario.world.assumptions.shares_let_people_ask = port == "flow_sharing"
    orders = scenario.build.add_http_flow("Orders")
    orders.in_solution = in_solution
    scenario.build.apply_key()
    ignoring: Any = IgnoredFirstRevoke(getattr(scenario.fakes.ports, port))
    scenario.around = lambda ports: replace(ports, **{port: ignoring})
    await scenario.start_remediation()
    await scenario.approve(run=timedelta(hours=1))
    assert any(is_co_owned(scenario.world, flow) for flow in scenario.world.list_flows())

    await scenario.run(timedelta(days=60))

    job = await scenario.read_job("Orders")
    assert job.state is FlowJobState.RETIRED, job.message
    assert not any(is_co_owned(scenario.world, flow) for flow in scenario.world.list_flows())
    assert [one.reason_code for one in scenario.fakes.notices.told] == [Reason.GRANT_NOT_REVOKED]
    assert (job.grants.returned, job.grants.returned_at) == ((), None)
