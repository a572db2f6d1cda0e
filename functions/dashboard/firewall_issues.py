"""List the firewall issues of a remediation, with the names of the flows that they block."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from functions.dashboard.page_actions import PageAction, build_ignore_issue_action
from shared.domain.jobs.flow_job import FlowJob
from shared.domain.plans.denying_firewalls import select_open_firewall_issues
from shared.domain.plans.remediation import EnvironmentJob, FirewallIssueSummary
from shared.domain.principal import Principal

#: Number of flows that an issue names.
_NAMED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class IssueLine:
    """A firewall issue as the page of a remediation shows it, with the flows that it blocks."""

    environment_id: str
    issue: FirewallIssueSummary
    #: Ids and names of the first flows.
    flows: Sequence[tuple[str, str]]
    ignore: PageAction

    @property
    def more_count(self) -> int:
        return max(self.issue.flow_count - len(self.flows), 0)


def list_firewall_issues(
    environment_jobs: Iterable[EnvironmentJob],
    flow_jobs: Iterable[FlowJob],
    titles: Mapping[str, str],
    principal: Principal,
) -> tuple[list[IssueLine], int]:
    """Return the firewall issues that may still block a flow, and the number of past issues.
    `flow_jobs` contains at least the open jobs of the remediation.
    """
    by_plan: dict[str, list[FlowJob]] = defaultdict(list)
    for flow_job in flow_jobs:
        by_plan[flow_job.environment_job_id].append(flow_job)
    lines = list[IssueLine]()
    past_count = 0
    for job in environment_jobs:
        is_current = job.ended_at is None
        issues = select_open_firewall_issues(job, by_plan[job.id], is_current=is_current)
        past_count += len(job.firewall_issues) - len(issues)
        for issue in issues:
            known = [(one, titles[one]) for one in issue.workflow_ids if one in titles]
            lines.append(
                IssueLine(
                    environment_id=job.environment_id,
                    issue=issue,
                    flows=known[:_NAMED],
                    ignore=build_ignore_issue_action(job, issue, principal),
                )
            )
    return lines, past_count
