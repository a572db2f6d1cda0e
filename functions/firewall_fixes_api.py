"""API: propose, apply and revert firewall fixes."""

from datetime import datetime
from typing import Annotated

from pydantic import AliasPath, Field

from functions.endpoints import ApiRequest, endpoint
from functions.http_requests import Id, NoBody, NoQuery, RequestModel, Text
from functions.http_responses import ApiResponse, ItemListResponse
from shared.bootstrap import services
from shared.domain.network.firewall_fix_record import FirewallFixRecord, FirewallFixState
from shared.domain.principal import Role
from shared.use_cases import manage_firewall_fixes
from shared.use_cases.audit_state import read_firewall_fixes
from shared.use_cases.manage_firewall_fixes import FirewallFixInput


class FirewallFixQuery(RequestModel):
    """For which firewall issues to return fixes. An omitted parameter selects all."""

    #: Name of a firewall issue, Azure resource id, or name of a resource.
    resource: Text | None = None
    environment: Id | None = None


class ApplyFixRequest(RequestModel):
    """Which firewall fix to apply."""

    resource: Text
    environment: Id | None = None
    requested_by: Text | None = None


class RevertFixRequest(RequestModel):
    """Which firewall fix to revert."""

    resource: Text
    requested_by: Text | None = None
    #: Revert the fix although flows need it.
    force: Annotated[bool, Field(strict=True)] = False


class FirewallFixResponse(ApiResponse):
    """A firewall issue with its fix, the smallest change that allows the missing addresses."""

    issue: str = Field(validation_alias=AliasPath("issue", "name"))
    kind: str = Field(validation_alias=AliasPath("issue", "kind"))
    firewall: str = Field(validation_alias=AliasPath("issue", "firewall_name"))
    environment_ids: tuple[str, ...]
    missing_tags: tuple[str, ...] = Field(validation_alias=AliasPath("issue", "missing_tags"))
    missing_prefixes: tuple[str, ...] = Field(
        validation_alias=AliasPath("issue", "missing_prefixes")
    )
    #: A sentence about the fix; empty if `unavailable_reason` says why there is no fix.
    summary: str = Field(validation_alias=AliasPath("fix", "summary"))
    azure_cli: str = Field(validation_alias=AliasPath("fix", "azure_cli"))
    bicep: str = Field(validation_alias=AliasPath("fix", "bicep"))
    terraform: str = Field(validation_alias=AliasPath("fix", "terraform"))
    notes: tuple[str, ...] = Field(validation_alias=AliasPath("fix", "notes"))
    unavailable_reason: str = Field(validation_alias=AliasPath("fix", "unavailable_reason"))
    #: Whether the app can apply the fix.
    is_applicable: bool = Field(validation_alias=AliasPath("fix", "is_applicable"))


class AppliedFixResponse(ApiResponse):
    """A fix that the app has applied to a firewall."""

    issue: str
    firewall: str
    #: Azure resource id of the firewall or rule collection that was changed.
    resource_id: str = Field(validation_alias=AliasPath("added_entries", "resource_id"))
    #: The added entries, each as JSON.
    entries: tuple[str, ...] = Field(validation_alias=AliasPath("added_entries", "entries"))
    state: FirewallFixState
    environment_ids: tuple[str, ...]
    changed_by: str
    changed_at: datetime


class FirewallFixListResponse(ItemListResponse[FirewallFixResponse]):
    """Firewall fixes that the app proposes, and those that it has applied."""

    applied: tuple[AppliedFixResponse, ...]


@endpoint(role=Role.READER)
async def list_firewall_fixes(
    call: ApiRequest[FirewallFixQuery, NoBody],
) -> FirewallFixListResponse:
    """Read the firewalls, and return a fix for each issue.

    `resource` and `environment` select some. Also returns the fixes that the app has applied.
    """
    query = call.query
    found = await manage_firewall_fixes.propose_fixes(services(), query.resource, query.environment)
    applied = await manage_firewall_fixes.list_applied_fixes(services())
    return FirewallFixListResponse(
        items=tuple(map(FirewallFixResponse.model_validate, found)),
        applied=tuple(map(AppliedFixResponse.model_validate, applied)),
    )


@endpoint(role=Role.APPROVER, subject=read_firewall_fixes)
async def apply_firewall_fix(
    call: ApiRequest[NoQuery, ApplyFixRequest],
) -> ItemListResponse[AppliedFixResponse]:
    """Apply the fixes for the issues of one resource."""
    body = call.body
    fix_input = FirewallFixInput(
        resource=body.resource, requested_by=call.requester_name, environment_id=body.environment
    )
    return _build_applied_fix_list_response(
        await manage_firewall_fixes.apply_fix(services(), fix_input)
    )


@endpoint(role=Role.OPERATOR, subject=read_firewall_fixes)
async def revert_firewall_fix(
    call: ApiRequest[NoQuery, RevertFixRequest],
) -> ItemListResponse[AppliedFixResponse]:
    """Revert the fixes that the app applied to one resource."""
    body = call.body
    fix_input = FirewallFixInput(
        resource=body.resource, requested_by=call.requester_name, force=body.force
    )
    return _build_applied_fix_list_response(
        await manage_firewall_fixes.revert_fix(services(), fix_input)
    )


def _build_applied_fix_list_response(
    found: list[FirewallFixRecord],
) -> ItemListResponse[AppliedFixResponse]:
    return ItemListResponse[AppliedFixResponse](
        items=tuple(map(AppliedFixResponse.model_validate, found))
    )
