"""Read lists of flows page by page, from Dataverse and from the flow service.

The cursor is the platform's own link to the next page, and is stored in a row between two reads. So
the link's host is checked before a token is sent to it. See platform.md#flow-lists,
#workflow-table.
"""

from collections.abc import Collection
from datetime import timedelta
from itertools import batched

from shared.adapters.dataverse.web_api import IDS_IN_A_FILTER, Dataverse, filter_by_ids
from shared.adapters.dataverse.workflows import (
    CLOUD_FLOWS,
    COLUMNS,
    LEAN_COLUMNS,
    OWNER,
    TABLE,
    WorkflowEntity,
)
from shared.adapters.flow_service.flows import ALL_FLOWS, read_flow_list_page
from shared.adapters.flow_service.service import FlowService
from shared.adapters.http.policies import RequestLimiter
from shared.adapters.http.wire import parse_wire
from shared.domain.environment import Environment
from shared.domain.flow import FlowListEntry, Workflow, WorkflowSummary
from shared.ports import FlowPages, ResultPage

#: Maximum rows per page without definitions (documented: 5,000).
_LEAN_PAGE = 5_000


class ServiceFlowPages(FlowPages):
    """Implements the port `FlowPages` with Dataverse and the flow service."""

    def __init__(self, dataverse: Dataverse, flow_service: FlowService) -> None:
        self._dataverse = dataverse
        self._flow_service = flow_service

    async def read_workflows(
        self, environment: Environment, cursor: str = ""
    ) -> ResultPage[Workflow]:
        params = {"$filter": CLOUD_FLOWS, "$select": COLUMNS, "$expand": OWNER}
        rows, following = await self._dataverse.read_page(environment, TABLE, params, cursor)
        flows = (parse_wire(WorkflowEntity, row).to_domain() for row in rows)
        return ResultPage(items=tuple(flows), cursor=following)

    async def read_workflow_summaries(
        self, environment: Environment, cursor: str = ""
    ) -> ResultPage[WorkflowSummary]:
        params = {"$filter": CLOUD_FLOWS, "$select": LEAN_COLUMNS}
        rows, following = await self._dataverse.read_page(
            environment, TABLE, params, cursor, size=_LEAN_PAGE
        )
        flows = (parse_wire(WorkflowEntity, row).to_domain().summary for row in rows)
        return ResultPage(items=tuple(flows), cursor=following)

    async def read_workflows_by_id(
        self, environment: Environment, workflow_ids: Collection[str]
    ) -> list[Workflow]:
        queries = [
            {
                "$filter": f"{CLOUD_FLOWS} and ({filter_by_ids('workflowid', ids)})",
                "$select": COLUMNS,
                "$expand": OWNER,
            }
            for ids in batched(sorted(workflow_ids), IDS_IN_A_FILTER, strict=False)
        ]
        rows = await self._dataverse.read_rows_of_all_queries(environment, TABLE, queries)
        return [parse_wire(WorkflowEntity, row).to_domain() for row in rows]

    async def read_flows(self, environment_id: str, cursor: str = "") -> ResultPage[FlowListEntry]:
        return await read_flow_list_page(self._flow_service, environment_id, ALL_FLOWS, cursor)


class NestedBudget:
    """A request budget with its own limit inside another budget.

    Each request counts in both.
    """

    def __init__(self, share: RequestLimiter, whole: RequestLimiter) -> None:
        """While `share` is exhausted, nothing is taken from `whole`."""
        self._share = share
        self._whole = whole

    @property
    def is_in_invocation(self) -> bool:
        return self._whole.is_in_invocation

    async def wait_for_requests(self, count: int = 1) -> None:
        await self._share.wait_for_requests(count)
        await self._whole.wait_for_requests(count)

    async def take(self, *, is_write: bool = False) -> None:
        await self._share.take(is_write=is_write)
        await self._whole.take(is_write=is_write)

    async def slow_down(self, wait: timedelta) -> None:
        """Slow down the outer budget, because the service throttled a request."""
        await self._whole.slow_down(wait)
