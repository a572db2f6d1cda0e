"""Find the firewall issues that block a flow job."""

from collections.abc import Iterable

from shared.domain.jobs.flow_job import FlowJob
from shared.domain.plans.remediation import FirewallIssueSummary
from shared.reason import Reason


def denying_firewalls(
    job: FlowJob | None, issues: Iterable[FirewallIssueSummary]
) -> list[FirewallIssueSummary]:
    """Return the issues of the firewalls that the message of a blocked job names; empty if it is
    not blocked by a firewall.

    A job stores no issue: an issue stores only its first flows.
    """
    if job is None or job.reason_code != Reason.FIREWALL_DENIES:
        return []
    named = denying_firewall_names(job)
    return [issue for issue in issues if (issue.firewall_name or issue.name) in named]


def denying_firewall_names(job: FlowJob) -> set[str]:
    """Return the names in the message of a job that a firewall blocks."""
    return set(job.message.rpartition(": ")[2].removesuffix(".").split(", "))
