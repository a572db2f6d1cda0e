"""What the key does not cover, breaks or leaves behind: every other row of the document.

Where the platform gave no answer the finding is *unknown*, never *ok*. See
platform.md#non-oauth-connections, #machine-groups.
"""

from collections.abc import Collection, Iterator
from datetime import timedelta

from shared.domain.assessment.assessment import AssessedFlow, AssessmentPhase
from shared.domain.assessment.flows import phase_for
from shared.domain.assessment.snapshots import EnvironmentSnapshot, NoAnswer
from shared.domain.definitions.trigger_kinds import TriggerCategory
from shared.domain.finding import Finding, ok, problem, unknown, warning

#: Run history can be asked for in a support ticket for so long after the migration.
TICKET_WINDOW = timedelta(days=30)
_DARK = (
    "tenant-wide reporting in the admin center",
    "data export to Data Lake",
    "cloud flow run history of the automation center",
    "the mobile app and its notifications",
    "the cloud flow activity page",
    "flow failure e-mails",
    "flow failure digest e-mails",
)


def connection_findings(facts: EnvironmentSnapshot) -> Iterator[Finding]:
    """Yield the connections that the key does not cover: all that are not OAuth.

    See platform.md#non-oauth-connections.
    """
    code = "connections"
    if isinstance(facts.connections, NoAnswer):
        text = f"The connections could not be read: {facts.connections.why}"
        yield unknown(code, text, "Look at the connections in the portal.")
        return
    if not facts.connections:
        # App-only callers have been seen to get an empty list (platform.md#connection-list).
        yield unknown(
            code,
            "The platform lists no connection at all; it may not show them to an application.",
            "Look at the connections in the portal.",
        )
        return
    groups: dict[tuple[str, bool | None], list[str]] = {}
    for one in facts.connections:
        groups.setdefault((one.connector, one.uses_oauth), []).append(one.display_name)
    for (connector, uses_oauth), names in groups.items():
        told = f"{_count(len(names), 'connection')} of {connector} ({', '.join(sorted(names)[:5])})"
        if uses_oauth is None:
            text = f"{told}: how they sign in is not known."
            yield unknown(code, text, "Look at the connections in the portal.", connector)
        elif not uses_oauth:
            yield warning(
                code,
                f"{told}: no OAuth, so the secret stays on the Microsoft-managed key.",
                "Change to a way of signing in with Microsoft Entra where the connector has one; "
                "else accept it.",
                connector,
            )
    covered = sum(one.uses_oauth is True for one in facts.connections)
    if covered:
        yield ok(code, f"{_count(covered, 'connection')} by OAuth: the key covers them.")


def copilot_findings(facts: EnvironmentSnapshot) -> Iterator[Finding]:
    """Yield Copilot Skills flows that use the invoking user's connections."""
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
            f"{flow.display_name} is a Copilot skill with the connections of whoever invokes it.",
            "Not supported under the key by Microsoft's documents of October 2024, and no longer "
            "named in May 2025: try it after the key, or embed the connection.",
            flow.workflow_id,
        )
    if not facts.has_all_flows:
        yield unknown(code, "Not all flows could be read.", "Assess again.")
    elif not found:
        yield ok(code, f"{_count(len(skills), 'Copilot skill')}; none uses invokers' connections.")


def hosted_machine_findings(facts: EnvironmentSnapshot) -> Iterator[Finding]:
    """Yield hosted machine groups: they have to be provisioned again under the key."""
    code, groups = "hosted_machine_groups", facts.hosted_machine_groups
    if isinstance(groups, NoAnswer):
        text = f"Hosted machine groups could not be read: {groups.why}"
        yield unknown(code, text, "Look at Monitor > Machines in the portal.")
        return
    for name in groups:
        yield warning(
            code,
            f"The hosted machine group {name} keeps its disks on the Microsoft-managed key.",
            "After the key is applied, choose 'Reprovision group' on its details page. Hosted "
            "machines by themselves cannot be under a customer's key.",
        )
    if not groups:
        yield ok(code, "There is no hosted machine group.")


def analytics_findings() -> Iterator[Finding]:
    """Yield the features that get no data any more; the document's newer edition is silent."""
    for feature in _DARK:
        yield warning(
            "analytics",
            f"No data under the key: {feature}.",
            "Named in October 2024, no longer in May 2025: check it on your tenant, and watch "
            "failures in another way until then.",
        )


def run_history_findings(facts: EnvironmentSnapshot) -> Iterator[Finding]:
    """Yield that run history stays behind, and until when it can be asked for."""
    code = "run_history"
    text = "Run history is not carried over when flows move under the key."
    if phase_for(facts) is AssessmentPhase.BEFORE:
        yield warning(
            code,
            f"{text} A support ticket can ask for it up to 30 days after the migration.",
            "Export what you need before, or plan the ticket. Once flows have copies, cmkflow runs "
            "archive REMEDIATION keeps a summary of each run of their originals.",
        )
        return
    if facts.linked_since is None:
        yield unknown(
            code,
            f"{text} When this environment migrated is not known, so neither is the last day.",
            "Ask for it in a support ticket at once: 30 days after the migration it is too late.",
        )
        return
    # The app may have come later than the key: the day is the latest possible one.
    last = facts.linked_since + TICKET_WINDOW
    if facts.at > last:
        yield problem(
            code,
            f"{text} The 30 days for a support ticket ended about {last:%Y-%m-%d}.",
            "Take what is needed from archives or from Dataverse.",
        )
        return
    yield warning(
        code,
        f"{text} It can be asked for until {last:%Y-%m-%d} at the latest.",
        "Open a support ticket before that day if the history is needed.",
    )


def finish_line_findings(
    facts: EnvironmentSnapshot, flows: Collection[AssessedFlow]
) -> Iterator[Finding]:
    """Yield what may be left when all is done: the warning of the portal."""
    code = "finish_line"
    if not flows:
        if facts.has_all_flows:
            yield ok(code, "No original will be left behind.")
        else:
            yield unknown(code, "Not all flows could be read.", "Assess again.")
        return
    yield warning(
        code,
        "An original that was stopped, but not deleted, may keep the portal's warning 'Power "
        "Automate flows are still protected with the Microsoft Managed Key'.",
        "When its copy has proven itself and its runs are archived, order its delete, with an "
        "approval and a date: cmkflow originals delete REMEDIATION --on DATE. Deleting cannot be "
        "undone after 21 days.",
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
