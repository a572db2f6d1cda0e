"""Test that one invocation runs several steps of a job."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.domain.jobs.flow_states import FlowJobState
from shared.use_cases import change_remediation
from shared.use_cases.set_kill_switch import set_kill_switch
from tests.fakes import definition_builder as define
from tests.fakes.sharing import is_co_owned
from tests.functional.scenarios.remediation_scenario import Scenario, plan_remediation


async def build_approved_scenario(**settings: Any) -> Scenario:
    scenario = Scenario()
    scenario.settings = scenario.settings.model_copy(update=settings)
    scenario.build.add_http_flow("Orders")
    await plan_remediation(scenario)
    await scenario.approve(run=timedelta(0))
    return scenario


class Watched:
    """A flow service that records its requests, and may run a function before the first URL is
    read.
    """

    def __init__(self, access: object) -> None:
        self._access: Any = access
        self.calls: list[str] = []
        self.at_first_url: Any = None

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._access, name)
        if name.startswith("_"):
            return attribute

        async def record_and_call(*args: Any, **named: Any) -> Any:
            self.calls.append(name)
            return await attribute(*args, **named)

        return record_and_call

    async def read_trigger_url(self, *flow: str) -> str:
        self.calls.append("read_trigger_url")
        if at_first_url := self.at_first_url:
            self.at_first_url = None
            await at_first_url()
        return str(await self._access.read_trigger_url(*flow))


def watch_flow_service(scenario: Scenario) -> Watched:
    watching = Watched(scenario.fakes.ports.flow_access)
    access: Any = watching
    scenario.around = lambda ports: replace(ports, flow_access=access)
    scenario.renew()
    return watching


GRANT = ["grant", "read_trigger_url", "revoke"]


@pytest.mark.parametrize(
    ("is_heard", "calls"),
    [
        (True, ["read_trigger_url", "read_trigger_url"]),
        (False, ["read_trigger_url", *GRANT, "read_permissions", *GRANT]),
    ],
)
async def test_one_invocation_brings_a_copy_to_its_no_call_period(
    *, is_heard: bool, calls: list[str]
) -> None:
    scenario = await build_approved_scenario()
    scenario.world.assumptions.shares_let_people_ask = is_heard
    access = watch_flow_service(scenario)

    await scenario.run(timedelta(0))
    assert access.calls == []
    await scenario.run(scenario.settings.read_lag)

    job = await scenario.read_job("Orders")
    assert job.step is FlowJobState.CHECKING_FOR_CALLS
    assert job.grants.active == ()
    assert not any(is_co_owned(scenario.world, flow) for flow in scenario.world.list_flows())
    assert [one for one in access.calls if one != "read_account_id"] == calls


async def test_share_without_effect_is_tried_again_a_day_later() -> None:
    scenario = await build_approved_scenario()
    scenario.world.assumptions.shares_let_people_ask = False
    await scenario.run(timedelta(hours=1))
    scenario.world.assumptions.shares_let_people_ask = True
    scenario.build.add_http_flow("Invoices")
    access = watch_flow_service(scenario)
    await scenario.run(timedelta(days=1))

    await scenario.order(cause="order-2")
    await scenario.approve(run=timedelta(hours=1))

    assert (await scenario.read_job("Invoices")).step is FlowJobState.CHECKING_FOR_CALLS
    assert [one for one in access.calls if one != "read_account_id"] == ["read_trigger_url"] * 2


async def test_rollback_requested_during_a_step_starts_before_the_next() -> None:
    scenario = await build_approved_scenario()
    access = watch_flow_service(scenario)

    async def roll_back() -> None:
        await change_remediation.roll_back(scenario.services, scenario.remediation.id, ())

    access.at_first_url = roll_back
    await scenario.run(timedelta(days=60))

    job = await scenario.read_job("Orders")
    assert job.state is FlowJobState.ROLLED_BACK, job.message
    assert FlowJobState.UPDATING_CALLERS not in {change.state for change in job.history}


async def test_invocation_beyond_its_time_limit_ends_after_its_step() -> None:
    scenario = await build_approved_scenario(invocation_time_limit=timedelta(0))

    job = await scenario.run_until("Orders", FlowJobState.COPYING)
    assert job.leased_until is None
    await scenario.run(timedelta(days=60))

    assert (await scenario.read_job("Orders")).state is FlowJobState.RETIRED


async def test_parent_continues_after_its_child_was_verified_in_between() -> None:
    scenario = Scenario()
    child = scenario.build.add_http_flow("Child", {"Answer": define.build_response_action()})
    scenario.build.add_http_flow(
        "Parent", {"Run": define.build_child_flow_action(child.workflow_id)}
    )
    await plan_remediation(scenario)

    await scenario.approve(run=timedelta(minutes=10))

    jobs = await scenario.read_jobs()
    assert {job.step for job in jobs.values()} == {FlowJobState.CHECKING_FOR_CALLS}


async def test_service_account_stays_the_owner_of_a_copy() -> None:
    scenario = await build_approved_scenario()
    operator = scenario.world.operator
    original = next(iter(scenario.build.environment.flows.values()))
    original.owner_id = operator.user_id

    await scenario.run(timedelta(days=60))

    job = await scenario.read_job("Orders")
    assert (job.state, job.has_grants) == (FlowJobState.RETIRED, False), job.message
    copy = scenario.world.get_workflow(job.environment_id, job.copy.id)
    assert (copy.owner_id, is_co_owned(scenario.world, copy)) == (operator.user_id, False)


async def test_share_without_effect_is_revoked_after_the_kill_switch_is_off() -> None:
    scenario = await build_approved_scenario()
    scenario.world.assumptions.shares_let_people_ask = False
    access, writes = watch_flow_service(scenario), []

    async def stop() -> None:
        await set_kill_switch(scenario.services, is_on=True, by="tests", reason="now")
        writes.extend(scenario.world.writes)

    access.at_first_url = stop
    await scenario.run(timedelta(hours=2))
    held = (list(scenario.world.writes), (await scenario.read_job("Orders")).has_grants)
    await set_kill_switch(scenario.services, is_on=False, by="tests", reason="")
    await scenario.run(timedelta(days=60))

    assert held == (writes, True)
    job = await scenario.read_job("Orders")
    assert (job.state, job.has_grants) == (FlowJobState.RETIRED, False), job.message
    assert not any(is_co_owned(scenario.world, flow) for flow in scenario.world.list_flows())
