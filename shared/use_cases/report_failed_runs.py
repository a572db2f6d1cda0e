"""Read yesterday's failed runs of an environment, by flow, within a limit of requests.

A report first reads the flows that failed the day before, then the others in turn. Where it stops,
the next one continues.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from shared.alerts import read_readable
from shared.domain.environment import Environment
from shared.domain.failed_runs import FailedFlow, FailedRunReport, summarize_failed_runs
from shared.domain.flow import FlowListEntry, FlowRun, FlowState
from shared.domain.trigger_urls.trigger_url import redact
from shared.errors import (
    CmkflowError,
    NotFound,
    PlatformError,
    ServiceOutage,
    ThrottledError,
)
from shared.services import Services
from shared.steps.flows.discovery_pages import has_cursor_expired
from shared.steps.write_permission import read_environment_settings

#: Most flows whose runs one report reads, and of them those that failed the day before.
MOST_FLOWS = 100
_MOST_KNOWN = MOST_FLOWS // 2
#: Most pages of runs of one flow, one request each.
_MOST_PAGES = 4
#: Most flows without an answer that a report names.
_MOST_NAMED = 5
#: For all environments together: the host ends the daily check after ten minutes.
_LONGEST = timedelta(minutes=3)
_DAY = timedelta(days=1)


class _Stopped(Exception): ...


async def report_failed_runs(
    services: Services, environment: Environment, *, started_at: datetime
) -> None:
    """Store the report of yesterday's failed runs of an environment.

    Does nothing if the report is already stored, or the environment's settings permit no reports.
    `started_at` is when the first report of this daily check started. Raises the errors of reading
    the list of flows.
    """
    if not (await read_environment_settings(services, environment.id)).report_failed_runs:
        return
    table = services.tables.failed_run_reports
    kept = await table.get("failed_runs", environment.id)
    today = services.now.replace(hour=0, minute=0, second=0, microsecond=0)
    if kept and kept.item.begins_at == today - _DAY:
        return
    reading = _Reading(
        services=services,
        environment=environment,
        begins_at=today - _DAY,
        ends_reading_at=started_at + _LONGEST,
    )
    await table.upsert(await reading.read(kept.item if kept else None))


async def read_failed_run_report(services: Services, environment_id: str) -> FailedRunReport:
    """Return the last report of an environment. Raises `NotFound` if there is none."""
    kept = await services.tables.failed_run_reports.get("failed_runs", environment_id)
    if kept is None:
        raise NotFound(
            f"No report of failed runs is stored for environment {environment_id}. Turn reports "
            f"on: cmkflow environment set {environment_id} --report-failed-runs"
        )
    return kept.item


async def list_failed_run_reports(services: Services) -> list[FailedRunReport]:
    """Return the last report of each environment, those with the most failed runs first."""
    rows = read_readable(services, services.tables.failed_run_reports.scan("failed_runs"))
    found = [kept.item async for kept in rows]
    return sorted(found, key=lambda one: (-one.run_count, one.environment_name))


@dataclass(slots=True, kw_only=True)
class _Reading:
    """Reads the runs of one day in an environment, flow by flow."""

    services: Services
    environment: Environment
    begins_at: datetime
    ends_reading_at: datetime
    failed: list[FailedFlow] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    unread: list[str] = field(default_factory=list)
    read_count: int = 0
    cursor: str = ""
    next_flow_name: str = ""

    async def read(self, last: FailedRunReport | None) -> FailedRunReport:
        """Return the report of the day. `last` is the report of an earlier day."""
        reason = ""
        try:
            for one in last.flows[:_MOST_KNOWN] if last else ():
                known = FlowListEntry(
                    flow_name=one.flow_name,
                    display_name=one.display_name,
                    workflow_id=one.workflow_id or None,
                    state=None,
                )
                await self._collect_failed_runs_of_flow(known)
            if last:
                self.cursor, self.next_flow_name = last.cursor, last.next_flow_name
            await self._collect_failed_runs()
        except _Stopped as stopped:
            reason = str(stopped)
        ordered = sorted(self.failed, key=lambda one: (-one.failed_count, one.display_name))
        return FailedRunReport(
            environment_id=self.environment.id,
            environment_name=self.environment.display_name,
            begins_at=self.begins_at,
            created_at=self.services.now,
            flows=tuple(ordered),
            read_count=self.read_count,
            unread_flows=tuple(self.unread[:_MOST_NAMED]),
            unread_reason=reason,
            cursor=self.cursor,
            next_flow_name=self.next_flow_name,
        )

    async def _collect_failed_runs(self) -> None:
        is_whole = not (self.cursor or self.next_flow_name)
        cursors = set[str]()
        while True:
            self._require_request_left()
            cursors.add(self.cursor)
            try:
                page = await self.services.flow_pages.read_flows(self.environment.id, self.cursor)
            except (ThrottledError, ServiceOutage) as err:
                raise _build_stop_error(err) from err
            except (PlatformError, NotFound) as err:
                if not has_cursor_expired(self.cursor, err):
                    raise
                self.cursor, self.next_flow_name, is_whole = "", "", True
                continue
            for flow in sorted(page.items, key=lambda one: one.flow_name):
                if flow.flow_name >= self.next_flow_name and flow.state is not FlowState.OFF:
                    self.next_flow_name = flow.flow_name
                    await self._collect_failed_runs_of_flow(flow)
            self.cursor, self.next_flow_name = page.cursor, ""
            if not page.cursor and is_whole:
                return
            if not page.cursor:
                is_whole = True
                cursors.clear()
            elif page.cursor in cursors:
                self.cursor = ""
                raise _Stopped("The platform's list of flows repeats a page.")

    def _require_request_left(self) -> None:
        if self.read_count >= MOST_FLOWS or self.services.now > self.ends_reading_at:
            raise _Stopped(
                f"{self.read_count} flows were read; the next report continues with the others."
            )

    async def _collect_failed_runs_of_flow(self, flow: FlowListEntry) -> None:
        if flow.flow_name in self.seen:
            return
        self._require_request_left()
        self.seen.add(flow.flow_name)
        try:
            found = await self._read_failed_flow(flow)
        except (ThrottledError, ServiceOutage) as err:
            raise _build_stop_error(err) from err
        except NotFound:
            return  # somebody deleted the flow
        except CmkflowError:
            self.unread.append(flow.display_name)
            return
        self.read_count += 1
        if found:
            self.failed.append(found)

    async def _read_failed_flow(self, flow: FlowListEntry) -> FailedFlow | None:
        runs, cursor = list[FlowRun](), ""
        for _ in range(_MOST_PAGES):
            page = await self.services.flow_reports.read_run_page(
                self.environment.id,
                flow.flow_name,
                cursor,
                since=self.begins_at,
                until=self.begins_at + _DAY - timedelta(microseconds=1),
            )
            runs += page.items
            cursor = page.cursor
            if not cursor:
                break
        return summarize_failed_runs(flow, runs, has_more_runs=bool(cursor))


def _build_stop_error(err: CmkflowError) -> _Stopped:
    return _Stopped(f"The next report continues with the others: {redact(str(err))}")
