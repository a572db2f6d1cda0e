"""Report what the key does not cover, and which features it disables.

If the platform did not answer a question, its finding is *unknown*, never *ok*. See
platform.md#non-oauth-connections, #machine-groups.
"""

from collections.abc import Collection, Iterator
from datetime import timedelta

from shared.domain.assessment.assessment import (
    AssessedFlow,
    AssessmentPhase,
    RemediationStatus,
)
from shared.domain.assessment.flows import find_phase
from shared.domain.assessment.snapshots import EnvironmentSnapshot, NoAnswer
from shared.domain.definitions.trigger_kinds import TriggerCategory
from shared.domain.finding import Finding, passed, unknown, warning

#: How long after the migration a support ticket can ask for the run history.
TICKET_WINDOW = timedelta(days=30)
_DELETION = (
    "Schedule the deletion: `cmkflow deletion schedule REMEDIATION --date DATE`. An approver has "
    "to approve it. A deleted flow can be restored for 21 days."
)
_FEATURES_WITHOUT_DATA = (
    "tenant-wide reporting in the admin center",
    "data export to Data Lake",
    "cloud flow run history of the automation center",
    "the mobile app and its notifications",
    "the cloud flow activity page",
    "flow failure e-mails",
    "flow failure digest e-mails",
)


def list_connection_findings(facts: EnvironmentSnapshot) -> Iterator[Finding]:
    """Yield findings about connections: the key does not cover those without OAuth.

    See platform.md#non-oauth-connections.
    """
    code = "connections"
    if isinstance(facts.connections, NoAnswer):
        text = f"The connections could not be read: {facts.connections.message}"
        yield unknown(code, text, "Check the connections in the Power Automate portal.")
        return
    if not facts.connections:
        # The list may be empty for an application although there are connections
        # (platform.md#connection-list).
        yield unknown(
            code,
            "The platform lists no connections. It may hide them from an application.",
            "Check the connections in the Power Automate portal.",
        )
        return
    groups: dict[tuple[str, bool | None], list[str]] = {}
    for one in facts.connections:
        groups.setdefault((one.connector, one.uses_oauth), []).append(one.display_name)
    for (connector, uses_oauth), names in groups.items():
        count = _format_count(len(names), "connection")
        summary = f"{count} of {connector} ({', '.join(sorted(names)[:5])})"
        if uses_oauth is None:
            text = f"{summary}: how they sign in is unknown."
            yield unknown(
                code, text, "Check the connections in the Power Automate portal.", connector
            )
        elif not uses_oauth:
            yield warning(
                code,
                f"{summary}: they do not use OAuth, so their secrets stay on Microsoft's key.",
                "Sign in with Microsoft Entra if the connector supports it. Otherwise no action "
                "is possible.",
                connector,
            )
    covered = sum(one.uses_oauth is True for one in facts.connections)
    if covered:
        yield passed(
            code, f"{_format_count(covered, 'connection')} with OAuth: the key covers them."
        )


def list_copilot_findings(facts: EnvironmentSnapshot) -> Iterator[Finding]:
    """Yield findings about Copilot Skills flows that use the invoking user's connections."""
    code = "copilot_skills"
    if isinstance(facts.flows, NoAnswer):
        yield unknown(code, "The flows could not be read.", "Assess again.")
        return
    skills = [
        flow
        for flow in facts.flows.values()
        if flow.summary and flow.summary.category is TriggerCategory.COPILOT_SKILLS
    ]
    found = [flow for flow in skills if flow.uses_invokers_connections]
    for flow in found:
        yield warning(
            code,
            (
                f"{flow.display_name} is a Copilot skill that uses the connections of the user "
                "who invokes it."
            ),
            "Microsoft's documents of October 2024 call this unsupported with a key; those of "
            "May 2025 do not mention it. Test the flow after the key is applied, or embed the "
            "connection.",
            flow.workflow_id,
        )
    if not facts.has_all_flows:
        yield unknown(code, "Not all flows could be read.", "Assess again.")
    elif not found:
        yield passed(
            code, f"{_format_count(len(skills), 'Copilot skill')}; none uses invokers' connections."
        )


def list_hosted_machine_findings(facts: EnvironmentSnapshot) -> Iterator[Finding]:
    """Yield findings about hosted machine groups, which need reprovisioning with a key."""
    code, groups = "hosted_machine_groups", facts.hosted_machine_groups
    if isinstance(groups, NoAnswer):
        text = f"Hosted machine groups could not be read: {groups.message}"
        yield unknown(code, text, "Check Monitor > Machines in the Power Automate portal.")
        return
    for name in groups:
        yield warning(
            code,
            f"The hosted machine group {name} keeps its disks on Microsoft's key.",
            "After the key is applied, choose 'Reprovision group' on its details page. Hosted "
            "machines outside a group cannot use a customer-managed key.",
        )
    if not groups:
        yield passed(code, "There is no hosted machine group.")


def list_analytics_findings() -> Iterator[Finding]:
    """Yield a finding about features that receive no data once the key is applied.

    Microsoft's documents of May 2025 do not mention them.
    """
    yield warning(
        "analytics",
        f"No data once the key is applied: {'; '.join(_FEATURES_WITHOUT_DATA)}.",
        "Microsoft's documents of October 2024 name them; those of May 2025 do not. Check them in "
        "your tenant, and monitor failures in another way until then.",
    )


def list_run_history_findings(facts: EnvironmentSnapshot) -> Iterator[Finding]:
    """Yield a finding about the run history, which the platform does not migrate."""
    code = "run_history"
    text = "The run history is not migrated when flows move to the key."
    if find_phase(facts) is AssessmentPhase.BEFORE_KEY:
        yield warning(
            code,
            f"{text} Microsoft's support can restore it until 30 days after the migration.",
            "Export what you need before, or plan a support ticket. After flows are copied, "
            "`cmkflow run-archive create REMEDIATION` stores a summary of each run of their "
            "originals.",
        )
        return
    if facts.linked_at is None:
        yield unknown(
            code,
            (
                f"{text} When this environment migrated is unknown, and so is the last day to ask "
                "for it."
            ),
            "Open a support ticket now: 30 days after the migration it is too late.",
        )
        return
    # The app may have been deployed after the key was applied, so this is the latest possible day.
    last = facts.linked_at + TICKET_WINDOW
    if facts.read_at > last:
        # Not a problem: no action is possible.
        yield warning(
            code,
            f"{text} The 30 days for a support ticket ended about {last:%Y-%m-%d}.",
            "Read what you need from archives or from Dataverse.",
        )
        return
    yield warning(
        code,
        f"{text} A support ticket can ask for it until {last:%Y-%m-%d} at the latest.",
        "Open a support ticket before that day if the history is needed.",
    )


def list_portal_warning_findings(
    facts: EnvironmentSnapshot, flows: Collection[AssessedFlow]
) -> Iterator[Finding]:
    """Yield a finding about the warning that the Power Platform portal may show after a
    remediation.
    """
    code = "portal_warning"
    if not flows:
        if facts.has_all_flows:
            yield passed(code, "No original remains on Microsoft's key.")
        else:
            yield unknown(code, "Not all flows could be read.", "Assess again.")
        return
    if remaining := sum(flow.remediation_status is RemediationStatus.RETIRED for flow in flows):
        are = "original remains" if remaining == 1 else "originals remain"
        yield warning(
            code,
            f"{remaining} retired {are} until you delete them. Until then the portal may warn: "
            "'Power Automate flows are still protected with the Microsoft Managed Key'.",
            _DELETION,
        )
        return
    yield warning(
        code,
        "An original that is turned off but not deleted may cause the portal's warning 'Power "
        "Automate flows are still protected with the Microsoft Managed Key'.",
        f"When its copy works and its runs are archived: {_DELETION}",
    )


def _format_count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
