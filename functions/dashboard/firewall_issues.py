"""List the firewall issues of a remediation, with the names of the flows that they block."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from functions.dashboard.page_actions import PageAction, ignore_action
from shared.domain.jobs.flow_job import FlowJob
from shared.domain.plans.denying_firewalls import denying_firewalls
from shared.domain.plans.remediation import EnvironmentJob, FirewallIssueSummary
from shared.domain.principal import Principal

#: Number of flows that an issue names.
_NAMED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class IssueLine:
    """A firewall issue on the page of a remediation."""

    environment_id: str
    issue: FirewallIssueSummary
    #: Ids and names of the first flows.
    flows: Sequence[tuple[str, str]]
    ignore: PageAction

    @property
    def more_count(self) -> int:
        """Return the number of flows that are not named."""
        return max(self.issue.flow_count - len(self.flows), 0)


def list_issues(
    environment_jobs: Iterable[EnvironmentJob],
    flow_jobs: Iterable[FlowJob],
    titles: Mapping[str, str],
    principal: Principal,
) -> tuple[list[IssueLine], int]:
    """Return the issues that may still block a flow, and the number of the others.

    An issue is stored with the plan and does not change. After the end of an environment job, it
    counts only if a flow job is blocked by its firewall. `flow_jobs` includes every blocked job.
    """
    blocked = list(flow_jobs)
    lines = list[IssueLine]()
    past_count = 0
    for job in environment_jobs:
        denying = {
            one.name
            for flow_job in blocked
            if flow_job.environment_id == job.environment_id
            for one in denying_firewalls(flow_job, job.firewall_issues)
        }
        for issue in job.firewall_issues:
            if job.ended_at is not None and issue.name not in denying:
                past_count += 1
                continue
            known = [(one, titles[one]) for one in issue.workflow_ids if one in titles]
            lines.append(
                IssueLine(
                    environment_id=job.environment_id,
                    issue=issue,
                    flows=known[:_NAMED],
                    ignore=ignore_action(job, issue, principal),
                )
            )
    return lines, past_count
