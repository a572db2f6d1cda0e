from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from shared.adapters.state.request_ledger import BudgetLimit
from shared.domain.flow import FlowListEntry
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.request_demand import RequestDemand
from shared.ports import ResultPage
from shared.reason import Reason
from shared.services import Services
from tests.fakes import definition_builder as define
from tests.fakes.ports import Ports
from tests.fakes.runtime import UnlimitedRequests
from tests.functional.scenarios.remediation_scenario import Scenario
from tests.functional.scenarios.request_meter import Meter, put_on_budget


@dataclass(slots=True)
class Lists:
    """A flow service that counts reads of the Microsoft-key list, and adds `unprotected` to it."""

    reports: Any
    reads: int = 0
    #: The copies that are on Microsoft's key, by their ids.
    unprotected: frozenset[str] = frozenset()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.reports, name)

    async def read_microsoft_key_flows(
        self, environment_id: str, cursor: str = "", *, cannot_migrate_only: bool
    ) -> ResultPage[FlowListEntry]:
        self.reads += 1
        page: ResultPage[FlowListEntry] = await self.reports.read_microsoft_key_flows(
            environment_id, cursor, cannot_migrate_only=cannot_migrate_only
        )
        if page.cursor:
            return page
        flow = page.items[0]
        more = [replace(flow, workflow_id=one, flow_name=one) for one in self.unprotected]
        return replace(page, items=(*page.items, *more))


@dataclass(slots=True)
class Asked(UnlimitedRequests):
    """A request budget that records all demands in order and never waits."""

    needs: list[RequestDemand] = field(default_factory=list)

    def reserve(self, need: RequestDemand | None) -> AbstractAsyncContextManager[None]:
        self.needs += [need] if need else []
        return UnlimitedRequests.reserve(self, need)


def add_flows(scenario: Scenario, count: int) -> None:
    for number in range(count):
        scenario.build.add_http_flow(f"Flow {number}")


def add_parents_with_children(scenario: Scenario, count: int) -> None:
    for number in range(count):
        child = scenario.build.add_http_flow(
            f"Child {number}", {"Answer": define.build_response_action()}
        )
        run = define.build_child_flow_action(child.workflow_id)
        scenario.build.add_http_flow(f"Parent {number}", {"Run": run})


async def approve_and_copy(scenario: Scenario) -> Lists:
    """Run until the flows are copied. Return the flow service, which counts from now."""
    scenario.build.apply_key()
    await scenario.opt_in()
    lists = Lists(scenario.fakes.ports.flow_reports)
    reports: Any = lists
    scenario.around = lambda ports: replace(ports, flow_reports=reports)
    scenario.renew()
    await scenario.order()
    await scenario.approve(run=timedelta(0))
    await scenario.run(timedelta(0))
    lists.reads = 0
    return lists


async def list_steps(scenario: Scenario) -> set[FlowJobState]:
    return {job.step for job in (await scenario.read_jobs()).values()}


async def test_copies_made_together_are_verified_with_one_list() -> None:
    scenario = Scenario()
    add_flows(scenario, 12)
    lists = await approve_and_copy(scenario)

    await scenario.run(scenario.settings.read_lag - timedelta(seconds=1))
    early = (lists.reads, await list_steps(scenario))
    await scenario.run(timedelta(seconds=1))

    assert early == (0, {FlowJobState.COPIED})
    assert (lists.reads, await list_steps(scenario)) == (1, {FlowJobState.CHECKING_FOR_CALLS})


async def test_copy_on_the_list_is_blocked_and_a_retry_reads_again() -> None:
    scenario = Scenario()
    add_flows(scenario, 2)
    lists = await approve_and_copy(scenario)
    jobs = await scenario.read_jobs()
    lists.unprotected = frozenset({jobs["Flow 0"].copy.id})

    await scenario.run(timedelta(hours=1))
    stuck = await scenario.read_job("Flow 0")
    other = await scenario.read_job("Flow 1")
    lists.unprotected = frozenset()
    await scenario.retry(run=timedelta(minutes=10))

    assert (stuck.state, stuck.reason_code) == (FlowJobState.BLOCKED, Reason.COPY_ON_MICROSOFT_KEY)
    assert other.step is FlowJobState.CHECKING_FOR_CALLS
    assert (await scenario.read_job("Flow 0")).step is FlowJobState.CHECKING_FOR_CALLS


async def test_newer_copy_waits_for_the_next_list() -> None:
    scenario = Scenario()
    add_parents_with_children(scenario, 3)
    lists = await approve_and_copy(scenario)

    await scenario.run(scenario.settings.read_lag)
    children = (lists.reads, await list_steps(scenario))
    await scenario.run(scenario.settings.wait_poll_interval - timedelta(seconds=1))
    between = lists.reads
    await scenario.run(timedelta(seconds=1))

    assert children[0] == between == 1
    assert FlowJobState.CHECKING_FOR_CALLS in children[1]
    assert (lists.reads, await list_steps(scenario)) == (2, {FlowJobState.CHECKING_FOR_CALLS})


async def test_job_that_waits_for_a_list_reserves_no_requests() -> None:
    """Other jobs can then use the requests."""
    scenario, asked = Scenario(), Asked()
    make = scenario.driver.make

    def with_request_budget(ports: Ports) -> Services:
        return replace(make(ports), request_budget=asked)

    scenario.driver.make = with_request_budget
    add_parents_with_children(scenario, 3)
    await approve_and_copy(scenario)
    await scenario.run(scenario.settings.read_lag)
    asked.needs.clear()

    await scenario.run(scenario.settings.wait_poll_interval - timedelta(seconds=1))
    between = [*asked.needs]
    await scenario.run(timedelta(seconds=1))

    assert await list_steps(scenario) == {FlowJobState.CHECKING_FOR_CALLS}
    assert (between, len(asked.needs)) == ([], 3)


async def test_list_is_read_after_a_minute_if_no_other_job_needs_requests() -> None:
    scenario = Scenario()
    limit = BudgetLimit(name="flow-service", calls=10, window=timedelta(minutes=1))
    put_on_budget(scenario, limit, Meter())
    add_parents_with_children(scenario, 1)
    lists = await approve_and_copy(scenario)

    await scenario.run(2.5 * scenario.settings.read_lag)

    assert (lists.reads, await list_steps(scenario)) == (2, {FlowJobState.CHECKING_FOR_CALLS})
