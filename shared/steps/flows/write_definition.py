"""Save the definition of a flow, for copies, callers and converted flows.

Some saves reject the older formats of connector operations; it is not documented which
(platform.md#connector-shapes). So a definition is first saved unchanged, and converted after such
an error. If the environment has recently rejected a save in this way, the definition is converted
first, because a rejected save may remove the flow's connection references
(platform.md#rejected-saves). After every error the flow is read: lost references are restored, or
the job is blocked with the names of what is missing.
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from shared.domain.definitions.comparison import is_same_definition
from shared.domain.definitions.connector_hosts import SHAPE_REFUSED, with_reference_hosts
from shared.domain.definitions.lost_references import (
    References,
    describe_connection_references,
    find_lost_references,
    list_unresolved_references,
    with_lost_references,
)
from shared.domain.environment_records import ShapeDemand
from shared.domain.platform_errors import (
    REFERENCE_NOT_FOUND,
    find_error_code,
    find_error_fix,
    is_temporary_error,
)
from shared.errors import JobBlocked, NotFound, PlatformError, RefusedForNow
from shared.reason import Reason
from shared.services import Services
from shared.steps.flows.effect import Refusal, Reply, Write, perform, with_fallback
from shared.steps.flows.read_back import iterate_read_attempts
from shared.steps.step_context import StepContext


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedFlow:
    """A flow whose definition is to be saved."""

    #: The flow's name for people: `flow Orders`.
    title: str
    environment_id: str
    #: Its definition as read before the save; empty: the save creates it.
    before: str
    #: Reads its current definition.
    read: Callable[[], Awaitable[str]]
    #: Returns the write of a definition.
    write_of: Callable[[str], Write]
    #: Saves in this environment are known to require the newer format.
    newer_shape_first: bool


def build_definition_save(work: StepContext, flow: SavedFlow, client_data: str) -> Write:
    """Return the write of a definition, unchanged or in the newer connector format.

    The write raises `JobBlocked` if an error removed connection references that cannot be restored.
    """
    return with_fallback(
        _build_save_in_either_format(work.services, flow, client_data),
        lambda err: _restore_references(work, flow, err),
    )


async def read_demands_newer_shape(services: Services, environment_id: str) -> bool:
    """Return whether a save in this environment was recently rejected because of an
    older format.
    """
    kept = await services.tables.shape_demands.get("shape", environment_id)
    return kept is not None and kept.item.lasts(services.now)


async def archive_or_restore_references(
    work: StepContext, environment_id: str, workflow_id: str, client_data: str
) -> str:
    """Return the definition with all connection references from before this job's first save.

    An invocation may have crashed after a rejected save had removed references. So a complete
    definition is archived before it is saved first, and never replaced in the archive.
    """
    archive, name = (
        work.services.archive,
        f"{environment_id}/{workflow_id}/before-{work.job.id}.json",
    )
    unresolved = list_unresolved_references(client_data)
    if unresolved:
        with suppress(NotFound):
            archived = (await archive.get(name)).decode()
            return with_lost_references(archived, client_data)
    elif '"connectionReferences"' in client_data:
        await archive.put(name, client_data.encode())
    return client_data


def is_stored_definition(stored: str, client_data: str) -> bool:
    """Return whether a stored definition is the saved one, in either connector format."""
    if is_same_definition(stored, client_data):
        return True
    return is_same_definition(stored, with_reference_hosts(client_data))


def _build_save_in_either_format(services: Services, flow: SavedFlow, client_data: str) -> Write:
    converted = with_reference_hosts(client_data)
    if flow.newer_shape_first or converted == client_data:
        return flow.write_of(converted)

    async def convert_if_format_is_rejected(error: Refusal) -> Reply:
        if not _is_rejected_format(error):
            return None
        demand = ShapeDemand(environment_id=flow.environment_id, seen=services.now)
        await services.tables.shape_demands.upsert(demand)
        return flow.write_of(converted)

    return with_fallback(flow.write_of(client_data), convert_if_format_is_rejected)


def _is_rejected_format(error: Refusal) -> bool:
    if not isinstance(error, PlatformError) or error.code not in SHAPE_REFUSED:
        return False
    return find_error_code(error.code, error.detail).code != REFERENCE_NOT_FOUND


async def _restore_references(work: StepContext, flow: SavedFlow, error: Refusal) -> Reply:
    """Restore the references that a rejected save removed. Return a more specific error, if there
    is one.
    """
    lost = find_lost_references(flow.before, await flow.read()) if flow.before else {}
    if not lost:
        return _build_retry_error(error, "")
    names = describe_connection_references(lost)
    missing = f"The {flow.title} has lost its connection references: {names}."
    try:
        await perform(_build_save_in_either_format(work.services, flow, flow.before))
    except (PlatformError, NotFound, JobBlocked) as err:
        more = find_error_fix(err.code, err.detail) if isinstance(err, PlatformError) else ""
        return _build_retry_error(err, missing) or _build_lost_references_error(
            flow, lost, str(err), more
        )
    if not await _is_restored(work, flow):
        return _build_lost_references_error(
            flow, lost, "the platform accepted the save, but did not keep it."
        )
    return _build_retry_error(error, "")


def _build_retry_error(
    err: PlatformError | NotFound | JobBlocked, more: str
) -> RefusedForNow | None:
    """Return an error that makes the job try again, or None for a lasting error."""
    if isinstance(err, PlatformError) and is_temporary_error(err.code):
        return RefusedForNow(f"{err} {more}".strip(), code=err.code)
    return None


async def _is_restored(work: StepContext, flow: SavedFlow) -> bool:
    async for _ in iterate_read_attempts(work):
        if not find_lost_references(flow.before, await flow.read()):
            return True
    return False


def _build_lost_references_error(
    flow: SavedFlow, lost: References, why: str, more: str = ""
) -> JobBlocked:
    return JobBlocked(
        f"The platform rejected a save of the {flow.title} and removed its connection references: "
        f"{describe_connection_references(lost)}. They could not be restored: {why}",
        fix=(
            f"Open the {flow.title} in Power Automate, and choose a connection for each of these: "
            f"{describe_connection_references(lost)}. Save it, then retry. {more}"
        ).strip(),
        code=Reason.CONNECTION_REFERENCES_LOST,
    )
