"""Temporary co-ownership: the service account has it only while a step reads a trigger URL."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import pytest

from local_cloud.tenant.core.earlier_times import Lag
from shared.domain.flow import FlowServiceFlow
from shared.domain.jobs.flow_job import FlowJob
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.jobs.transitions import move_to_state
from shared.domain.platform_errors import NO_CO_OWNER
from shared.errors import CmkflowError, PlatformError, PlatformMigrationInProgress, ThrottledError
from shared.jobs.job_kinds import FLOW
from shared.reason import Reason
from shared.steps.flows.temporary_co_ownership import take_back
from shared.use_cases import change_remediation
from shared.use_cases.clean_up_ended_jobs import revoke_leftover_grants
from shared.use_cases.set_kill_switch import set_kill_switch
from tests.fakes.driver import Driver
from tests.fakes.pause import Pause
from tests.fakes.ports import Ports
from tests.fakes.sharing import is_lent
from tests.fakes.tenant import FakeFlow
from tests.functional.scenarios.remediation_scenario import Scenario, edit

#: How access is granted: by a Dataverse share, or by the flow service.
by_either_service = pytest.mark.parametrize("is_heard", [True, False])


class SlowRights:
    """A flow service where new rights take effect only after some requests."""

    def __init__(
        self, access: object, flow_name: str, refusals: int, *, definitions: int = 0
    ) -> None:
        """Reject this number of requests for the URL and for the definition."""
        self._access: Any = access
        self._flow_name = flow_name
        self.refusals = refusals
        self._definitions = definitions

    def __getattr__(self, name: str) -> Any:
        """Return the attribute of the port."""
        return getattr(self._access, name)

    async def trigger_url(self, environment_id: str, flow_name: str, trigger: str) -> str:
        """Return the trigger URL, or reject the request."""
        if self.refusals and flow_name == self._flow_name:
            self.refusals -= 1
            raise PlatformError("not yet", code=NO_CO_OWNER, status=403)
        return str(await self._access.trigger_url(environment_id, flow_name, trigger))

    async def read_definition(self, environment_id: str, flow_name: str) -> FlowServiceFlow:
        """Return the flow, or reject the request."""
        if self._definitions and flow_name == self._flow_name:
            self._definitions -= 1
            raise PlatformError("not yet", code=NO_CO_OWNER, status=403)
        return cast(
            "FlowServiceFlow", await self._access.read_definition(environment_id, flow_name)
        )


class KeptRights:
    """A port that cannot revoke the co-ownership."""

    def __init__(self, port: object, error: CmkflowError | None = None) -> None:
        """Wrap the port; revoking raises `error`."""
        self._access: Any = port
        self.error = error or PlatformError("no", code="403", status=403)

    def __getattr__(self, name: str) -> Any:
        """Return the attribute of the port."""
        return getattr(self._access, name)

    async def revoke(self, *_of: object, **_options: object) -> None:
        """Raise the error."""
        raise self.error


def slow(scenario: Scenario, flow: FakeFlow, refusals: int) -> SlowRights:
    """Let rights on this flow take effect only after some requests."""
    access = SlowRights(scenario.fakes.ports.flow_access, flow.flow_name, refusals)

    def around(ports: Ports) -> Ports:
        return replace(ports, flow_access=access)

    scenario.around = around
    return access


async def test_existing_co_ownership_is_never_revoked() -> None:
    """The app waits until the existing co-ownership takes effect, and never revokes it."""
    scenario = Scenario()
    original = scenario.build.http_flow("Orders")
    original.co_owners[scenario.world.operator.entra_id] = "CanEdit"
    scenario.build.link()
    access = slow(scenario, original, refusals=5)
    await scenario.opt_in()
    await scenario.order()

    await scenario.approve()

    job = await scenario.job("Orders")
    assert access.refusals == 0
    assert job.state is FlowJobState.RETIRED, job.message
    assert job.flow_name not in job.past_grants
    assert original.co_owners == {scenario.world.operator.entra_id: "CanEdit"}


async def test_grant_with_a_delayed_effect_is_revoked() -> None:
    """The grant stays until it takes effect, and the app then revokes it."""
    scenario = Scenario()
    original = scenario.build.http_flow("Orders")
    scenario.build.link()
    access = slow(scenario, original, refusals=5)
    await scenario.opt_in()
    await scenario.order()

    await scenario.approve()

    job = await scenario.job("Orders")
    assert access.refusals == 0
    assert job.state is FlowJobState.RETIRED, job.message
    assert job.flow_name in job.past_grants
    assert original.co_owners == {}


class PauseAtGrant(Pause):
    """Freezes the process before it grants co-ownership in the flow service."""

    step = "FakeFlowAccess.grant"

    def enter(self, name: str) -> int:
        """Count the request."""
        if name == self.step and self.at is None:
            self.at = self.calls + 1
        return Pause.enter(self, name)


class PauseAtShare(PauseAtGrant):
    """Freezes the process before it grants co-ownership by a share in Dataverse."""

    step = "FakeFlowSharing.grant"


async def freeze_at_a_grant(scenario: Scenario, *, is_heard: bool) -> tuple[Pause, FlowJob]:
    """Freeze the invocation that verifies the copy of Orders for nine minutes, before its grant."""
    scenario.world.assumptions.shares_let_people_ask = is_heard
    scenario.build.link()
    await scenario.opt_in()
    await scenario.order()
    await scenario.approve(run=timedelta(0))
    job = await scenario.until("Orders", FlowJobState.COPIED)
    at = PauseAtShare if is_heard else PauseAtGrant
    pause = at(sleeps=timedelta(minutes=9), clock=scenario.world.clock)
    scenario.driver = Driver(fakes=scenario.fakes, make=scenario.make, plan=pause)
    await scenario.run(scenario.settings.read_lag)
    assert pause.is_asleep
    return pause, job


@by_either_service
async def test_late_grant_is_revoked_after_its_job_is_blocked(*, is_heard: bool) -> None:
    """The timer revokes a late grant, although the job is blocked and nobody retries it."""
    scenario = Scenario()
    soon = {"read_back_timeout": timedelta(minutes=1)}
    scenario.settings = scenario.settings.model_copy(update=soon)
    scenario.build.http_flow("Orders")
    pause, job = await freeze_at_a_grant(scenario, is_heard=is_heard)

    copy = scenario.world.workflow(job.environment_id, job.copy_id)
    edit(copy)
    await scenario.run(timedelta(minutes=8))
    assert (await scenario.job("Orders")).state is FlowJobState.BLOCKED
    await scenario.run(timedelta(minutes=2))
    assert not pause.is_asleep
    assert is_lent(scenario.world, copy)
    await scenario.run(timedelta(hours=1))

    assert not is_lent(scenario.world, copy)
    job = await scenario.job("Orders")
    assert (job.state, job.reason_code, job.has_grants) == (
        FlowJobState.BLOCKED,
        "copy_changed",
        False,
    )


@by_either_service
async def test_late_grant_is_revoked_in_the_no_call_period(*, is_heard: bool) -> None:
    """The app revokes a late grant within an hour, long before the job's next step."""
    scenario = Scenario()
    orders = scenario.build.http_flow("Orders")
    _, job = await freeze_at_a_grant(scenario, is_heard=is_heard)
    copy = scenario.world.workflow(job.environment_id, job.copy_id)

    await scenario.run(timedelta(minutes=8))
    job = await scenario.job("Orders")
    assert (job.step, job.active_grants) == (FlowJobState.CHECKING_FOR_CALLS, ())
    await scenario.run(timedelta(minutes=2))
    assert is_lent(scenario.world, copy)
    await scenario.run(timedelta(hours=1))

    assert not any(is_lent(scenario.world, flow) for flow in (orders, copy))
    job = await scenario.job("Orders")
    assert (job.reason_code, job.has_grants) == (Reason.NO_CALL_PERIOD, False)
    await scenario.run(timedelta(days=8))
    assert (await scenario.job("Orders")).state is FlowJobState.RETIRED


async def test_failed_revoke_is_repeated_after_minutes() -> None:
    """After the kill switch stopped the revoke, the app tries it again some minutes later."""
    scenario = Scenario()
    orders = scenario.build.http_flow("Orders")
    scenario.build.link()
    await scenario.opt_in()
    await scenario.order()
    await scenario.approve(run=timedelta(hours=1))
    job = await scenario.job("Orders")
    assert (job.step, job.reason_code) == (FlowJobState.CHECKING_FOR_CALLS, Reason.NO_CALL_PERIOD)
    granted = (orders.flow_name,)
    orders.co_owners[scenario.world.operator.entra_id] = "CanEdit"

    def died(job: FlowJob | None) -> FlowJob | None:
        return job and replace(
            job, active_grants=granted, past_grants=granted, next_check_at=scenario.services.now
        )

    await FLOW.change(scenario.services, (job.environment_id, job.id), died)
    await set_kill_switch(scenario.services, is_on=True, by="tests", reason="test")
    await scenario.run(timedelta(minutes=10))
    assert is_lent(scenario.world, orders)
    await set_kill_switch(scenario.services, is_on=False, by="tests", reason="test")
    await scenario.run(timedelta(hours=1))

    assert not is_lent(scenario.world, orders)
    job = await scenario.job("Orders")
    assert (job.reason_code, job.active_grants) == (Reason.NO_CALL_PERIOD, ())
    await scenario.run(timedelta(days=8))
    assert (await scenario.job("Orders")).state is FlowJobState.RETIRED


@pytest.mark.parametrize("port", ["flow_access", "flow_sharing"])
async def test_grant_that_cannot_be_revoked_is_reported(port: str) -> None:
    """One notification says that the service account is still a co-owner."""
    scenario = Scenario()
    scenario.world.assumptions.shares_let_people_ask = port == "flow_sharing"
    scenario.build.http_flow("Orders")
    scenario.build.link()
    kept: Any = KeptRights(getattr(scenario.fakes.ports, port))
    scenario.around = lambda ports: replace(ports, **{port: kept})
    await scenario.opt_in()
    await scenario.order()
    await scenario.approve(run=timedelta(hours=1))

    job = await scenario.job("Orders")
    assert job.has_grants
    row = scenario.services.tables.flow_jobs.name_of(job)
    assert {(one.reason_code, one.row) for one in scenario.fakes.notices.told} == {
        (Reason.GRANT_NOT_REVOKED, row)
    }


@pytest.mark.parametrize("port", ["flow_access", "flow_sharing"])
async def test_grant_is_revoked_after_a_platform_migration(port: str) -> None:
    """The app revokes the grant after the migration, and nobody is notified."""
    scenario = Scenario()
    scenario.world.assumptions.shares_let_people_ask = port == "flow_sharing"
    orders = scenario.build.http_flow("Orders")
    scenario.build.link()
    migrating = PlatformMigrationInProgress(
        "moving", code="EnvironmentMigrationInProgress", status=409
    )
    kept: Any = KeptRights(getattr(scenario.fakes.ports, port), migrating)
    scenario.around = lambda ports: replace(ports, **{port: kept})
    await scenario.opt_in()
    await scenario.order()
    await scenario.approve(run=timedelta(hours=1))
    assert is_lent(scenario.world, orders)

    scenario.around = lambda ports: ports
    scenario.renew()
    await scenario.run(timedelta(hours=3))

    assert not is_lent(scenario.world, orders)
    assert [one.reason_code for one in scenario.fakes.notices.told] == []


async def test_revoked_grant_of_the_plan_is_no_existing_co_ownership() -> None:
    """A revoked grant of the plan may still be listed, but the job grants and revokes its own."""
    scenario = Scenario()
    orders = scenario.build.http_flow("Orders")
    scenario.build.link()
    await scenario.opt_in()
    await scenario.order()
    await lend_for_the_plan(scenario, orders)
    listed = orders.as_it_is()
    listed.co_owners[scenario.world.operator.entra_id] = "CanEdit"
    later = scenario.world.clock.now() + timedelta(days=1)
    orders.past.keep(listed, Lag(later, later))

    await scenario.approve()

    assert (await scenario.job("Orders")).state is FlowJobState.RETIRED
    assert orders.co_owners == {}


async def test_grant_of_the_plan_is_not_shared_on_the_copy() -> None:
    """If the plan's grant is not revoked yet, the copy is not shared with the service account."""
    scenario = Scenario()
    orders = scenario.build.http_flow("Orders")
    orders.in_solution = False
    scenario.build.link()
    await scenario.opt_in()
    await scenario.order()
    await lend_for_the_plan(scenario, orders)
    orders.co_owners[scenario.world.operator.entra_id] = "CanEdit"

    await scenario.approve()

    job = await scenario.job("Orders")
    assert job.state is FlowJobState.RETIRED
    assert scenario.world.workflow(job.environment_id, job.copy_id).shares == {}


async def lend_for_the_plan(scenario: Scenario, flow: FakeFlow) -> None:
    """Record that the plan granted the service account co-ownership of a flow."""
    table, job = scenario.services.tables.environment_jobs, await scenario.environment_job()
    kept = await table.get(job.remediation_id, job.id)
    assert kept
    await table.replace(kept, replace(kept.item, past_grants=(flow.flow_name,)))


@by_either_service
async def test_revoked_co_ownership_that_is_still_listed_is_granted_again(
    *, is_heard: bool
) -> None:
    """If a late read still lists a revoked co-ownership, the app grants and revokes its own."""
    scenario = Scenario()
    scenario.world.assumptions.shares_let_people_ask = is_heard
    orders = scenario.build.http_flow("Orders")
    scenario.build.link()
    await scenario.opt_in()
    await scenario.order()
    listed = orders.as_it_is()
    listed.co_owners[scenario.world.operator.entra_id] = "CanEdit"
    until = scenario.world.clock.now() + timedelta(minutes=3)
    orders.past.keep(listed, Lag(until, until))

    await scenario.approve()

    job = await scenario.job("Orders")
    assert job.state is FlowJobState.RETIRED, job.message
    assert job.flow_name in job.past_grants
    assert orders.co_owners == {}


class OrderAtReturn:
    """A flow service that runs an action before it revokes a co-ownership."""

    def __init__(self, access: object, order: Callable[[], Awaitable[object]]) -> None:
        """Run the action once."""
        self._access: Any = access
        self._orders = [order]

    def __getattr__(self, name: str) -> Any:
        """Return the attribute of the port."""
        return getattr(self._access, name)

    async def revoke(self, *flow: str) -> None:
        """Run the action, then revoke."""
        while self._orders:
            await self._orders.pop()()
        await self._access.revoke(*flow)


async def wake_for_its_code(scenario: Scenario, job: FlowJob) -> None:
    """Wake the blocked job up by its reason code."""
    place = (job.environment_id, job.id)
    await FLOW.wake_up(scenario.services, place, code=job.reason_code, even_blocked=True)


async def retry_by_order(scenario: Scenario, job: FlowJob) -> None:
    """Retry the job, as an administrator does."""
    await change_remediation.retry(scenario.services, job.remediation_id, (job.original_id,))


@pytest.mark.parametrize("go_on", [retry_by_order, wake_for_its_code])
async def test_retry_during_the_revoke_of_grants_is_kept(
    go_on: Callable[[Scenario, FlowJob], Awaitable[None]],
) -> None:
    """A retry is kept although the timer has leased the row at that moment."""
    scenario = Scenario()
    scenario.world.assumptions.shares_let_people_ask = False
    orders = scenario.build.http_flow("Orders")
    scenario.build.link()
    await scenario.opt_in()
    await scenario.order()
    await scenario.approve(run=timedelta(0))
    job = await scenario.until("Orders", FlowJobState.COPIED)
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
        active_grants=granted,
        past_grants=granted,
    )
    kept = await table.replace(kept, blocked)
    access: Any = OrderAtReturn(scenario.fakes.ports.flow_access, lambda: go_on(scenario, blocked))
    scenario.around = lambda ports: replace(ports, flow_access=access)
    scenario.renew()

    await revoke_leftover_grants(scenario.make(scenario.fakes.ports), [], [kept])

    after = await scenario.job("Orders")
    assert after.state is FlowJobState.COPIED
    assert after.next_check_at is not None
    await scenario.run(timedelta(days=60))
    assert (await scenario.job("Orders")).state is FlowJobState.RETIRED
    assert orders.co_owners == {}


class BusyOnce:
    """A flow service that ignores shares and is throttled at the first request for a URL."""

    def __init__(self, scenario: Scenario) -> None:
        """Wrap the port."""
        self._world = scenario.world
        self._access: Any = scenario.fakes.ports.flow_access
        self.is_busy = True

    def __getattr__(self, name: str) -> Any:
        """Return the attribute of the port."""
        return getattr(self._access, name)

    async def trigger_url(self, *flow: str) -> str:
        """Return the trigger URL, or raise that the service is throttled."""
        if self.is_busy:
            self.is_busy = False
            raise ThrottledError("busy", retry_after=timedelta(seconds=20))
        return str(await self._access.trigger_url(*flow))

    async def revoke(self, *flow: str) -> None:
        """Revoke the co-ownership in this service, but not the share in Dataverse."""
        shares = self._world.flow(*flow).shares
        before = dict(shares)
        await self._access.revoke(*flow)
        shares.update(before)


async def test_share_without_effect_of_an_earlier_invocation_is_revoked() -> None:
    """The app also revokes the share that an earlier invocation made before it was throttled."""
    scenario = Scenario()
    scenario.world.assumptions.shares_let_people_ask = False
    scenario.build.http_flow("Orders")
    scenario.build.link()
    access: Any = BusyOnce(scenario)
    scenario.around = lambda ports: replace(ports, flow_access=access)
    await scenario.opt_in()
    await scenario.order()

    await scenario.approve()

    assert not access.is_busy
    job = await scenario.job("Orders")
    assert (job.state, job.active_grants) == (FlowJobState.RETIRED, ())
    assert not any(is_lent(scenario.world, flow) for flow in scenario.world.flows())


class IgnoredReturns(KeptRights):
    """A port that accepts the first revoke without effect."""

    left: int = 1

    async def revoke(self, *of: object, **options: object) -> None:
        """Accept the revoke, and make it only from the second time on."""
        self.left -= 1
        if self.left < 0:
            await self._access.revoke(*of, **options)


@pytest.mark.parametrize("in_solution", [True, False])
@pytest.mark.parametrize("port", ["flow_access", "flow_sharing"])
async def test_revoke_without_effect_is_reported_and_repeated(
    port: str, *, in_solution: bool
) -> None:
    """A notification is sent, and the app revokes the co-ownership again."""
    scenario = Scenario()
    scenario.world.assumptions.shares_let_people_ask = port == "flow_sharing"
    orders = scenario.build.http_flow("Orders")
    orders.in_solution = in_solution
    scenario.build.link()
    ignoring: Any = IgnoredReturns(getattr(scenario.fakes.ports, port))
    scenario.around = lambda ports: replace(ports, **{port: ignoring})
    await scenario.opt_in()
    await scenario.order()
    await scenario.approve(run=timedelta(hours=1))
    assert any(is_lent(scenario.world, flow) for flow in scenario.world.flows())

    await scenario.run(timedelta(days=60))

    job = await scenario.job("Orders")
    assert job.state is FlowJobState.RETIRED, job.message
    assert not any(is_lent(scenario.world, flow) for flow in scenario.world.flows())
    assert [one.reason_code for one in scenario.fakes.notices.told] == [Reason.GRANT_NOT_REVOKED]
    assert (job.returned, job.returned_at) == ((), None)


@pytest.mark.parametrize("owns", [True, False])
async def test_service_account_is_never_removed_from_its_own_flow(*, owns: bool) -> None:
    """The app checks the owner before it revokes, because the platform may accept the write."""
    scenario, permits = Scenario(), list[str]()
    flow = scenario.build.http_flow("Orders")
    if owns:
        flow.owner_id = scenario.world.operator.user_id
    else:
        flow.co_owners[scenario.world.operator.entra_id] = "CanEdit"

    async def permit() -> None:
        permits.append("a write")

    home = scenario.build.environment.id
    await take_back(scenario.services, (home, flow.flow_name), permit)

    assert permits == ([] if owns else ["a write"])
    assert flow.co_owners == {}
