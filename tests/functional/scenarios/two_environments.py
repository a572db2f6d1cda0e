"""Run remediations of two environments whose flows call each other by URL."""

import json
from dataclasses import dataclass, field
from datetime import timedelta

from shared.domain.environment import ApprovalPolicy
from shared.domain.jobs.flow_job import FlowJob
from tests.fakes import definition_builder as define
from tests.fakes.builder import Builder
from tests.fakes.tenant import FakeFlow
from tests.functional.scenarios.remediation_scenario import Scenario


@dataclass(slots=True)
class TwoEnvironments(Scenario):
    other: Builder = field(init=False)

    def __post_init__(self) -> None:
        Scenario.__post_init__(self)
        self.other = Builder(self.world, name="Other")

    def prepare(self) -> None:
        """Apply a key to both environments and share their connections. Call this after all flows
        are added.
        """
        for build in self.builders:
            build.apply_key()
            build.share_connections()

    @property
    def builders(self) -> tuple[Builder, Builder]:
        return self.build, self.other

    async def opt_in_both(self, mode: ApprovalPolicy = ApprovalPolicy.AUTOMATIC) -> None:
        for build in self.builders:
            await self.set_approval_policy(mode, build.environment.id)

    async def start_remediation_of(
        self, *builds: Builder, cause: str = "both", run: timedelta = timedelta(minutes=30)
    ) -> None:
        identities = tuple(build.environment.id for build in builds)
        await self.order(environment_ids=identities, cause=cause, run=run)

    async def read_all_jobs(self) -> dict[str, FlowJob]:
        """Return the flow jobs of both environments by the names of their originals."""
        return {job.display_name: job for job in await self.services.tables.flow_jobs.read_all()}

    def add_call_across(self) -> tuple[FakeFlow, FakeFlow]:
        """Add Orders in this environment, and Shop in the other. Shop calls Orders by URL."""
        orders = self.build.add_http_flow("Orders")
        shop = self.other.add_http_flow(
            "Shop", {"Order": define.build_http_action(self.get_trigger_url(orders))}
        )
        return orders, shop

    def get_trigger_url(self, flow: FakeFlow) -> str:
        home = next(one for one in self.builders if one.environment.id == flow.environment_id)
        return home.get_trigger_url(flow)

    def add_call(self, flow: FakeFlow, called: FakeFlow) -> None:
        document = json.loads(flow.client_data)
        actions = document["properties"]["definition"]["actions"]
        actions[f"Call_{len(actions)}"] = define.build_http_action(self.get_trigger_url(called)) | {
            "runAfter": {}
        }
        flow.client_data = json.dumps(document)


async def build_two_plans() -> TwoEnvironments:
    """Return a scenario in which the plans of two environments, with a flow each, await
    approval.
    """
    scenario = TwoEnvironments()
    for build in scenario.builders:
        build.add_http_flow("Orders")
    scenario.prepare()
    await scenario.opt_in_both(ApprovalPolicy.REQUIRED)
    await scenario.start_remediation_of(*scenario.builders)
    return scenario
