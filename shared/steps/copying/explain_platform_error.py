"""Explain an error of the platform with names: of the flow, its owner, its connection or its child.

The platform's messages have ids, but people need names. Names are read after an error, and omitted
if they cannot be read.
"""

import contextlib

from shared.domain.flow import FlowState, Workflow
from shared.domain.platform_errors import (
    find_error_code,
    find_error_fix,
    parse_connection,
    parse_quoted_id,
)
from shared.domain.trigger_urls.trigger_url import redact
from shared.errors import CmkflowError, JobBlocked, NotFound, PlatformError
from shared.reason import Reason
from shared.steps.copying.bind_connections import read_connection_owner
from shared.steps.flows.flow_names import read_flow_name
from shared.steps.flows.original import read_original
from shared.steps.optional_read import read_or_no_answer
from shared.steps.step_context import StepContext

_LICENCE = "MissingAdequateQuotaPolicy"
_CONNECTION = "ConnectionAuthorizationFailed"
_CHILD = "ChildFlowNeverPublished"
#: The flow service's suspension reasons of a flow that is not suspended.
_NO_REASON = frozenset({"", "None"})


async def explain_rejection(work: StepContext, err: PlatformError | NotFound) -> JobBlocked:
    """Return the error for the job's row after the platform rejected a request."""
    return (
        await _explain_error(work, err)
        if isinstance(err, PlatformError)
        else await _explain_not_found(work, err)
    )


async def _explain_not_found(work: StepContext, err: NotFound) -> JobBlocked:
    with contextlib.suppress(CmkflowError):
        try:
            await read_original(work)
        except JobBlocked as gone:
            return gone
    return JobBlocked(
        f"{work.job.display_name}: {redact(str(err))}",
        code=Reason.DEPENDENCY_DELETED,
    )


async def _explain_error(work: StepContext, error: PlatformError) -> JobBlocked:
    message = redact(error.detail)  # the platform may repeat what it was sent
    item = await _describe_item(work, find_error_code(error.code, message).code, message)
    return JobBlocked(
        f"{work.job.display_name}: {message} ({error.code}){item}",
        fix=find_error_fix(error.code, message),
        code=error.code,
    )


async def explain_unchanged_state(
    work: StepContext, copy: Workflow, wanted: FlowState
) -> JobBlocked:
    """Return the error for a copy that the platform did not turn on or off, although it accepted
    the request.
    """
    title = work.job.display_name
    text = (
        f"The platform accepted the request to turn the copy of {title} {wanted}, but it is "
        f"{copy.state}"
    )
    reason = await _read_suspension_reason(work, copy)
    if reason not in _NO_REASON:
        return JobBlocked(f"{text}: {reason}.", fix=find_error_fix(reason), code=reason)
    return JobBlocked(
        f"{text}.",
        fix=(
            "Open the copy in Power Automate, fix what the flow checker shows, and turn the flow "
            f"{wanted}. Then retry."
        ),
        code=Reason.FLOW_STATE_NOT_CHANGED,
    )


async def _read_suspension_reason(work: StepContext, copy: Workflow) -> str:
    """Return why the flow service says that a copy is suspended, or ""
    (platform.md#suspension-reasons).
    """
    if copy.state is not FlowState.SUSPENDED:
        return ""
    services, environment_id = work.services, work.job.environment_id
    try:
        name = await read_flow_name(
            services, environment_id, copy.workflow_id, unique_id=copy.unique_id
        )
        if name is None:
            return ""
        return (await services.flow_reports.get_flow(environment_id, name)).suspension_reason
    except (NotFound, PlatformError):
        return ""


async def _describe_item(work: StepContext, kind: str, message: str) -> str:
    if kind == _LICENCE:
        owner = await _read_owner_name(work)
        return f" Owner: {owner}." if owner else ""
    if kind == _CONNECTION and (named := parse_connection(message))[0]:
        return await _describe_connection(work, *named)
    if kind == _CHILD and (child := parse_quoted_id(message)):
        row = await read_or_no_answer(work.services.workflows.get(work.environment, child))
        return f" Child flow: {row.name}." if isinstance(row, Workflow) else ""
    return ""


async def _read_owner_name(work: StepContext) -> str:
    try:
        owner = (await read_original(work)).owner_id
    except CmkflowError:
        return ""
    names = await read_or_no_answer(
        work.services.organization.read_names(work.environment, [owner])
    )
    return names.get(owner.lower(), "") if isinstance(names, dict) else ""


async def _describe_connection(work: StepContext, name: str, connector: str) -> str:
    owner = await read_or_no_answer(read_connection_owner(work, name))
    made_by = f", of {owner}" if isinstance(owner, str) else ""
    return f" Connection: {name}{f' ({connector})' if connector else ''}{made_by}."
