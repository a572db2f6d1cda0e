"""Start, approve and disturb a remediation on fakes, and run it in simulated time."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from local_cloud.tenant.core.profiles import PROFILES, Profile
from shared.domain.environment import ApprovalPolicy, EnvironmentSettings
from shared.domain.jobs.flow_job import FlowJob
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.jobs.transitions import stop_with_reason
from shared.domain.plans.plan_item import PlanItem
from shared.domain.plans.remediation import (
    EnvironmentJob,
    Remediation,
    RemediationMode,
    StartSource,
)
from shared.services import Services
from shared.settings import Settings
from shared.use_cases import change_remediation
from shared.use_cases.approve_plan import ApprovalInput, approve_plans
from shared.use_cases.show_remediation import show_plan
from shared.use_cases.start_remediation import start_manual_remediation
from tests.fakes.builder import Builder
from tests.fakes.crash import Moment, Plan
from tests.fakes.driver import Driver
from tests.fakes.ports import Fakes, Ports, build_fakes
from tests.fakes.services import build_fake_services, build_fake_settings
from tests.fakes.tenant import FakeFlow
from tests.fakes.world import World

#: Runs a test, which takes `profile`, on the platform as documented and on an adversarial one.
on_both_platforms = pytest.mark.parametrize("profile", Profile)


async def approve_shown(services: Services, remediation_id: str, *except_flows: str) -> None:
    """Approve each plan that awaits approval, in its current version and without `except_flows`."""
    plans = await show_plan(services, remediation_id)
    versions = tuple(plan.version for plan in plans if plan.environment_job.awaits_approval)
    approval = ApprovalInput(versions=versions, approved_by="tests", excluded_flow_ids=except_flows)
    await approve_plans(services, remediation_id, approval)


class _ReachedError(Exception):
    """Stops a scenario because a job has reached the state that the test waits for."""


@dataclass(slots=True)
class Scenario:
    """A simulated tenant with one environment, its traffic and the app, for a test of a
    remediation.
    """

    mode: ApprovalPolicy = ApprovalPolicy.REQUIRED
    world: World = field(default_factory=World)
    #: How the platform behaves after `opt_in`.
    profile: Profile = Profile.DOCUMENTED
    settings: Settings = field(default_factory=build_fake_settings)
    #: Wraps the app's ports, for example in a request budget.
    around: Callable[[Ports], Ports] = lambda ports: ports
    #: Whether firewalls are read from the world's Azure resources instead of `world.firewalls`.
    has_azure_firewalls: bool = False
    build: Builder = field(init=False)
    fakes: Fakes = field(init=False)
    driver: Driver = field(init=False)
    remediation: Remediation = field(init=False)

    def __post_init__(self) -> None:
        self.build = Builder(self.world)
        self.fakes = build_fakes(self.world)
        self.driver = Driver(fakes=self.fakes, make=self.make)

    def make(self, ports: Ports) -> Services:
        return self._build_services(self.around(ports))

    def _build_services(self, ports: Ports) -> Services:
        return build_fake_services(
            ports, settings=self.settings, has_azure_firewalls=self.has_azure_firewalls
        )

    def renew(self) -> None:
        """Restart the app, so that it uses the current wrappers of its ports."""
        self.driver = replace(self.driver, _current=None)

    @property
    def services(self) -> Services:
        """Return services without wrappers and faults, for what a test reads or requests."""
        return self._build_services(self.fakes.ports)

    async def opt_in(self, **settings: Any) -> None:
        """Apply the assumptions of `profile`, and store these settings with the approval policy
        `mode`.
        """
        self.world.assumptions.change(PROFILES[self.profile])
        await self.set_approval_policy(self.mode, **settings)

    async def set_approval_policy(
        self, policy: ApprovalPolicy, environment_id: str = "", **settings: Any
    ) -> None:
        """Store the settings of an environment, by default of the only one."""
        row = EnvironmentSettings(
            environment_id=environment_id or self.build.environment.id,
            approval_policy=policy,
            **settings,
        )
        await self.services.tables.environment_settings.upsert(row)

    async def order(
        self,
        mode: RemediationMode = RemediationMode.APPLY,
        *flow_ids: str,
        environment_ids: tuple[str, ...] = (),
        cause: str = "order-1",
        run: timedelta | None = timedelta(minutes=30),
    ) -> None:
        """Start a remediation of these environments, by default of the only one, and let time pass.
        If `run` is None, nothing runs yet.
        """
        order = Remediation(
            created_at=self.services.now,
            mode=mode,
            start_source=StartSource.API_REQUEST,
            idempotency_key=cause,
            environment_ids=environment_ids or (self.build.environment.id,),
            flow_ids=flow_ids,
        )
        self.remediation = await self.driver.call(lambda s: start_manual_remediation(s, order))
        if run is not None:
            await self.run(run)

    async def approve(self, *except_flows: str, run: timedelta = timedelta(days=60)) -> None:
        """Approve the plan without `except_flows`, and let time pass, by default 60 days."""
        await self.driver.call(lambda s: approve_shown(s, self.remediation.id, *except_flows))
        if run:
            await self.run(run)

    async def start_remediation(self, **settings: Any) -> None:
        """Opt in with these settings, start a remediation, and let 30 minutes pass."""
        await self.opt_in(**settings)
        await self.order()

    async def run_remediation(self, **settings: Any) -> None:
        """Opt in with these settings, start and approve a remediation, and let 60 days pass."""
        await self.start_remediation(**settings)
        await self.approve()

    async def retry(self, *, run: timedelta = timedelta(days=60)) -> None:
        """Retry blocked and failed jobs, and let time pass."""
        await self.driver.call(lambda s: change_remediation.retry(s, self.remediation.id))
        await self.run(run)

    async def roll_back(
        self, *flow_ids: str, run: timedelta = timedelta(days=60), replay: bool = False
    ) -> None:
        """Request the rollback of these flows, or of all, and let time pass."""
        await self.driver.call(
            lambda s: change_remediation.roll_back(s, self.remediation.id, flow_ids, replay=replay)
        )
        await self.run(run)

    async def read_job(self, title: str) -> FlowJob:
        return (await self.read_jobs())[title]

    async def run_until(self, title: str, state: FlowJobState, *, days: int = 30) -> FlowJob:
        """Let time pass, at most `days`, until a job's row has this state. Return the job."""

        def raise_if_reached() -> None:
            marks = (f'"display_name":"{title}"', f'"state":"{state}"', '"leased_until":null')
            for row in self.fakes.store.rows.values():
                if row.table == "flowjobs" and all(
                    mark in str(row.columns["data0"]) for mark in marks
                ):
                    raise _ReachedError

        meanwhile, settings = self.driver.meanwhile, self.settings
        self.settings = settings.model_copy(update={"invocation_time_limit": timedelta(0)})
        self.renew()
        self.driver.meanwhile = raise_if_reached
        try:
            await self.run(timedelta(days=days))
        except _ReachedError:
            return await self.read_job(title)
        finally:
            self.settings = settings
            self.renew()
            self.driver.meanwhile = meanwhile
        raise AssertionError(f"{title} never came to {state}: {await self.read_jobs()}")

    async def approve_and_run_until(
        self, title: str, state: FlowJobState, *, days: int = 30
    ) -> FlowJob:
        """Approve the plan, and run the app until a job's row has this state. Return the job."""
        await self.approve(run=timedelta(0))
        return await self.run_until(title, state, days=days)

    async def run(self, time: timedelta) -> None:
        """Let simulated time pass. The app works on what becomes due."""
        await self.driver.run(self.world.clock.now() + time)

    async def read_jobs(self) -> dict[str, FlowJob]:
        """Return the environment's flow jobs by the names of their originals."""
        jobs = await self.services.tables.flow_jobs.read_all(self.build.environment.id)
        return {job.display_name: job for job in jobs}

    async def block_flow(
        self,
        title: str,
        *,
        message: str = "Its owner has left.",
        fix: str = "Name another owner.",
        code: str = "owner_unavailable",
    ) -> None:
        """Block a flow job for this reason."""
        job = stop_with_reason(
            await self.read_job(title),
            FlowJobState.BLOCKED,
            message,
            fix,
            code=code,
            now=self.services.now,
        )
        await self.services.tables.flow_jobs.upsert(job)

    async def read_environment_job(self) -> EnvironmentJob:
        (job,) = await self.services.tables.environment_jobs.read_all(self.remediation.id)
        return job

    async def plan(self) -> dict[str, PlanItem]:
        """Return the items of the plan by the names of their flows."""
        job = await self.read_environment_job()
        items = await self.services.tables.plan_items.read_all(job.id)
        return {item.display_name: item for item in items}


def kill_after(scenario: Scenario, call: str) -> Plan:
    """Kill the process after the next request of this name. Return the fault plan, which shows
    whether that has happened.
    """

    class _Plan(Plan):
        def enter(self, name: str) -> int:
            if name == call and self.at is None:
                self.at = self.calls + 1
            return Plan.enter(self, name)

    plan = _Plan(moment=Moment.AFTER)
    scenario.driver = Driver(fakes=scenario.fakes, make=scenario.make, plan=plan)
    return plan


async def plan_remediation(scenario: Scenario, **settings: object) -> None:
    """Apply a key, share the connections, opt in with these settings, and start a remediation."""
    scenario.build.apply_key()
    scenario.build.share_connections()
    await scenario.start_remediation(**settings)


async def plan_and_approve(scenario: Scenario, **settings: object) -> None:
    """Plan a remediation as `plan_remediation` does, approve it, and let 60 days pass."""
    await plan_remediation(scenario, **settings)
    await scenario.approve()


async def plan_and_run_until(
    scenario: Scenario, title: str, state: FlowJobState, **settings: object
) -> FlowJob:
    """Start and approve a remediation, and run it until a job has this state. Return the job."""
    await plan_remediation(scenario, **settings)
    return await scenario.approve_and_run_until(title, state)


def edit(flow: FakeFlow, action: dict[str, object] | None = None) -> None:
    """Add an action to a flow, as if its owner had saved it."""
    text = json.dumps(action or {"type": "Compose", "inputs": 1})
    extra = f'"Extra": {text}, "Lineage": {{'
    flow.client_data = flow.client_data.replace('"Lineage": {', extra, 1)
    flow.version += 1
