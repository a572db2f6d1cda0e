"""Limit a plan to what its rows can hold: 1 MiB, at two bytes per character.

What does not fit is counted. Nothing depends on it, because each flow job checks firewalls and
callers again before it changes anything.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from shared.domain.plans.plan_item import PlannedCaller
from shared.domain.plans.remediation import EnvironmentJob, ExternalHost, FirewallIssueSummary

#: Most characters of all findings of an environment job together.
LONGEST_FINDINGS = 80_000
#: Most firewall issues of an environment job, and most flows that each of them names.
MOST_GAPS = 50
MOST_FLOWS_OF_A_GAP = 50
#: Most callers that a plan names for one flow.
MOST_CALLERS = 500


def select_fitting_findings(findings: Iterable[str]) -> tuple[str, ...]:
    """Return the first findings that fit in a row, and a last one that counts the others."""
    shown: list[str] = []
    left, room = 0, LONGEST_FINDINGS
    for finding in findings:
        room -= len(finding)
        if room >= 0:
            shown.append(finding)
        else:
            left += 1
    if left:
        shown.append(f"{left} more findings are not shown.")
    return tuple(shown)


def with_firewall_issues(
    job: EnvironmentJob,
    issues: Sequence[FirewallIssueSummary],
    beside: Sequence[str] = (),
    external: Sequence[ExternalHost] = (),
) -> EnvironmentJob:
    """Return the job with the firewall issues and external hosts that fit in its row.

    Issues and hosts with the most flows are preferred. Each issue lists only its first flows;
    `flow_count` is the number of all. `beside` contains findings to add to those of the job.
    """
    widest = sorted(issues, key=lambda issue: (-len(issue.workflow_ids), issue.name))
    shown = tuple(
        replace(
            issue,
            flow_count=len(issue.workflow_ids),
            workflow_ids=issue.workflow_ids[:MOST_FLOWS_OF_A_GAP],
        )
        for issue in widest[:MOST_GAPS]
    )
    findings = select_fitting_findings((*job.findings, *beside))
    if left := len(issues) - len(shown):
        text = (
            f"{left} more firewalls deny the new addresses. A job that needs one of them is "
            "blocked and says so."
        )
        findings = tuple(dict.fromkeys((*findings, text)))
    if (left := len(external) - MOST_GAPS) > 0:
        text = (
            f"Ask the owners of {left} more hosts to allow the new addresses: `cmkflow network "
            "called-hosts`."
        )
        findings = tuple(dict.fromkeys((*findings, text)))
    targets = tuple(
        replace(one, workflow_ids=one.workflow_ids[:MOST_FLOWS_OF_A_GAP])
        for one in sorted(external, key=lambda one: (-one.flow_count, one.host))[:MOST_GAPS]
    )
    return replace(job, firewall_issues=shown, findings=findings, external_hosts=targets)


def select_fitting_callers(callers: Sequence[PlannedCaller]) -> tuple[PlannedCaller, ...]:
    """Return the first callers that fit in a row, and a last one that counts the others."""
    left = len(callers) - MOST_CALLERS
    if left <= 0:
        return tuple(callers)
    return (*callers[:MOST_CALLERS], PlannedCaller(kind="more", label=f"{left} more callers"))
