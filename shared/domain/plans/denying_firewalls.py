"""Find the firewall issues of a plan that may still deny flows, and those that block a flow job."""

from collections.abc import Collection, Iterable

from shared.domain.jobs.flow_job import FlowJob
from shared.domain.jobs.flow_states import FLOW_STATES
from shared.domain.plans.remediation import EnvironmentJob, FirewallIssueSummary
from shared.reason import Reason


def select_open_firewall_issues(
    job: EnvironmentJob, flow_jobs: Collection[FlowJob], *, is_current: bool
) -> list[FirewallIssueSummary]:
    """Return the firewall issues of a plan that may still deny its flows.

    Issues are stored with the plan and do not change. If the plan is not current, or if it writes,
    starts no more flows and has no copy to verify, only issues that block a flow are returned.
    `flow_jobs` has at least the open jobs of the plan.
    """
    if is_current and (
        not job.mode.writes or job.can_start_more_flows or any(map(_is_unverified, flow_jobs))
    ):
        return list(job.firewall_issues)
    blocking = {
        one.name for each in flow_jobs for one in list_denying_firewalls(each, job.firewall_issues)
    }
    return [one for one in job.firewall_issues if one.name in blocking]


def _is_unverified(job: FlowJob) -> bool:
    step, is_open = FLOW_STATES[job.step], not job.state_properties.is_over
    return is_open and job.migration_method.has_copy and step.is_proceeding and not step.is_verified


def list_denying_firewalls(
    job: FlowJob | None, issues: Iterable[FirewallIssueSummary]
) -> list[FirewallIssueSummary]:
    """Return the issues of the firewalls that the message of a blocked job names.

    Returns none if no firewall blocks the job.
    """
    if job is None or job.reason_code != Reason.FIREWALL_DENIES:
        return []
    named = list_denying_firewall_names(job)
    return [issue for issue in issues if (issue.firewall_name or issue.name) in named]


def list_denying_firewall_names(job: FlowJob) -> set[str]:
    """Return the names of firewalls in the message of a job that a firewall blocks."""
    return set(job.message.rpartition(": ")[2].removesuffix(".").split(", "))
