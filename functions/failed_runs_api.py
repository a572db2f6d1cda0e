"""API: the report of an environment's failed runs."""

from dataclasses import asdict
from datetime import datetime
from typing import Self

from functions.endpoints import ApiRequest, endpoint
from functions.http_requests import NoBody, NoQuery
from functions.http_responses import ApiResponse
from shared.bootstrap import services
from shared.domain.failed_runs import FailedFlow, FailedRunReport
from shared.domain.ids import normalize_environment_id
from shared.domain.principal import Role
from shared.use_cases.report_failed_runs import read_failed_run_report


class FailedFlowResponse(ApiResponse):
    """The failed runs of a flow on one day."""

    flow_name: str
    #: Id in Dataverse; empty: unknown.
    workflow_id: str
    display_name: str
    failed_count: int
    first_failed_at: datetime
    last_failed_at: datetime
    #: The most frequent error codes.
    error_codes: tuple[str, ...]
    #: Whether the flow had more runs than were read.
    has_more_runs: bool
    #: Page of the flow's runs in Power Automate.
    runs_url: str

    @classmethod
    def build(cls, environment_id: str, flow: FailedFlow) -> Self:
        runs_url = services().settings.cloud.build_runs_url(environment_id, flow.flow_name)
        return cls(**asdict(flow), runs_url=runs_url)


class FailedRunReportResponse(ApiResponse):
    """The failed runs of an environment on one day (UTC)."""

    environment_id: str
    environment_name: str
    #: Such as `2026-03-01`.
    day: str
    flows: tuple[FailedFlowResponse, ...]
    #: Number of flows whose runs were read.
    read_count: int
    #: What was not read, as sentences; empty: every flow that is on was read.
    unread_text: str

    @classmethod
    def build(cls, report: FailedRunReport) -> Self:
        identity = report.environment_id
        return cls(
            environment_id=identity,
            environment_name=report.environment_name,
            day=report.day,
            flows=tuple(FailedFlowResponse.build(identity, one) for one in report.flows),
            read_count=report.read_count,
            unread_text=report.unread_text,
        )


@endpoint(role=Role.READER)
async def show_failed_runs(call: ApiRequest[NoQuery, NoBody]) -> FailedRunReportResponse:
    """Return the last report on failed runs of an environment, without their inputs and outputs.

    Reads a stored row.
    """
    found = await read_failed_run_report(services(), normalize_environment_id(call.id))
    return FailedRunReportResponse.build(found)
