"""Read and write the values of callers in one resource.

Flows are written as definitions, other callers as texts.
"""

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from shared.domain.callers.caller import Caller, CallerContent
from shared.domain.environment import Environment
from shared.domain.flow import Workflow, WorkflowUpdate
from shared.domain.platform_errors import find_most_specific_code
from shared.errors import Conflict, JobBlocked, NotFound, PlatformError
from shared.ports import CallerKind, FoundInDefinitions, ReadOnSave, WritesWholeResource
from shared.reason import Reason
from shared.steps.flows.effect import Write, perform, skip_if_gone, with_fallback
from shared.steps.flows.lease_resource import LeasedResource
from shared.steps.flows.read_back import iterate_read_attempts, wait_until_visible
from shared.steps.flows.update_workflow import Owned, build_write_for_owner
from shared.steps.flows.write_definition import (
    SavedFlow,
    archive_or_restore_references,
    build_definition_save,
    is_stored_definition,
    read_demands_newer_shape,
)
from shared.steps.step_context import StepContext
from shared.steps.updating_callers.explain_denied_write import denies_every_write
from shared.steps.write_permission import require_write_allowed


class NotSaved(JobBlocked):
    """The platform did not keep accepted saves of flows that use a caller's value."""


class ContentRejected(JobBlocked):
    """The platform rejected what was written. The platform's error is the `__cause__`."""


type Values = Sequence[tuple[Caller, CallerContent]]
type Standing = Mapping[str, CallerContent]


async def read_places(kind: CallerKind, callers: Sequence[Caller]) -> dict[str, CallerContent]:
    """Return the content of callers of one resource, by address. Missing callers are omitted."""
    if isinstance(kind, WritesWholeResource):
        return dict(await kind.read_all(callers))
    found = {}
    for caller in callers:
        with suppress(NotFound):
            found[caller.address] = await kind.read(caller)
    return found


async def read_places_to_write(
    work: StepContext, kind: CallerKind, callers: Sequence[Caller]
) -> dict[str, CallerContent]:
    """Return the content of callers before a write. Flows have all connection references that they
    had before the job's first save.
    """
    found = await read_places(kind, callers)
    if isinstance(kind, FoundInDefinitions):
        for address, value in found.items():
            environment_id, _, workflow_id = address.partition("/")
            text = await archive_or_restore_references(
                work, environment_id, workflow_id, value.text
            )
            found[address] = replace(value, text=text)
    return found


def holds_value(kind: CallerKind, now: CallerContent, value: CallerContent) -> bool:
    """Return whether a caller's place contains what was written.

    A flow may have it in the newer format.
    """
    if isinstance(kind, FoundInDefinitions):
        return is_stored_definition(now.text, value.text)
    is_restored = value.text_format in (None, now.text_format)
    return now.text == value.text and is_restored


async def write_places(
    work: StepContext,
    resource: LeasedResource,
    kind: CallerKind,
    values: Values,
    standing: Standing,
) -> None:
    """Write texts to callers, in one request if the kind can.

    `standing` contains what was read there. Each write is checked right before it is sent. Raises
    `Conflict`, and `JobBlocked` that names the caller or the flow that cannot be saved.
    """

    async def require_each_write_allowed() -> None:
        for caller, _ in values:
            await require_caller_write_allowed(work, caller)
        await resource.require_leases()

    if isinstance(kind, WritesWholeResource):
        joint = Write(permit=require_each_write_allowed, call=partial(kind.write_all, values))
        await _perform_write(joint, format_caller_labels(values))
        return
    for caller, value in values:
        if isinstance(kind, FoundInDefinitions):
            flow = await _read_caller_flow(work, kind, caller, standing[caller.address])
            await _perform_write(
                await _prepare_flow_save(work, flow, value.text, require_each_write_allowed),
                caller.label,
            )
            continue
        await _perform_write(
            Write(permit=require_each_write_allowed, call=partial(kind.write, caller, value)),
            caller.label,
        )
        if isinstance(kind, ReadOnSave):
            await _save_readers(work, kind, caller, require_each_write_allowed)


async def require_caller_write_allowed(work: StepContext, caller: Caller) -> None:
    """Raise an error unless the app may write the caller now.

    The settings of the caller's environment must allow the write too.
    """
    if caller.environment_id and caller.environment_id != work.job.environment_id:
        await require_write_allowed(work.services, caller.environment_id)
    await work.require_write_allowed()


def format_caller_labels(values: Values) -> str:
    """Return the name of the first caller, and how many more there are, for people."""
    more = len(values) - 1
    return values[0][0].label + (f" (and {more} more there)" if more else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowToSave:
    """A flow that is a caller or uses a value of a caller, and has to be saved."""

    title: str
    environment: Environment
    workflow_id: str
    owner_id: str
    client_data: str
    read: Callable[[], Awaitable[str]]
    #: Saves a definition on behalf of a user, or as the app.
    call: Callable[[str, str | None], Awaitable[object]]


async def _read_caller_flow(
    work: StepContext, kind: CallerKind, caller: Caller, value: CallerContent
) -> FlowToSave:
    async def read_current_text() -> str:
        return (await kind.read(caller)).text

    def save_text(text: str, behalf: str | None) -> Awaitable[None]:
        return kind.write(caller, replace(value, text=text, on_behalf_of=behalf))

    return FlowToSave(
        title=caller.label,
        environment=await _read_environment(work, caller),
        workflow_id=caller.workflow_id or "",
        owner_id=value.owner_id,
        client_data=value.text,
        read=read_current_text,
        call=save_text,
    )


async def _save_readers(
    work: StepContext, kind: ReadOnSave, caller: Caller, permit: Callable[[], Awaitable[None]]
) -> None:
    """Save each flow that uses a value, so that it uses the new value. Read the saves back.

    Raises `WriteNotVisible`, and `NotSaved` if the platform accepted saves and did not keep them.
    """
    environment = await _read_environment(work, caller)
    found = await kind.read_flows_to_save(caller)
    #: The versions of each flow before it was saved.
    before: dict[str, set[str]] = {}
    for flow in found.flows:
        if _was_saved_after(flow, found.written_at):
            continue
        etags = before.setdefault(flow.workflow_id, {flow.etag})
        try:
            await _save_reader(work, environment, flow, caller, permit)
        except Conflict:
            # Lists lag the most (platform.md#reads-lag), and this app may have just saved the flow.
            now = await work.services.workflows.get(environment, flow.workflow_id)
            etags.add(now.etag)
            if not _was_saved_after(now, found.written_at):
                await _save_reader(work, environment, now, caller, permit)
    unsaved: Sequence[Workflow] = [one for one in found.flows if one.workflow_id in before]
    async for _ in iterate_read_attempts(work):
        unsaved = await _find_unsaved_flows(work, environment, unsaved, before, found.written_at)
        if not unsaved:
            return
    await wait_until_visible(work, f"The save of the flows that use the {caller.label}")
    names = ", ".join(sorted(flow.name for flow in unsaved))
    raise NotSaved(
        f"The {caller.label} has its new value, but these flows still use the old one, because "
        f"Power Automate does not keep their save: {names}.",
        fix="Open each of these flows in Power Automate and save it. Then retry.",
        code=Reason.CALLER_WRITE_LOST,
    )


def _was_saved_after(flow: Workflow, written_at: datetime | None) -> bool:
    # A flow that was saved within the same second may have been saved before the write.
    return bool(flow.modified_at and written_at and flow.modified_at > written_at)


async def _find_unsaved_flows(
    work: StepContext,
    environment: Environment,
    flows: Iterable[Workflow],
    before: Mapping[str, Collection[str]],
    written_at: datetime | None,
) -> list[Workflow]:
    unsaved = []
    for flow in flows:
        with suppress(NotFound):
            now = await work.services.workflows.get(environment, flow.workflow_id)
            # A lagging read may show a version from before all of these.
            is_old = written_at and now.modified_at and now.modified_at < written_at
            if is_old or now.etag in before[flow.workflow_id]:
                unsaved.append(flow)
    return unsaved


async def _save_reader(
    work: StepContext,
    environment: Environment,
    row: Workflow,
    caller: Caller,
    permit: Callable[[], Awaitable[None]],
) -> None:
    workflows = work.services.workflows
    text = await archive_or_restore_references(
        work, environment.id, row.workflow_id, row.client_data
    )

    async def read_current_text() -> str:
        return (await workflows.get(environment, row.workflow_id)).client_data

    def save_text(text: str, behalf: str | None) -> Awaitable[None]:
        change = WorkflowUpdate(client_data=text, on_behalf_of=behalf)
        return workflows.update(environment, row.workflow_id, change, etag=row.etag)

    flow = FlowToSave(
        title=f"flow {row.name}",
        environment=environment,
        workflow_id=row.workflow_id,
        owner_id=row.owner_id,
        client_data=text,
        read=read_current_text,
        call=save_text,
    )
    write = with_fallback(await _prepare_flow_save(work, flow, text, permit), skip_if_gone)
    await _perform_write(
        write, flow.title, f" It uses the {caller.label}, which has its new value."
    )


async def _prepare_flow_save(
    work: StepContext, flow: FlowToSave, client_data: str, permit: Callable[[], Awaitable[None]]
) -> Write:
    owned = Owned(title=flow.title, environment=flow.environment, owner_id=flow.owner_id)

    def build_write_for_text(text: str) -> Write:
        return build_write_for_owner(
            work, owned, call=lambda behalf: flow.call(text, behalf), permit=permit
        )

    saved = SavedFlow(
        title=flow.title,
        environment_id=flow.environment.id,
        before=flow.client_data,
        read=flow.read,
        write_of=build_write_for_text,
        newer_shape_first=await read_demands_newer_shape(work.services, flow.environment.id),
    )
    return build_definition_save(work, saved, client_data)


async def _read_environment(work: StepContext, caller: Caller) -> Environment:
    if caller.environment_id in {None, work.environment.id}:
        return work.environment
    return await work.services.environments.get_cached(caller.environment_id or "")


async def _perform_write(write: Write, label: str, why: str = "") -> None:
    """Send a write. Raises `ContentRejected` if its content is rejected.

    `why` is why a flow other than the caller is saved.
    """
    try:
        await perform(write)
    except PlatformError as err:
        if denies_every_write(err) and not why:
            raise
        raise ContentRejected(
            f"The {label} cannot be saved with the new URL: {err}{why}",
            fix=(
                f"Fix what the message names in the {label}, and save it. Or change it to the "
                "copy yourself. Then retry."
            ),
            code=find_most_specific_code(err.code, err.detail),
        ) from err
