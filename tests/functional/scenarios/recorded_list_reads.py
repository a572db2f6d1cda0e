"""Record the pages that the app reads of the lists of flows on Microsoft's key."""

from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import Any

from shared.domain.flow import FlowListEntry
from shared.errors import ThrottledError
from shared.ports import ResultPage
from tests.fakes.ports import Ports
from tests.functional.scenarios.remediation_scenario import Scenario


@dataclass(slots=True)
class WatchedReport:
    """Records the cursors with which the app reads the lists of flows on Microsoft's key."""

    answered: dict[bool, list[str]] = field(default_factory=lambda: defaultdict(list))
    #: After this number of pages, one read is throttled. None: no read is.
    throttled_after: int | None = None

    def put_before(self, scenario: Scenario) -> None:
        around = scenario.around

        def watch_reports(ports: Ports) -> Ports:
            ports = around(ports)
            reports: Any = _Reports(self, ports.flow_reports)
            return replace(ports, flow_reports=reports)

        scenario.around = watch_reports
        scenario.renew()

    def list_readings(self, *, cannot_migrate_only: bool) -> list[list[str]]:
        """Return the cursors of each read of one list, from its first page on."""
        found: list[list[str]] = []
        for cursor in self.answered[cannot_migrate_only]:
            if not cursor:
                found.append([])
            found[-1].append(cursor)
        return found


class _Reports:
    def __init__(self, watched: WatchedReport, reports: Any) -> None:
        self._watched, self._reports = watched, reports

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reports, name)

    async def read_microsoft_key_flows(
        self, environment_id: str, cursor: str = "", *, cannot_migrate_only: bool
    ) -> ResultPage[FlowListEntry]:
        watched = self._watched
        if watched.throttled_after == sum(map(len, watched.answered.values())):
            watched.throttled_after = None
            raise ThrottledError
        page: ResultPage[FlowListEntry] = await self._reports.read_microsoft_key_flows(
            environment_id, cursor, cannot_migrate_only=cannot_migrate_only
        )
        watched.answered[cannot_migrate_only].append(cursor)
        return page
