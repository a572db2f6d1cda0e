"""Lists of flows a page at a time, by Dataverse and by the flow service.

The cursor is the platform's own next link. It is kept in a row meanwhile, so where it leads is
checked again before a token goes there.

See platform.md#flow-lists, #workflow-table.
"""

from collections.abc import Collection
from datetime import timedelta
from itertools import batched

from shared.adapters.dataverse.web_api import IDS_IN_A_FILTER, Dataverse, any_of
from shared.adapters.dataverse.workflows import (
    CLOUD_FLOWS,
    COLUMNS,
    LEAN_COLUMNS,
    TABLE,
    WorkflowEntity,
)
from shared.adapters.flow_service.flows import ALL_FLOWS, report_page
from shared.adapters.flow_service.service import FlowService
from shared.adapters.http.policies import RequestLimiter
from shared.adapters.http.wire import read_wire
from shared.domain.environment import Environment
from shared.domain.flow import FlowListEntry, Workflow, WorkflowSummary
from shared.ports import FlowPages, ResultPage

#: Rows without a definition that a page holds at most (documented: 5,000).
_LEAN_PAGE = 5_000


class ServiceFlowPages(FlowPages):
    """`FlowPages` by both services."""

    def __init__(self, dataverse: Dataverse, flow_service: FlowService) -> None:
        """Call as the application."""
        self._dataverse = dataverse
        self._flow_service = flow_service

    async def workflows(self, environment: Environment, cursor: str = "") -> ResultPage[Workflow]:
        """Return cloud flows as Dataverse has them, up to 500."""
        params = {"$filter": CLOUD_FLOWS, "$select": COLUMNS}
        rows, following = await self._dataverse.page(environment, TABLE, params, cursor)
        flows = (read_wire(WorkflowEntity, row).to_domain() for row in rows)
        return ResultPage(items=tuple(flows), cursor=following)

    async def workflow_summaries(
        self, environment: Environment, cursor: str = ""
    ) -> ResultPage[WorkflowSummary]:
        """Return cloud flows as Dataverse has them, without their definitions, up to 5,000."""
        params = {"$filter": CLOUD_FLOWS, "$select": LEAN_COLUMNS}
        rows, following = await self._dataverse.page(
            environment, TABLE, params, cursor, size=_LEAN_PAGE
        )
        flows = (read_wire(WorkflowEntity, row).to_domain().summary for row in rows)
        return ResultPage(items=tuple(flows), cursor=following)

    async def workflows_by_id(
        self, environment: Environment, workflow_ids: Collection[str]
    ) -> list[Workflow]:
        """Return these cloud flows as Dataverse has them; those that are gone are left out."""
        queries = [
            {
                "$filter": f"{CLOUD_FLOWS} and ({any_of('workflowid', ids)})",
                "$select": COLUMNS,
            }
            for ids in batched(sorted(workflow_ids), IDS_IN_A_FILTER, strict=False)
        ]
        rows = await self._dataverse.rows_of_each(environment, TABLE, queries)
        return [read_wire(WorkflowEntity, row).to_domain() for row in rows]

    async def flows(self, environment_id: str, cursor: str = "") -> ResultPage[FlowListEntry]:
        """Return flows as the flow service lists them, lean (platform.md#flow-lists)."""
        return await report_page(self._flow_service, environment_id, ALL_FLOWS, cursor)


class NestedBudget:
    """A budget within another one: its calls count in both, and it never takes more than its own.

    So what can wait leaves the rest to what cannot.
    """

    def __init__(self, share: RequestLimiter, whole: RequestLimiter) -> None:
        """`share` is asked first: while it is used up, nothing is taken from `whole`."""
        self._share = share
        self._whole = whole

    @property
    def is_waited_for(self) -> bool:
        """Say whether `ready` waits."""
        return self._whole.is_waited_for

    async def wait_for(self, calls: int = 1) -> None:
        """Wait for calls of both where a delivery may wait."""
        await self._share.wait_for(calls)
        await self._whole.wait_for(calls)

    async def take(self, *, is_write: bool = False) -> None:
        """Take one call of both; raises `ThrottledError` when either has none left now."""
        await self._share.take(is_write=is_write)
        await self._whole.take(is_write=is_write)

    async def refused(self, wait: timedelta) -> None:
        """Let nobody call for a while, and fewer: the service is the same for all."""
        await self._whole.refused(wait)
