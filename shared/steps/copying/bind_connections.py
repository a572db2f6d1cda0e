"""Give each embedded connection of an original a connection reference for the copy.

A copy is a solution flow, which uses connections through references. An existing reference is
reused. A missing one is created on behalf of the original's owner, or as the app if that is
rejected. It stays even if the copy is removed; the job's notes name it.
"""

from dataclasses import replace
from functools import partial

from shared.domain.definitions.connection_reference import (
    ConnectionReference,
    ConnectionReferenceDraft,
    EmbeddedConnection,
    build_logical_name,
    derive_reference_id,
    is_bound_to,
    parse_embedded_connections,
    with_connection_references,
)
from shared.domain.jobs.flow_job import FlowJob
from shared.domain.jobs.transitions import add_notes
from shared.domain.platform_errors import CONNECTION_REFUSED, NOT_ON_BEHALF
from shared.errors import JobBlocked, NotFound, PlatformError
from shared.reason import Reason
from shared.steps.copying.explain_owner import explain_owner
from shared.steps.flows.effect import Effect, Refusal, Reply, Write, apply_effect
from shared.steps.flows.original import OriginalFlow
from shared.steps.step_context import StepContext


async def bind_connections(work: StepContext, original: OriginalFlow, client_data: str) -> str:
    """Return the definition with a connection reference for each embedded connection.

    Raises `JobBlocked` if a connection has no reference and none can be created.
    """
    embedded = parse_embedded_connections(client_data)
    names = sorted({one.connection_id for one in embedded if one.connection_id})
    references = work.services.connection_references
    found = await references.find_by_connection(work.environment, names) if names else []
    bound: dict[str, str] = {}
    for connection in embedded:
        row = _choose_connection_reference(work.job, original, connection, found)
        row = row or await _create_connection_reference(work, original, connection)
        await _record_connection_reference(work, row, connection)
        bound[connection.key] = row.logical_name
    return with_connection_references(client_data, bound)


def _choose_connection_reference(
    job: FlowJob,
    original: OriginalFlow,
    connection: EmbeddedConnection,
    found: list[ConnectionReference],
) -> ConnectionReference | None:
    if not connection.connection_id:
        return None  # an unbound reference of somebody else must not be used
    ours = _derive_reference_id(job, connection)
    fitting = [
        row
        for row in found
        if is_bound_to(
            row, connector_id=connection.connector_id, connection_id=connection.connection_id
        )
    ]
    fitting.sort(
        key=lambda row: (
            row.reference_id != ours,
            row.owner_id != original.owner_id,
            row.logical_name,
        )
    )
    return fitting[0] if fitting else None


async def _create_connection_reference(
    work: StepContext, original: OriginalFlow, connection: EmbeddedConnection
) -> ConnectionReference:
    job = work.job
    if connection.is_custom:
        raise JobBlocked(
            f"{job.display_name} uses the connection {connection.label} of a custom connector, "
            "and no connection reference is bound to it.",
            fix="Add the custom connector to a solution and make a connection reference "
            f"for the connection {connection.label} there. Then retry.",
            code=Reason.CUSTOM_CONNECTOR_REFERENCE_MISSING,
        )
    identity = _derive_reference_id(job, connection)
    draft = ConnectionReferenceDraft(
        reference_id=identity,
        logical_name=build_logical_name(connection, identity),
        display_name=f"{connection.connector} of {job.display_name}"[:200],
        description="Made for the copy of a flow that embeds its connection.",
        connector_id=connection.connector_id,
        connection_id=connection.connection_id,
        owner_id=original.owner_id,
        owner_is_entra_id=original.owner_is_entra_id,
    )
    creation = _build_reference_creation(work, original, connection, draft)
    made = Effect[ConnectionReference | None](
        title=f"The connection reference {draft.logical_name}",
        read=lambda: work.services.connection_references.get(work.environment, identity),
        missing=lambda row: [] if row and draft.is_stored_as(row) else [creation],
        not_kept=lambda row: JobBlocked(
            f"The connection reference {row.logical_name if row else ''} was created for the "
            f"connection {connection.label}, but is not bound to it.",
            code=Reason.CONNECTION_REFERENCE_MISMATCH,
        ),
    )
    row = await apply_effect(work, made, seen=None)
    assert row
    return row


async def _record_connection_reference(
    work: StepContext, row: ConnectionReference, connection: EmbeddedConnection
) -> None:
    job = work.job
    if row.reference_id == _derive_reference_id(job, connection):
        note = (
            f"The connection reference {row.logical_name} was created for the connection "
            f"{connection.label}. It stays if the copy is removed."
        )
        work.stage(add_notes(job, note))


def _build_reference_creation(
    work: StepContext,
    original: OriginalFlow,
    connection: EmbeddedConnection,
    draft: ConnectionReferenceDraft,
) -> Write:
    # The user who names a connection in a reference has to be allowed to use it
    # (platform.md#activation-check).
    create = partial(work.services.connection_references.create, work.environment)

    async def build_creation_as_app(err: Refusal) -> Reply:
        # If the app cannot act for the owner, there will be no copy, so no reference is created.
        if explained := await explain_owner(work, original, err):
            return explained
        if not isinstance(err, PlatformError) or err.code not in {
            *NOT_ON_BEHALF,
            CONNECTION_REFUSED,
        }:
            return None
        own = replace(draft, owner_id="")
        return Write(
            permit=work.require_write_allowed,
            call=lambda: create(own),
            on_refusal=explain_denied_connection,
        )

    async def explain_denied_connection(err: Refusal) -> Reply:
        if not isinstance(err, PlatformError) or err.code != CONNECTION_REFUSED:
            return None
        whose = await read_connection_owner(work, connection.connection_id)
        return JobBlocked(
            f"No connection reference can be created for the connection {connection.label} of "
            f"{whose}: neither the owner of {work.job.display_name} nor the app may use it.",
            fix=(
                f"Ask {whose} to share the connection with the app ('Can use'), or to create a "
                "connection reference for it in this environment. Then retry."
            ),
            code=err.code,
        )

    return Write(
        permit=work.require_write_allowed,
        call=lambda: create(draft),
        on_refusal=build_creation_as_app,
    )


async def read_connection_owner(work: StepContext, connection_id: str) -> str:
    """Return the owner of a connection, for a message, or "its owner" if unknown."""
    try:
        listed = await work.services.assessment.connections.list(work.environment.id)
    except (NotFound, PlatformError):
        listed = []
    owners = (one.owner for one in listed if one.name.lower() == connection_id.lower())
    return next(filter(None, owners), "its owner")


def _derive_reference_id(job: FlowJob, connection: EmbeddedConnection) -> str:
    return derive_reference_id(job.environment_id, job.original.id, job.policy_id, connection)
