"""Fake of the port `FlowPages`, with a few flows on each page."""

from collections.abc import Collection
from dataclasses import replace

from shared.domain.environment import Environment
from shared.domain.flow import FlowListEntry, Workflow, WorkflowSummary
from shared.domain.flow_owner import FlowOwner, OwnerStatus
from shared.ports import ResultPage
from tests.fakes.flow_reports import FakeFlowReports, build_page
from tests.fakes.workflows import FakeWorkflows
from tests.fakes.world import World

#: Flows a page: small, so that most environments of the tests have several.
SIZE = 3


class FakeFlowPages:
    def __init__(self, world: World) -> None:
        self._world = world
        self._workflows = FakeWorkflows(world)
        self._reports = FakeFlowReports(world)

    async def read_workflows(
        self, environment: Environment, cursor: str = ""
    ) -> ResultPage[Workflow]:
        return self._build_page(await self._read_all(environment), cursor)

    async def read_workflow_summaries(
        self, environment: Environment, cursor: str = ""
    ) -> ResultPage[WorkflowSummary]:
        return self._build_page(
            [one.summary async for one in self._workflows.list(environment)], cursor
        )

    async def read_workflows_by_id(
        self, environment: Environment, workflow_ids: Collection[str]
    ) -> list[Workflow]:
        rows = await self._read_all(environment)
        return [one for one in rows if one.workflow_id in workflow_ids]

    async def _read_all(self, environment: Environment) -> list[Workflow]:
        rows = self._workflows.list(environment)
        return [replace(one, owner=self._build_owner(one.owner_id)) async for one in rows]

    def _build_owner(self, row_id: str) -> FlowOwner:
        if user := self._world.users.get(row_id):
            status = OwnerStatus.DISABLED if user.is_disabled else OwnerStatus.ENABLED
            return FlowOwner(id=row_id, entra_id=user.entra_id, name=user.name, status=status)
        if team := self._world.teams.get(row_id):
            return FlowOwner(id=row_id, name=team.name, status=OwnerStatus.ENABLED)
        return FlowOwner(id=row_id, status=OwnerStatus.NOT_FOUND)

    async def read_flows(self, environment_id: str, cursor: str = "") -> ResultPage[FlowListEntry]:
        return self._build_page(await self._reports.list_flows(environment_id), cursor)

    def _build_page[T](self, items: list[T], cursor: str) -> ResultPage[T]:
        return build_page(self._world, items, cursor, SIZE)
