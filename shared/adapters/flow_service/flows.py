"""What the flow service tells an administrator, and its switch (contract §5).

Microsoft does not support this API for customers, but the reports about the key exist nowhere else.
"""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import aclosing, suppress
from datetime import datetime, timedelta

from shared.adapters.flow_service.wire import FlowEntity, RunEntity
from shared.adapters.http.client import Call, HttpClient, Service, read_object
from shared.adapters.http.wire import read_wire
from shared.domain.flow import FlowDetail, ReportedFlow, Run
from shared.errors import NotFound
from shared.ports import FlowReports, FlowSwitch

#: The audience ends in a slash, which the scope keeps (contract §7.1).
SCOPE = "https://service.flow.microsoft.com//.default"
VERSION = {"api-version": "2016-11-01"}
_BASE = "https://api.flow.microsoft.com/providers/Microsoft.ProcessSimple"
#: Items a page of a list of flows or runs holds at most.
_PAGE = 250
#: A deleted flow stays in some lists for 21 days (§5.2).
_DELETED = "Deleted"
#: Names of shadow rows, which Microsoft's module drops (§5.1).
_SHADOW = "-azshadow"


#: Path and query of the list of every flow (§5.2).
ALL_FLOWS = ("v2/flows", {"$top": str(_PAGE), "include": "includeSolutionCloudFlows"})


def admin_url(environment_id: str, path: str) -> str:
    """Return a URL in an administrator's view of an environment."""
    return f"{_BASE}/scopes/admin/environments/{environment_id}/{path}"


def maker_url(environment_id: str, path: str) -> str:
    """Return a URL in a maker's view of an environment."""
    return f"{_BASE}/environments/{environment_id}/{path}"


def reported(flows: Iterable[FlowEntity]) -> list[ReportedFlow]:
    """Return flows as lines of a report, without those that are deleted and shadow rows."""
    return [
        flow.to_report()
        for flow in flows
        if flow.properties.state != _DELETED and not flow.name.endswith(_SHADOW)
    ]


def _between(since: datetime, until: datetime | None) -> str:
    """Return the filter for runs, to the second; what is too late is left out by the caller."""
    text = f"startTime ge {since:%Y-%m-%dT%H:%M:%SZ}"
    if until is None:
        return text
    return f"{text} and startTime le {until + timedelta(seconds=1):%Y-%m-%dT%H:%M:%SZ}"


class FlowServiceReports(FlowReports):
    """`FlowReports` by the flow service."""

    def __init__(self, http: HttpClient, service: Service) -> None:
        """Call as the application; `service` has `SCOPE`."""
        self._http = http
        self._service = service

    async def microsoft_key_flows(
        self, environment_id: str, *, cannot_migrate_only: bool
    ) -> list[ReportedFlow]:
        """Return the flows on Microsoft's key, or just those that stay there (§5.1)."""
        only = {"exclude": "cmkMigrationSupportedFlows"} if cannot_migrate_only else {}
        return await self._report(admin_url(environment_id, "nonCmkMigratedFlows"), only)

    async def list_flows(self, environment_id: str) -> list[ReportedFlow]:
        """Return every flow of the environment, lean, solution flows included (§5.2)."""
        path, params = ALL_FLOWS
        return await self._report(admin_url(environment_id, path), params)

    async def get_flow(self, environment_id: str, flow_name: str) -> FlowDetail:
        """Return one flow with its definition; raises `NotFound`."""
        call = Call(
            method="GET",
            url=admin_url(environment_id, f"flows/{flow_name}"),
            params={**VERSION, "$expand": "properties.connectionreferences.apidefinition"},
        )
        answer = read_object(self._service, await self._http.send(self._service, call))
        flow = read_wire(FlowEntity, answer)
        if flow.properties.state == _DELETED:
            message = f"Flow {flow_name} is in the recycle bin."
            raise NotFound(message)
        return flow.to_detail()

    async def runs(
        self,
        environment_id: str,
        flow_name: str,
        *,
        since: datetime,
        until: datetime | None = None,
        limit: int = 250,
    ) -> list[Run]:
        """Return runs that began from `since` up to `until`, newest first, at most `limit`."""
        call = Call(
            method="GET",
            url=admin_url(environment_id, f"flows/{flow_name}/runs"),
            params={
                **VERSION,
                "$filter": _between(since, until),
                "$top": str(min(limit, _PAGE)),
            },
        )
        runs: list[Run] = []
        async with aclosing(self._http.items(self._service, call)) as items:
            async for item in items:
                run = read_wire(RunEntity, item).to_domain()
                # The platform gives the newest first; its filter is a request, not a promise.
                if len(runs) == limit or run.started < since:
                    break
                if until is None or run.started <= until:
                    runs.append(run)
        return runs

    async def _report(self, url: str, params: Mapping[str, str]) -> list[ReportedFlow]:
        """Read a report; a flow that stands on two pages is given once."""
        flows = {flow.name: flow async for flow in self._flows(url, params)}
        return reported(flows.values())

    async def _flows(self, url: str, params: Mapping[str, str]) -> AsyncIterator[FlowEntity]:
        call = Call(method="GET", url=url, params={**VERSION, **params})
        async for item in self._http.items(self._service, call):
            yield read_wire(FlowEntity, item)


class FlowServiceSwitch(FlowSwitch):
    """`FlowSwitch` by the flow service, in an administrator's view (§5.4)."""

    def __init__(self, http: HttpClient, service: Service) -> None:
        """Call as the application; `service` has `SCOPE`."""
        self._http = http
        self._service = service

    async def start(self, environment_id: str, flow_name: str) -> None:
        """Turn a flow on; raises `NotFound`."""
        await self._post(environment_id, flow_name, "start")

    async def stop(self, environment_id: str, flow_name: str) -> None:
        """Turn a flow off; raises `NotFound`."""
        await self._post(environment_id, flow_name, "stop")

    async def delete(self, environment_id: str, flow_name: str) -> None:
        """Delete a flow; does nothing if it is gone."""
        url = admin_url(environment_id, f"flows/{flow_name}")
        with suppress(NotFound):
            await self._http.send(self._service, Call(method="DELETE", url=url, params=VERSION))

    async def restore(self, environment_id: str, flow_name: str) -> None:
        """Take a flow out of the recycle bin, off; raises `NotFound` if it is not there."""
        await self._post(environment_id, flow_name, "restore")

    async def _post(self, environment_id: str, flow_name: str, verb: str) -> None:
        url = admin_url(environment_id, f"flows/{flow_name}/{verb}")
        await self._http.send(self._service, Call(method="POST", url=url, params=VERSION, body={}))
