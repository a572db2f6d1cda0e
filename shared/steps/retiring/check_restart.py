"""Check, before the app turns a flow off, that the flow and its copy could be turned on.

An original may run although its owner has left, its licence has expired or its connection is
broken, but then it cannot be turned on again (platform.md#expired-licences), and a rollback is
impossible. An issue found here has to be fixed first, or ignored by its name like a firewall issue.
The plan lists what cannot be checked: data policies, shared connections, and licences for
connectors other than HTTP.
"""

from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain

from shared.concurrency import run_concurrently
from shared.domain.definitions.connection_reference import (
    ConnectionReference,
    list_connections_used,
)
from shared.domain.definitions.flow_definition import UnreadableDefinition, parse_client_data
from shared.domain.definitions.trigger_kinds import TriggerCategory
from shared.domain.flow import FlowState, Workflow
from shared.domain.sharing import DataverseUser
from shared.errors import JobBlocked, NotFound, PlatformError
from shared.reason import Reason
from shared.steps.flows.original import OriginalFlow
from shared.steps.flows.read_back import read_back
from shared.steps.step_context import LATELY, StepContext


@dataclass(frozen=True, slots=True, kw_only=True)
class StartIssue:
    """A reason why the platform would not turn a flow on."""

    #: Never changes, because an administrator ignores the issue by this name.
    name: str
    text: str
    fix: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Connections:
    """The errors of an environment's connections, and when they were read."""

    asked: datetime
    errors: Mapping[str, str]

    def are_all_usable(self, connections: Iterable[str]) -> bool:
        return not any(self.errors.get(one.lower(), "it is gone") for one in connections if one)


async def require_restart_possible(
    work: StepContext,
    original: OriginalFlow,
    copy: Workflow | None = None,
    owner: DataverseUser | None = None,
) -> None:
    """Raise `JobBlocked` if the original, or the given copy, could not be turned on.

    `owner` is the original's probable owner, as just read. The error lists the issues that are not
    ignored.
    """
    flows = [original.client_data, *([copy.client_data] if copy else [])]
    ignored = (await work.read_settings()).ignored_issues
    async with run_concurrently() as looks:
        issues = [
            looks.create_task(_collect_start_issues(one))
            for one in (
                _find_owner_issues(work, original, owner),
                _find_connection_issues(work, flows),
                _find_child_flow_issues(work, original, copy),
                _find_licence_issues(work),
            )
        ]
    found: dict[str, StartIssue] = {}
    for one in chain.from_iterable(task.result() for task in issues):
        found.setdefault(one.name, one)
    left = [one for name, one in found.items() if name not in ignored]
    if not left:
        return
    raise JobBlocked(
        (
            f"{work.job.display_name} is not turned off, because it or its copy could not be "
            "turned on: "
        )
        + " ".join(f"{one.text} [{one.name}]" for one in left),
        fix=" ".join(one.fix for one in left)
        + (
            " Then retry. Or ignore the issue by the name in brackets (`cmkflow environment "
            "ignore`); then a rollback may be impossible."
        ),
        code=Reason.START_WOULD_FAIL,
    )


async def _collect_start_issues(issues: AsyncIterator[StartIssue]) -> list[StartIssue]:
    return [one async for one in issues]


async def _find_owner_issues(
    work: StepContext, original: OriginalFlow, owner: DataverseUser | None
) -> AsyncIterator[StartIssue]:
    principals, owner_id = work.services.principals, original.owner_id
    if original.owner_is_entra_id:
        users = await principals.read_users(work.environment, [owner_id])
        owner = users.get(owner_id.lower())
    elif owner is None or owner.principal.id != owner_id.lower():
        owner = await principals.read_user(work.environment, owner_id)
    if owner and owner.is_disabled:
        yield StartIssue(
            name=f"owner:{owner_id.lower()}",
            text=f"its owner, {owner.name}, is disabled.",
            fix=(
                "Give original and copy another owner (Power Automate → the flow → Details → "
                "Primary owner), or enable the account."
            ),
        )


async def _find_connection_issues(
    work: StepContext, flows: Iterable[str]
) -> AsyncIterator[StartIssue]:
    uses = {use for text in flows for use in list_connections_used(text)}
    if not uses:
        return
    named = {use.logical_name for use in uses} - {""}
    rows = await _read_references(work, named) if named else []
    bound = {row.logical_name.lower(): row.connection_id for row in rows}
    connections = {use: bound.get(use.logical_name.lower(), use.connection_id) for use in uses}
    errors = (
        await _read_connection_errors(work, connections.values())
        if any(connections.values())
        else {}
    )
    for use, connection in sorted(connections.items(), key=lambda item: item[0].key):
        if not connection:
            name = use.logical_name or use.key
            yield StartIssue(
                name=f"connection_reference:{name}",
                text=f"the connection reference {name} has no connection.",
                fix=f"Choose a connection for {name} in Power Automate (Solutions, Connection "
                "references).",
            )
        elif errors and (error := errors.get(connection.lower(), "it is gone")):
            yield StartIssue(
                name=f"connection:{connection}",
                text=f"the connection {connection} does not work: {error}.",
                fix=f"Fix the connection {connection} (Power Automate → Connections).",
            )


async def _read_references(
    work: StepContext, named: Collection[str]
) -> Sequence[ConnectionReference]:
    """Return the connection references with these names.

    A new one may appear in lists late, so a missing one is read again.
    """

    async def read_named_references() -> Sequence[ConnectionReference]:
        return await work.services.connection_references.find_by_name(
            work.environment, sorted(named)
        )

    wanted = {name.lower() for name in named}
    title = f"The connection references of {work.job.display_name}"
    return await read_back(
        work,
        title,
        read_named_references,
        lambda rows: wanted <= {row.logical_name.lower() for row in rows},
    )


async def _read_connection_errors(
    work: StepContext, connections: Iterable[str]
) -> Mapping[str, str]:
    """Return the error of each connection, or nothing if the app may not read them.

    A recent list is used again if it shows these connections without an error.
    """
    services, home = work.services, work.environment.id
    asked = services.now
    match services.memory.find(("connections", home), home):
        case _Connections() as known if asked - known.asked <= LATELY and known.are_all_usable(
            connections
        ):
            return known.errors
    try:
        errors = await services.assessment.connections.read_errors(home)
    except (NotFound, PlatformError):
        return {}
    services.memory.keep(("connections", home), home, _Connections(asked=asked, errors=errors))
    return errors


async def _find_child_flow_issues(
    work: StepContext, original: OriginalFlow, copy: Workflow | None
) -> AsyncIterator[StartIssue]:
    """Yield child flows that do not exist or are off.

    Some sources require a child to be on, others that it was on once
    (platform.md#child-flows-first). Originals that this remediation copies may be off.
    """
    ours = {one.original.id for one in await work.read_related_jobs(work.job.children)}
    wanted = _parse_child_ids(original.client_data) | (
        _parse_child_ids(copy.client_data) if copy else set()
    )
    for child in sorted(wanted - {work.job.original.id, work.job.copy.id}):
        try:
            row = await work.services.workflows.get(work.environment, child)
        except NotFound:
            what, name = "does not exist", child
        else:
            if row.state is FlowState.ON or child in ours:
                continue
            what, name = "is off", row.name
        yield StartIssue(
            name=f"child:{child}",
            text=f"the child flow {name} {what}.",
            fix=f"Restore the child flow {name}, or turn it on.",
        )


def _parse_child_ids(client_data: str) -> frozenset[str]:
    try:
        return parse_client_data(client_data).children
    except UnreadableDefinition:
        return frozenset()


async def _find_licence_issues(work: StepContext) -> AsyncIterator[StartIssue]:
    job = work.job
    # Definitions do not show which licence other connectors need.
    if not job.original.http_hosts and job.original.category != TriggerCategory.HTTP:
        return
    licence = await work.services.flow_reports.read_licence(
        job.environment_id, job.original.flow_name
    )
    if licence == "":
        yield StartIssue(
            name=f"licence:{job.original.id}",
            text=(
                "it needs a premium licence and has none: its owner's licence has probably expired."
            ),
            fix="Assign its owner a Power Automate Premium licence, or the flow a Process licence.",
        )
