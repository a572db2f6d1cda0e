"""API: propose, apply and revert firewall fixes."""

from datetime import datetime
from typing import Annotated, Self

from pydantic import Field

from functions.endpoints import ApiRequest, endpoint
from functions.http_requests import Id, NoBody, NoQuery, RequestModel, Text
from functions.http_responses import ApiResponse, ItemListResponse
from shared.bootstrap import services
from shared.domain.network.firewall_fix_record import FirewallFixRecord, FirewallFixState
from shared.domain.principal import Role
from shared.use_cases import manage_firewall_fixes
from shared.use_cases.audit_state import read_firewall_fixes
from shared.use_cases.manage_firewall_fixes import FirewallFixInput, FirewallFixView


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

    issue: str
    kind: str
    firewall: str
    environment_ids: tuple[str, ...]
    missing_tags: tuple[str, ...]
    missing_prefixes: tuple[str, ...]
    #: A sentence about the fix; empty if `unavailable_reason` says why there is no fix.
    summary: str
    azure_cli: str
    bicep: str
    terraform: str
    notes: tuple[str, ...]
    unavailable_reason: str
    #: Whether the app can apply the fix.
    is_applicable: bool

    @classmethod
    def build(cls, shown: FirewallFixView) -> Self:
        gap, repair = shown.issue, shown.fix
        return cls(
            issue=gap.name,
            kind=gap.kind,
            firewall=gap.firewall_name,
            environment_ids=shown.environment_ids,
            missing_tags=gap.missing_tags,
            missing_prefixes=gap.missing_prefixes,
            summary=repair.summary,
            azure_cli=repair.azure_cli,
            bicep=repair.bicep,
            terraform=repair.terraform,
            notes=repair.notes,
            unavailable_reason=repair.unavailable_reason,
            is_applicable=repair.added_entries is not None,
        )


class AppliedFixResponse(ApiResponse):
    """A fix that the app has applied to a firewall."""

    issue: str
    firewall: str
    #: Azure resource id of the firewall or rule collection that was changed.
    resource_id: str
    #: The added entries, each as JSON.
    entries: tuple[str, ...]
    state: FirewallFixState
    environment_ids: tuple[str, ...]
    changed_by: str
    changed_at: datetime

    @classmethod
    def build(cls, record: FirewallFixRecord) -> Self:
        return cls(
            issue=record.issue,
            firewall=record.firewall,
            resource_id=record.added_entries.resource_id,
            entries=record.added_entries.entries,
            state=record.state,
            environment_ids=record.environment_ids,
            changed_by=record.changed_by,
            changed_at=record.changed_at,
        )


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
        items=tuple(map(FirewallFixResponse.build, found)),
        applied=tuple(map(AppliedFixResponse.build, applied)),
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
    return _build_fix_list(await manage_firewall_fixes.apply_fix(services(), fix_input))


@endpoint(role=Role.OPERATOR, subject=read_firewall_fixes)
async def revert_firewall_fix(
    call: ApiRequest[NoQuery, RevertFixRequest],
) -> ItemListResponse[AppliedFixResponse]:
    """Revert the fixes that the app applied to one resource."""
    body = call.body
    fix_input = FirewallFixInput(
        resource=body.resource, requested_by=call.requester_name, force=body.force
    )
    return _build_fix_list(await manage_firewall_fixes.revert_fix(services(), fix_input))


def _build_fix_list(found: list[FirewallFixRecord]) -> ItemListResponse[AppliedFixResponse]:
    return ItemListResponse[AppliedFixResponse](items=tuple(map(AppliedFixResponse.build, found)))
