"""Provide an app whose settings contain the URLs of many flows."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

from shared.domain.environment import Environment
from shared.domain.flow import WorkflowDraft
from shared.domain.jobs.flow_states import FlowJobState
from shared.errors import ThrottledError
from shared.reason import Reason
from tests.fakes.definitions import find_lineage
from tests.fakes.services import build_fake_settings
from tests.fakes.tenant import FakeFlow, FakeSite
from tests.functional.scenarios.remediation_scenario import Scenario
from tests.functional.scenarios.traffic_scenario import plan_remediation

FLOWS = 10
DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)
#: Copies are verified some seconds after they are created.
PROMPT = build_fake_settings().model_copy(
    update={"read_lag": timedelta(0), "wait_poll_interval": timedelta(seconds=10)}
)


def add_app(scenario: Scenario, count: int = FLOWS) -> tuple[FakeSite, list[FakeFlow]]:
    """Add an app with this number of settings, each with the URL of another flow."""
    flows = [scenario.build.add_http_flow(f"Flow {number}") for number in range(count)]
    for number, flow in enumerate(flows):
        site = scenario.build.add_app_setting_caller(flow, setting=f"URL_{number}")
    return site, flows


def list_changed_settings(before: Mapping[str, str], site: FakeSite) -> set[str]:
    return {name for name, value in before.items() if site.settings[name] != value}


async def list_steps(scenario: Scenario) -> set[FlowJobState]:
    return {job.step for job in (await scenario.read_jobs()).values()}


class LateCopies:
    """A workflows port that fails to create some copies until the test allows them."""

    def __init__(self, scenario: Scenario, failure: Exception, *flows: FakeFlow) -> None:
        self._port = scenario.fakes.ports.workflows
        self._failures: dict[str | None, Exception] = {}
        self.fail_copies(failure, *flows)
        scenario.around = lambda ports: replace(ports, workflows=cast("Any", self))
        scenario.renew()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._port, name)

    async def create(self, environment: Environment, draft: WorkflowDraft) -> None:
        failure = self._failures.get(find_lineage(draft.client_data))
        if failure:
            raise failure
        await self._port.create(environment, draft)

    def fail_copies(self, failure: Exception, *flows: FakeFlow) -> None:
        self._failures |= {find_lineage(flow.client_data): failure for flow in flows}

    def allow_copies(self, *flows: FakeFlow) -> None:
        for flow in flows:
            del self._failures[find_lineage(flow.client_data)]


NOT_YET = ThrottledError("not yet", retry_after=MINUTE / 2)


async def run_until_waiting_for_last(
    scenario: Scenario,
) -> tuple[FakeSite, list[FakeFlow], LateCopies]:
    """Run until the jobs of an app's flows wait for the job of the last flow, whose copy fails."""
    site, flows = add_app(scenario, 3)
    await plan_remediation(scenario)
    late = LateCopies(scenario, NOT_YET, flows[-1])
    await scenario.approve(run=2 * MINUTE)
    codes = Counter(job.reason_code for job in (await scenario.read_jobs()).values())
    assert codes == {Reason.BATCHING_CALLER_WRITES: 2, Reason.THROTTLED: 1}
    return site, flows, late
