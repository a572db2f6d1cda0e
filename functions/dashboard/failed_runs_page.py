"""Build the Failed runs page: the last report of each environment, by flow."""

from collections.abc import Sequence
from dataclasses import dataclass

from functions.dashboard.page_layout import PageContext, render_page
from shared.domain.clouds import Cloud
from shared.domain.failed_runs import FailedFlow, FailedRunReport


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportSection:
    """The report on failed runs in an environment. Each flow has the URL of its runs."""

    report: FailedRunReport
    flows: Sequence[tuple[FailedFlow, str]]


def build_failed_runs_page(
    view: PageContext, reports: Sequence[FailedRunReport], cloud: Cloud
) -> str:
    """Return the page. It links to the runs in the portal of `cloud`."""
    return render_page(
        "failed_runs",
        view,
        section="Environments",
        run_count=sum(one.run_count for one in reports),
        flow_count=sum(len(one.flows) for one in reports),
        is_incomplete=any(one.unread_text for one in reports),
        sections=[
            ReportSection(
                report=report,
                flows=[
                    (one, cloud.build_runs_url(report.environment_id, one.flow_name))
                    for one in report.flows
                ],
            )
            for report in reports
        ],
    )
