"""API: callers that people declare, because the app cannot find them."""

from functions.caller_lines import parse_caller_lines
from functions.declared_caller_models import (
    CallerFileRequest,
    ConfirmCallerRequest,
    ConfirmCallerResponse,
    DeclareCalledFlowRequest,
    DeclareCallersRequest,
    DeclaredCallerResponse,
    RemoveDeclaredCallerRequest,
)
from functions.endpoints import ApiRequest, endpoint
from functions.http_requests import NoBody, NoQuery
from functions.http_responses import ItemListResponse
from functions.problems import BadRequest
from shared.bootstrap import services
from shared.domain.callers.declared_caller import DeclaredCaller
from shared.domain.principal import Role
from shared.use_cases import declare_callers as callers
from shared.use_cases import import_callers as imports
from shared.use_cases.audit_state import read_declared_callers
from shared.use_cases.confirm_caller import confirm_caller as confirm


@endpoint(role=Role.READER)
async def list_declared_callers(
    _call: ApiRequest[NoQuery, NoBody],
) -> ItemListResponse[DeclaredCallerResponse]:
    """Return the declared callers ordered by name."""
    return _build_caller_list_response(await callers.list_declared_callers(services()))


@endpoint(role=Role.OPERATOR, subject=read_declared_callers)
async def declare_callers(
    call: ApiRequest[NoQuery, DeclareCallersRequest],
) -> ItemListResponse[DeclaredCallerResponse]:
    """Declare callers: all of them, or none if one is not valid.

    A caller replaces the declared caller that has its name.
    """
    declared = [one.to_declared_caller() for one in call.body.callers]
    return _build_caller_list_response(await callers.declare_callers(services(), declared))


@endpoint(role=Role.OPERATOR, subject=read_declared_callers)
async def declare_called_flow(
    call: ApiRequest[NoQuery, DeclareCalledFlowRequest],
) -> ItemListResponse[DeclaredCallerResponse]:
    """Declare one flow of a caller, and return all declared callers.

    The caller's other flows stay declared.
    """
    declared = call.body.to_declared_caller()
    return _build_caller_list_response(await callers.declare_called_flow(services(), declared))


@endpoint(role=Role.OPERATOR, subject=read_declared_callers)
async def import_callers(
    call: ApiRequest[NoQuery, CallerFileRequest],
) -> ItemListResponse[DeclaredCallerResponse]:
    """Declare the flows of a CSV file, and return all declared callers.

    If a line is not valid, no flow is declared. Flows of these callers that the file omits stay
    declared.
    """
    found = parse_caller_lines(call.body.file)
    if found.faults:
        raise BadRequest("The file is not valid.", found.list_errors())
    return _build_caller_list_response(await imports.import_callers(services(), found.lines))


@endpoint(role=Role.OPERATOR, subject=read_declared_callers)
async def confirm_caller(call: ApiRequest[NoQuery, ConfirmCallerRequest]) -> ConfirmCallerResponse:
    """Confirm that a declared caller calls the copy of a flow, or in a rollback the original."""
    found = await confirm(services(), call.body.name, call.body.flow, by=call.requester_name)
    return ConfirmCallerResponse.model_validate(found)


@endpoint(role=Role.OPERATOR, subject=read_declared_callers)
async def remove_declared_caller(
    call: ApiRequest[NoQuery, RemoveDeclaredCallerRequest],
) -> ItemListResponse[DeclaredCallerResponse]:
    """Remove a declared caller, and return the remaining ones.

    The request is rejected while a flow that the caller calls still receives calls.
    """
    await callers.remove_declared_caller(services(), call.body.name)
    return _build_caller_list_response(await callers.list_declared_callers(services()))


def _build_caller_list_response(
    found: list[DeclaredCaller],
) -> ItemListResponse[DeclaredCallerResponse]:
    return ItemListResponse[DeclaredCallerResponse](
        items=tuple(map(DeclaredCallerResponse.model_validate, found))
    )
