"""An invocation runs several steps; it stores each of them and obeys requests in between."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.domain.jobs.flow_states import FlowJobState
from shared.use_cases import change_remediation
from shared.use_cases.set_kill_switch import set_kill_switch
from tests.fakes import definition_builder as define
from tests.fakes.sharing import is_co_owned
from tests.functional.scenarios.remediation_scenario import Scenario


async def build_approved_scenario(**settings: Any) -> Scenario:
    """Return a scenario of one called flow with an approved plan and no work done yet."""
    scenario = Scenario()
    scenario.settings = scenario.settings.model_copy(update=settings)
    scenario.build.add_http_flow("Orders")
    scenario.build.apply_key()
    await scenario.opt_in()
    await scenario.order()
    await scenario.approve(run=timedelta(0))
    return scenario


class Watched:
    """A flow service that records its requests, and may run an action at the first URL."""

    def __init__(self, access: object) -> None:
        """Wrap the port."""
        self._access: Any = access
        self.calls: list[str] = []
        self.at_first_url: Any = None

    def __getattr__(self, name: str) -> Any:
        """Return the attribute of the port, whose calls are recorded."""
        attribute = getattr(self._access, name)
        if name.startswith("_"):
            return attribute

        async def record_and_call(*args: Any, **named: Any) -> Any:
            self.calls.append(name)
            return await attribute(*args, **named)

        return record_and_call

    async def read_trigger_url(self, *flow: str) -> str:
        """Run the action, and return the trigger URL."""
        self.calls.append("read_trigger_url")
        if at_first_url := self.at_first_url:
            self.at_first_url = None
            await at_first_url()
        return str(await self._access.read_trigger_url(*flow))


def watch_flow_service(scenario: Scenario) -> Watched:
    """Wrap the flow service, and return the wrapper."""
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
async def test_one_delivery_brings_a_copy_to_its_quiet_days(
    *, is_heard: bool, calls: list[str]
) -> None:
    """The app reads each URL once and revokes what it granted.

    It tries shares without effect once.
    """
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


async def test_a_share_that_was_of_no_use_is_tried_again_a_day_later() -> None:
    """A day later the app tries a share again, which may have an effect by then."""
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


async def test_an_order_between_two_steps_is_obeyed_before_the_next() -> None:
    """The rollback starts before the next step, so no caller is updated."""
    scenario = await build_approved_scenario()
    access = watch_flow_service(scenario)

    async def roll_back() -> None:
        await change_remediation.roll_back(scenario.services, scenario.remediation.id, ())

    access.at_first_url = roll_back
    await scenario.run(timedelta(days=60))

    job = await scenario.read_job("Orders")
    assert job.state is FlowJobState.ROLLED_BACK, job.message
    assert FlowJobState.UPDATING_CALLERS not in {change.state for change in job.history}


async def test_a_delivery_that_has_taken_long_ends_with_its_step() -> None:
    """With a time limit of zero, each invocation runs one step, and the job still completes."""
    scenario = await build_approved_scenario(invocation_time_limit=timedelta(0))

    job = await scenario.run_until("Orders", FlowJobState.COPYING)
    assert job.leased_until is None
    await scenario.run(timedelta(days=60))

    assert (await scenario.read_job("Orders")).state is FlowJobState.RETIRED


async def test_a_parent_goes_on_when_its_child_is_proven_in_passing() -> None:
    """The parent continues after its child is verified, although the child waits again after it."""
    scenario = Scenario()
    child = scenario.build.add_http_flow("Child", {"Answer": define.build_response_action()})
    scenario.build.add_http_flow(
        "Parent", {"Run": define.build_child_flow_action(child.workflow_id)}
    )
    scenario.build.apply_key()
    await scenario.opt_in()
    await scenario.order()

    await scenario.approve(run=timedelta(minutes=10))

    jobs = await scenario.read_jobs()
    assert {job.step for job in jobs.values()} == {FlowJobState.CHECKING_FOR_CALLS}


async def test_the_operator_stays_the_owner_of_a_copy() -> None:
    """The service account stays the owner of the copy, and no grant is left."""
    scenario = await build_approved_scenario()
    operator = scenario.world.operator
    original = next(iter(scenario.build.environment.flows.values()))
    original.owner_id = operator.user_id

    await scenario.run(timedelta(days=60))

    job = await scenario.read_job("Orders")
    assert (job.state, job.has_grants) == (FlowJobState.RETIRED, False), job.message
    copy = scenario.world.get_workflow(job.environment_id, job.copy.id)
    assert (copy.owner_id, is_co_owned(scenario.world, copy)) == (operator.user_id, False)


async def test_a_share_of_no_use_is_left_while_nothing_may_be_written_and_goes_later() -> None:
    """With the kill switch on, the app does not revoke the share, and does so afterwards."""
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
