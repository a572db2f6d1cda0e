"""How much of a plan its rows hold: a row of a table takes 1 MiB, two bytes a character.

What is left out here is counted in what stays, and nothing depends on it: each flow job looks for
firewall gaps and callers itself before it changes anything.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from shared.domain.plans.plan_item import PlannedCaller
from shared.domain.plans.remediation import EnvironmentJob, ExternalHost, FirewallIssueSummary

#: Characters of all findings of an environment job together.
LONGEST_FINDINGS = 80_000
#: Firewall gaps of an environment job, and flows that each of them names.
MOST_GAPS = 50
MOST_FLOWS_OF_A_GAP = 50
#: Callers that a plan names of one flow.
MOST_CALLERS = 500


def fitting_findings(findings: Iterable[str]) -> tuple[str, ...]:
    """Return the findings that fit, in their order, the last of them with how many do not."""
    shown: list[str] = []
    left, room = 0, LONGEST_FINDINGS
    for finding in findings:
        room -= len(finding)
        if room >= 0:
            shown.append(finding)
        else:
            left += 1
    if left:
        shown.append(f"{left} more findings are left out: they are too many for a plan.")
    return tuple(shown)


def with_network(
    job: EnvironmentJob,
    gaps: Sequence[FirewallIssueSummary],
    beside: Sequence[str] = (),
    external: Sequence[ExternalHost] = (),
) -> EnvironmentJob:
    """Return the job with the gaps that fit, those of the most flows, and a finding about the rest.

    A gap names the first of its flows and counts all of them. What is said `beside` is a finding.
    """
    widest = sorted(gaps, key=lambda gap: (-len(gap.workflow_ids), gap.name))
    shown = tuple(
        replace(
            gap,
            flows=len(gap.workflow_ids),
            workflow_ids=gap.workflow_ids[:MOST_FLOWS_OF_A_GAP],
        )
        for gap in widest[:MOST_GAPS]
    )
    findings = fitting_findings((*job.findings, *beside))
    if left := len(gaps) - len(shown):
        text = f"{left} more firewalls do not admit the new addresses: jobs that meet one say so."
        findings = tuple(dict.fromkeys((*findings, text)))
    if (left := len(external) - MOST_GAPS) > 0:
        text = f"The owners of {left} more hosts have to be asked: `cmkflow network called-hosts`."
        findings = tuple(dict.fromkeys((*findings, text)))
    targets = tuple(
        replace(one, workflow_ids=one.workflow_ids[:MOST_FLOWS_OF_A_GAP])
        for one in sorted(external, key=lambda one: (-one.flows, one.host))[:MOST_GAPS]
    )
    return replace(job, network=shown, findings=findings, external_hosts=targets)


def fitting_callers(callers: Sequence[PlannedCaller]) -> tuple[PlannedCaller, ...]:
    """Return the callers that fit, the last of them standing for all that do not."""
    left = len(callers) - MOST_CALLERS
    if left <= 0:
        return tuple(callers)
    return (*callers[:MOST_CALLERS], PlannedCaller(kind="more", label=f"{left} more callers"))
