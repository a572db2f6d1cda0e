"""Before a flow is stopped: could the copy be started in its place, and it itself again?

An original runs on whose owner has left, whose licence has lapsed or whose connection is broken,
but it could not be turned on again (platform.md#expired-licences): stopped, it would be neither a
way back nor an undo. What this look finds is settled first, or accepted by its name, as a firewall
gap is. What it does not find, the plan says: data policies, whom a connection is shared with, and
what licence connectors want beside HTTP.
"""

from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain

from shared.concurrency import run_concurrently
from shared.domain.definitions.connection_reference import ConnectionReference, connections_used
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
    """Something that a start would be refused for."""

    #: Stays the same: an administrator accepts it by this name.
    name: str
    text: str
    remedy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Connections:
    """What is wrong with each connection of an environment, as it was asked for."""

    asked: datetime
    errors: Mapping[str, str]

    def all_work(self, connections: Iterable[str]) -> bool:
        """Return whether these connections were there, without an error."""
        return not any(self.errors.get(one.lower(), "it is gone") for one in connections if one)


async def check_restart_possible(
    work: StepContext,
    original: OriginalFlow,
    copy: Workflow | None = None,
    owner: DataverseUser | None = None,
) -> None:
    """Return if nothing is known against a start of the original, and of the copy where given.

    `owner` is whose the original probably is, as was just read. Raises `JobBlocked` with what has
    to be settled, or waived by its name.
    """
    flows = [original.client_data, *([copy.client_data] if copy else [])]
    waived = (await work.read_settings()).ignored_issues
    async with run_concurrently() as looks:
        issues = [
            looks.create_task(_all(one))
            for one in (
                _of_owner(work, original, owner),
                _of_connections(work, flows),
                _of_children(work, original, copy),
                _of_licence(work),
            )
        ]
    found: dict[str, StartIssue] = {}
    for one in chain.from_iterable(task.result() for task in issues):
        found.setdefault(one.name, one)
    left = [one for name, one in found.items() if name not in waived]
    if not left:
        return
    raise JobBlocked(
        f"{work.job.display_name} is not stopped, since it or its copy could not be started: "
        + " ".join(f"{one.text} [{one.name}]" for one in left),
        instruction=" ".join(one.remedy for one in left)
        + " Then retry; or accept it by the name in brackets (cmkflow environment ignore): once"
        " stopped, it may then not be started again.",
        code=Reason.START_WOULD_FAIL,
    )


async def _all(issues: AsyncIterator[StartIssue]) -> list[StartIssue]:
    return [one async for one in issues]


async def _of_owner(
    work: StepContext, original: OriginalFlow, owner: DataverseUser | None
) -> AsyncIterator[StartIssue]:
    principals, owner_id = work.services.principals, original.owner_id
    if original.owner_is_entra_id:
        users = await principals.users(work.environment, [owner_id])
        owner = users.get(owner_id.lower())
    elif owner is None or owner.principal.id != owner_id.lower():
        owner = await principals.user(work.environment, owner_id)
    if owner and owner.is_disabled:
        yield StartIssue(
            name=f"owner:{owner_id.lower()}",
            text=f"its owner, {owner.name}, is disabled.",
            remedy="Make original and copy another user's (Power Automate → the flow → Details → "
            "Primary owner), or enable the account.",
        )


async def _of_connections(work: StepContext, flows: Iterable[str]) -> AsyncIterator[StartIssue]:
    uses = {use for text in flows for use in connections_used(text)}
    if not uses:
        return
    named = {use.logical_name for use in uses} - {""}
    rows = await _references(work, named) if named else []
    bound = {row.logical_name.lower(): row.connection_id for row in rows}
    connections = {use: bound.get(use.logical_name.lower(), use.connection_id) for use in uses}
    errors = await _errors(work, connections.values()) if any(connections.values()) else {}
    for use, connection in sorted(connections.items(), key=lambda item: item[0].key):
        if not connection:
            name = use.logical_name or use.key
            yield StartIssue(
                name=f"connection_reference:{name}",
                text=f"the connection reference {name} has no connection.",
                remedy=f"Choose a connection for {name} in Power Automate (Solutions, Connection "
                "references).",
            )
        elif errors and (error := errors.get(connection.lower(), "it is gone")):
            yield StartIssue(
                name=f"connection:{connection}",
                text=f"the connection {connection} does not work: {error}.",
                remedy=f"Mend the connection {connection} (Power Automate → Connections).",
            )


async def _references(work: StepContext, named: Collection[str]) -> Sequence[ConnectionReference]:
    """Return the references of these names; lists show one late that a step has just made."""

    async def read() -> Sequence[ConnectionReference]:
        return await work.services.connection_references.find_by_name(
            work.environment, sorted(named)
        )

    wanted = {name.lower() for name in named}
    title = f"The connection references of {work.job.display_name}"
    return await read_back(
        work, title, read, lambda rows: wanted <= {row.logical_name.lower() for row in rows}
    )


async def _errors(work: StepContext, connections: Iterable[str]) -> Mapping[str, str]:
    """Return what is wrong with each connection of the environment; none: the app is shown none.

    The list is as long as the environment has connections. One that a job of this process has read
    within ten seconds will do if it shows these connections without an error.
    """
    services, home = work.services, work.environment.id
    asked = services.now
    match services.memory.find(("connections", home), home):
        case _Connections() as known if asked - known.asked <= LATELY and known.all_work(
            connections
        ):
            return known.errors
    try:
        errors = await services.assessment.connections.errors(home)
    except (NotFound, PlatformError):
        return {}
    services.memory.keep(("connections", home), home, _Connections(asked=asked, errors=errors))
    return errors


async def _of_children(
    work: StepContext, original: OriginalFlow, copy: Workflow | None
) -> AsyncIterator[StartIssue]:
    """Children have to be there and, as some say, to be on; others say: once.

    Originals that this remediation copies were on; in a circle the app has turned some of them off.

    See platform.md#child-flows-first.
    """
    ours = {one.original_id for one in await work.related(work.job.children)}
    wanted = _children(original.client_data) | (_children(copy.client_data) if copy else set())
    for child in sorted(wanted - {work.job.original_id, work.job.copy_id}):
        try:
            row = await work.services.workflows.get(work.environment, child)
        except NotFound:
            what, name = "is gone", child
        else:
            if row.state is FlowState.ON or child in ours:
                continue
            what, name = "is off", row.name
        yield StartIssue(
            name=f"child:{child}",
            text=f"the child flow {name} {what}.",
            remedy=f"Restore the child flow {name}, or turn it on.",
        )


def _children(client_data: str) -> frozenset[str]:
    try:
        return parse_client_data(client_data).children
    except UnreadableDefinition:
        return frozenset()


async def _of_licence(work: StepContext) -> AsyncIterator[StartIssue]:
    """HTTP, in or out, is premium for sure; of connectors no definition tells."""
    job = work.job
    if not job.http_hosts and job.category != TriggerCategory.HTTP:
        return
    licence = await work.services.flow_reports.licence(job.environment_id, job.flow_name)
    if licence == "":
        yield StartIssue(
            name=f"licence:{job.original_id}",
            text="it is premium and runs on no licence: its owner's seems to have lapsed.",
            remedy="Assign its owner a Power Automate Premium (or the flow a Process) licence.",
        )
