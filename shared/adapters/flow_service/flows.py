"""Read flows and runs in the admin scope, and turn flows on and off (platform.md#flow-service).

Microsoft does not support this API for customers, but the reports about the key exist nowhere else.
"""

from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing, suppress
from datetime import datetime, timedelta
from http import HTTPStatus
from operator import itemgetter

from shared.adapters.flow_service.service import FlowService
from shared.adapters.flow_service.trigger_outputs import read_call_traits
from shared.adapters.flow_service.wire import FlowEntity, RunEntity, RunWithActions
from shared.adapters.http.client import ServiceRequest
from shared.adapters.http.wire import parse_wire
from shared.domain.callers.call_headers import NOT_READ
from shared.domain.callers.observed_caller import ObservedCall
from shared.domain.flow import FailedAction, FlowListEntry, FlowRun, FlowServiceFlow
from shared.errors import NotFound, PlatformError
from shared.ports import FlowReports, NonSolutionFlows, ResultPage

#: Maximum items per page of flows or runs.
_PAGE = 250
#: Pages that are read of runs that the platform does not filter by status.
_MOST_PAGES = 40
#: A deleted flow remains in some lists for 21 days (platform.md#recycle-bin).
_DELETED = "Deleted"
#: How the names of shadow rows end, which Microsoft's module skips (platform.md#shadow-flows).
_SHADOW = "-azshadow"


#: The list of all flows (platform.md#flow-lists).
ALL_FLOWS = ServiceRequest(
    method="GET",
    url="v2/flows",
    params={"$top": str(_PAGE), "include": "includeSolutionCloudFlows"},
)


def build_flow_entries(flows: Iterable[FlowEntity]) -> list[FlowListEntry]:
    """Return flows as entries of a list, without deleted flows and shadow rows.

    The flow service lists a shadow row beside some flows.
    """
    return [
        flow.to_list_entry()
        for flow in flows
        if flow.properties.state != _DELETED and not flow.name.endswith(_SHADOW)
    ]


async def read_flow_list_page(
    service: FlowService, environment_id: str, call: ServiceRequest, cursor: str
) -> ResultPage[FlowListEntry]:
    """Return a page of the list of flows that `call` requests."""
    rows, following = await service.read_page(environment_id, call, cursor)
    flows = build_flow_entries(parse_wire(FlowEntity, row) for row in rows)
    return ResultPage(items=tuple(flows), cursor=following)


def _build_runs_request(
    flow_name: str,
    since: datetime,
    until: datetime | None = None,
    *,
    top: int = _PAGE,
    status: str = "",
) -> ServiceRequest:
    """Return the request for runs of a flow.

    The platform's filter ignores fractions of a second, so the times have to be compared again.
    """
    began = f"startTime ge {since:%Y-%m-%dT%H:%M:%SZ}"
    if until:
        began += f" and startTime le {until + timedelta(seconds=1):%Y-%m-%dT%H:%M:%SZ}"
    if status:
        began += f" and status eq '{status}'"
    params = {"$filter": began, "$top": str(top)}
    return ServiceRequest(method="GET", url=f"flows/{flow_name}/runs", params=params)


async def read_flow(
    service: FlowService, environment_id: str, flow_name: str, *, as_maker: bool = False
) -> FlowServiceFlow:
    """Return a flow. Raises `NotFound` if it does not exist or is deleted."""
    expanded = {"$expand": "properties.connectionreferences.apidefinition"}
    call = ServiceRequest(method="GET", url=f"flows/{flow_name}", params=expanded)
    flow = parse_wire(FlowEntity, await service.read(environment_id, call, as_maker=as_maker))
    if flow.properties.state == _DELETED:
        message = f"Flow {flow_name} is in the recycle bin."
        raise NotFound(message)
    return flow.to_detail()


class FlowServiceReports(FlowReports):
    """Implements the port `FlowReports` with the flow service."""

    def __init__(self, service: FlowService) -> None:
        self._service = service

    async def read_microsoft_key_flows(
        self, environment_id: str, cursor: str = "", *, cannot_migrate_only: bool
    ) -> ResultPage[FlowListEntry]:
        only = {"exclude": "cmkMigrationSupportedFlows"} if cannot_migrate_only else {}
        call = ServiceRequest(method="GET", url="nonCmkMigratedFlows", params=only)
        return await read_flow_list_page(self._service, environment_id, call, cursor)

    async def list_flows(self, environment_id: str) -> list[FlowListEntry]:
        items = self._service.read_items(environment_id, ALL_FLOWS)
        flows = [parse_wire(FlowEntity, item) async for item in items]
        # A flow can be on two pages.
        return build_flow_entries({flow.name: flow for flow in flows}.values())

    async def get_flow(self, environment_id: str, flow_name: str) -> FlowServiceFlow:
        return await read_flow(self._service, environment_id, flow_name)

    async def read_licence(self, environment_id: str, flow_name: str) -> str | None:
        call = ServiceRequest(
            method="GET",
            url=f"flows/{flow_name}",
            params={"$expand": "properties.licenseData"},
        )
        flow = parse_wire(FlowEntity, await self._service.read(environment_id, call))
        data = flow.properties.license_data
        return None if data is None else data.flow_license_name or ""

    async def read_runs(
        self, environment_id: str, flow_name: str, *, since: datetime, limit: int = 250
    ) -> list[FlowRun]:
        call = _build_runs_request(flow_name, since, top=min(limit, _PAGE))
        runs: list[FlowRun] = []
        async with aclosing(self._service.read_items(environment_id, call)) as items:
            async for item in items:
                run = parse_wire(RunEntity, item).to_domain()
                # The platform returns the newest first, but does not always apply the filter.
                if run.started_at < since:
                    break
                runs.append(run)
                if len(runs) == limit:  # before the next item, which can take a request
                    break
        return runs

    async def read_run_page(
        self,
        environment_id: str,
        flow_name: str,
        cursor: str = "",
        *,
        since: datetime,
        until: datetime,
    ) -> ResultPage[FlowRun]:
        call = _build_runs_request(flow_name, since, until)
        rows, following = await self._service.read_page(environment_id, call, cursor)
        runs = [parse_wire(RunEntity, row).to_domain() for row in rows]
        if cursor and runs and all(run.started_at > until for run in runs):
            message = "The page has only runs that earlier pages had. The cursor is not valid."
            raise PlatformError(message, code="RepeatedPage", status=HTTPStatus.GONE)
        # As in `runs`: all runs after one that is too old are too old.
        goes_on = all(run.started_at >= since for run in runs)
        items = tuple(run for run in runs if since <= run.started_at <= until)
        return ResultPage(items=items, cursor=following if goes_on else "")

    async def read_runs_in_progress(
        self, environment_id: str, flow_name: str, *, since: datetime, until: datetime
    ) -> list[FlowRun]:
        """Return the runs in progress that began between `since` and `until`.

        Reads the newest runs whatever their status, because a run in progress may have a status
        other than `Running`. If there are more runs, also reads those with this status, or further
        pages if the platform does not apply this filter.
        """
        page = await self.read_run_page(environment_id, flow_name, since=since, until=until)
        runs = [*page.items]
        if page.cursor:
            running = await self._read_running_runs(environment_id, flow_name, since, until)
            is_filtered = running is not None and all(run.is_running for run in running)
            runs += running or ()
            for _ in range(0 if is_filtered else _MOST_PAGES):
                page = await self.read_run_page(
                    environment_id, flow_name, page.cursor, since=since, until=until
                )
                runs += page.items
                if not page.cursor:
                    break
        found = {run.run_id: run for run in runs if run.is_running and run.started_at <= until}
        return [*found.values()]

    async def _read_running_runs(
        self, environment_id: str, flow_name: str, since: datetime, until: datetime
    ) -> list[FlowRun] | None:
        """Return the runs with status `Running`, or None if the platform rejects the filter."""
        call = _build_runs_request(flow_name, since, until, status="Running")
        try:
            rows, _ = await self._service.read_page(environment_id, call)
        except PlatformError:
            return None
        return [parse_wire(RunEntity, row).to_domain() for row in rows]

    async def read_calls(
        self, environment_id: str, flow_name: str, *, since: datetime, limit: int
    ) -> AsyncGenerator[ObservedCall]:
        call = _build_runs_request(flow_name, since)
        calls: list[tuple[datetime, RunEntity]] = []
        async with aclosing(self._service.read_items(environment_id, call)) as items:
            async for item in items:
                entity = parse_wire(RunEntity, item)
                run = entity.to_domain()
                if run.started_at <= since:
                    break
                if run.is_answered_call:
                    calls.append((run.started_at, entity))
                if len(calls) == _PAGE:  # before the next item, which can take a request
                    break
        calls.sort(key=itemgetter(0))
        for left, (started_at, entity) in zip(range(len(calls), 0, -1), calls, strict=True):
            traits = NOT_READ if left > limit else await read_call_traits(self._service, entity)
            yield ObservedCall(started_at=started_at, traits=traits)

    async def read_failed_actions(
        self, environment_id: str, flow_name: str, run_id: str
    ) -> list[FailedAction]:
        call = ServiceRequest(
            method="GET",
            url=f"flows/{flow_name}/runs/{run_id}",
            params={"$expand": "properties/actions"},
        )
        answer = await self._service.read(environment_id, call)
        return parse_wire(RunWithActions, answer).list_failed_actions()


class FlowServiceNonSolutionFlows(NonSolutionFlows):
    """Implements the port `NonSolutionFlows` with the flow service in the admin scope
    (platform.md#flow-state).
    """

    def __init__(self, service: FlowService) -> None:
        self._service = service

    async def start(self, environment_id: str, flow_name: str) -> None:
        await self._post_flow_action(environment_id, flow_name, "start")

    async def stop(self, environment_id: str, flow_name: str) -> None:
        await self._post_flow_action(environment_id, flow_name, "stop")

    async def delete(self, environment_id: str, flow_name: str) -> None:
        with suppress(NotFound):
            call = ServiceRequest(method="DELETE", url=f"flows/{flow_name}")
            await self._service.send(environment_id, call)

    async def restore(self, environment_id: str, flow_name: str) -> None:
        await self._post_flow_action(environment_id, flow_name, "restore")

    async def _post_flow_action(self, environment_id: str, flow_name: str, verb: str) -> None:
        call = ServiceRequest(method="POST", url=f"flows/{flow_name}/{verb}", body={})
        await self._service.send(environment_id, call)
