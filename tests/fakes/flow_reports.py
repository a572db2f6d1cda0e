"""Fake of the port `FlowReports`: lists of flows without definitions, single flows, and runs."""

import json
from collections.abc import AsyncGenerator
from dataclasses import replace
from datetime import datetime

from local_cloud.tenant.environments.flow import RUN_HISTORY
from local_cloud.tenant.flows.saves import convert_to_runtime_shape
from shared.domain.callers.call_headers import NOT_READ, NOT_SHOWN, parse_call_traits
from shared.domain.callers.observed_caller import ObservedCall
from shared.domain.flow import FailedAction, FlowListEntry, FlowRun, FlowServiceFlow
from shared.errors import NotFound, PlatformError
from shared.ports import ResultPage
from tests.fakes.flow_service import has_microsoft_key_reason
from tests.fakes.tenant import FakeFlow, FakeRun
from tests.fakes.world import World, WorldFake


def build_detail(world: World, flow: FakeFlow) -> FlowServiceFlow:
    """Return a flow as the flow service shows it to a co-owner."""
    return FlowServiceFlow(
        flow_name=flow.flow_name,
        display_name=flow.name,
        workflow_id=flow.workflow_id if flow.in_solution else None,
        state=flow.state,
        client_data=_convert_to_shown_shape(world, flow.client_data),
        owner_id=world.get_entra_id(flow.owner_id),
        is_managed=flow.is_managed,
        in_solution=flow.in_solution,
        description=flow.description,
    )


def _convert_to_shown_shape(world: World, client_data: str) -> str:
    if not world.assumptions.flow_service_shows_runtime_shape:
        return client_data
    document = json.loads(client_data)
    convert_to_runtime_shape(document["properties"]["definition"])
    return json.dumps(document)


def build_page[T](world: World, items: list[T], cursor: str, size: int) -> ResultPage[T]:
    """Return one page of a list. A cursor is a position in the list."""
    if cursor and world.cursors_expired:
        raise PlatformError("The paging cookie has expired.", code="0x80040216", status=400)
    start = int(cursor or 0)
    following = str(start + size) if start + size < len(items) else ""
    return ResultPage(items=tuple(items[start : start + size]), cursor=following)


class FakeFlowReports(WorldFake):
    async def read_microsoft_key_flows(
        self, environment_id: str, cursor: str = "", *, cannot_migrate_only: bool
    ) -> ResultPage[FlowListEntry]:
        environment = self._world.get_served_environment(environment_id)
        flows = [
            self._build_list_entry(flow)
            for flow in self._world.list_shown_flows(environment_id, in_list=True)
            if not flow.is_protected
            and (flow.is_on or self._world.assumptions.stopped_flows_stay_listed)
            and (not cannot_migrate_only or has_microsoft_key_reason(environment, flow))
        ]
        return build_page(self._world, flows, cursor, self._world.report_page)

    async def list_flows(self, environment_id: str) -> list[FlowListEntry]:
        shown = self._world.list_shown_flows(environment_id, in_list=True)
        return [self._build_list_entry(flow) for flow in shown]

    async def get_flow(self, environment_id: str, flow_name: str) -> FlowServiceFlow:
        shown = build_detail(self._world, self._world.get_shown_flow(environment_id, flow_name))
        is_hidden = self._world.assumptions.definitions_hidden_from_administrators
        return replace(shown, client_data=None) if is_hidden else shown

    async def read_licence(self, environment_id: str, flow_name: str) -> str | None:
        flow = self._world.get_flow(environment_id, flow_name)
        if not self._world.tells_licences:
            return None
        return "PowerAutomatePremium" if self._world.get_user(flow.owner_id).has_premium else ""

    async def read_runs(
        self, environment_id: str, flow_name: str, *, since: datetime, limit: int = 250
    ) -> list[FlowRun]:
        return self._list_runs(environment_id, flow_name, since, self._world.clock.now())[:limit]

    async def read_run_page(
        self,
        environment_id: str,
        flow_name: str,
        cursor: str = "",
        *,
        since: datetime,
        until: datetime,
    ) -> ResultPage[FlowRun]:
        place, _, listed_until = cursor.partition("~")
        listed_until = listed_until or until.isoformat()
        moment = datetime.fromisoformat(listed_until)
        runs = self._list_runs(environment_id, flow_name, since, moment)
        page = build_page(self._world, runs, place, self._world.run_page)
        items = tuple(run for run in page.items if run.started_at <= until)
        return ResultPage(items=items, cursor=page.cursor and f"{page.cursor}~{listed_until}")

    async def read_runs_in_progress(
        self, environment_id: str, flow_name: str, *, since: datetime, until: datetime
    ) -> list[FlowRun]:
        runs = self._list_runs(environment_id, flow_name, since, until)
        return [run for run in runs if run.is_running]

    def _list_runs(
        self, environment_id: str, flow_name: str, since: datetime, until: datetime
    ) -> list[FlowRun]:
        flow = self._world.get_shown_flow(environment_id, flow_name)
        kept = self._list_kept_runs(flow)
        if flow.protected_since:
            kept = [run for run in kept if run.started >= flow.protected_since]
        shown = [self._build_run(run) for run in kept if since <= run.started <= until]
        return sorted(shown, key=lambda run: run.started_at, reverse=True)

    async def read_calls(
        self, environment_id: str, flow_name: str, *, since: datetime, limit: int
    ) -> AsyncGenerator[ObservedCall]:
        runs = self._list_runs(environment_id, flow_name, since, self._world.clock.now())[:250]
        calls = [run for run in runs if run.is_answered_call and run.started_at > since]
        headers = {
            run.run_id: run.headers for run in self._world.get_flow(environment_id, flow_name).runs
        }
        for newer, run in reversed([*enumerate(calls)]):
            shown = headers[run.run_id]
            traits = parse_call_traits(shown) if shown else NOT_SHOWN
            yield ObservedCall(
                started_at=run.started_at, traits=NOT_READ if newer >= limit else traits
            )

    async def read_failed_actions(
        self, environment_id: str, flow_name: str, run_id: str
    ) -> list[FailedAction]:
        flow = self._world.get_shown_flow(environment_id, flow_name)
        for run in self._list_kept_runs(flow):
            if run.run_id == run_id:
                named = FailedAction(name=run.failed_action, code="BadRequest", message=run.error)
                return [named] if run.failed_action else []
        raise NotFound(f"there is no run {run_id}")

    def _list_kept_runs(self, flow: FakeFlow) -> list[FakeRun]:
        oldest = self._world.clock.now() - RUN_HISTORY
        return [run for run in flow.runs if run.started >= oldest]

    def _build_list_entry(self, flow: FakeFlow) -> FlowListEntry:
        is_bare = self._world.reports_are_bare
        return FlowListEntry(
            flow_name=flow.flow_name,
            display_name=flow.name,
            # Only solution flows name their Dataverse row (platform.md#solution-flow-id).
            workflow_id=flow.workflow_id if flow.in_solution and not is_bare else None,
            state=None if is_bare else flow.state,
        )

    def _build_run(self, run: FakeRun) -> FlowRun:
        has_ended = run.ends <= self._world.clock.now()
        ended = "Skipped" if run.is_skipped else "Failed" if run.failed else "Succeeded"
        return FlowRun(
            run_id=run.run_id,
            started_at=run.started,
            ended_at=run.ends if has_ended else None,
            status=ended if has_ended else "Running",
            trigger_url_id=run.trigger_url_id,
            error_code="ActionFailed" if has_ended and ended == "Failed" else "",
        )
