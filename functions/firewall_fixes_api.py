"""HTTP: what closes the gaps of firewalls; make that change, and take it back."""

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
    """Which gaps are shown."""

    #: A gap's name, an Azure resource id, or the name of a resource.
    resource: Text | None = None
    environment: Id | None = None


class ApplyFixRequest(RequestModel):
    """Which change is to be made."""

    resource: Text
    environment: Id | None = None
    by: Text | None = None


class RevertFixRequest(RequestModel):
    """Which change is to be taken back."""

    resource: Text
    by: Text | None = None
    #: Although flows call through it.
    even_in_use: Annotated[bool, Field(strict=True)] = False


class FirewallFixResponse(ApiResponse):
    """A gap, and the smallest change that closes it."""

    gap: str
    kind: str
    firewall: str
    environment_ids: tuple[str, ...]
    missing_tags: tuple[str, ...]
    missing_prefixes: tuple[str, ...]
    #: In words; empty, as the three texts, where `refusal` says why there is no change.
    summary: str
    azure_cli: str
    bicep: str
    terraform: str
    notes: tuple[str, ...]
    refusal: str
    #: Whether the app can make it by itself.
    is_applicable: bool

    @classmethod
    def of(cls, shown: FirewallFixView) -> Self:
        """Return the answer about one gap."""
        gap, repair = shown.gap, shown.repair
        return cls(
            gap=gap.name,
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
            refusal=repair.refusal,
            is_applicable=repair.opening is not None,
        )


class AppliedFixResponse(ApiResponse):
    """What the app has put into a firewall."""

    gap: str
    firewall: str
    #: What holds the list that it stands in.
    resource_id: str
    #: As JSON.
    entries: tuple[str, ...]
    state: FirewallFixState
    environment_ids: tuple[str, ...]
    by: str
    at: datetime

    @classmethod
    def of(cls, record: FirewallFixRecord) -> Self:
        """Return the answer about one record."""
        return cls(
            gap=record.gap,
            firewall=record.firewall,
            resource_id=record.opening.resource_id,
            entries=record.opening.entries,
            state=record.state,
            environment_ids=record.environment_ids,
            by=record.by,
            at=record.at,
        )


class FirewallFixListResponse(ItemListResponse[FirewallFixResponse]):
    """What is to be done, and beside it what the app has done."""

    applied: tuple[AppliedFixResponse, ...]


@endpoint(
    role=Role.READER,
    query=FirewallFixQuery,
    answer=FirewallFixListResponse,
)
async def list_firewall_fixes(
    call: ApiRequest[FirewallFixQuery, NoBody],
) -> FirewallFixListResponse:
    """Return what closes each gap, or those of one resource. Reads the firewalls anew."""
    query = call.query
    found = await manage_firewall_fixes.propose_fixes(services(), query.resource, query.environment)
    applied = await manage_firewall_fixes.list_repairs(services())
    return FirewallFixListResponse(
        items=tuple(map(FirewallFixResponse.of, found)),
        applied=tuple(map(AppliedFixResponse.of, applied)),
    )


@endpoint(
    role=Role.APPROVER,
    body=ApplyFixRequest,
    answer=ItemListResponse[AppliedFixResponse],
    subject=read_firewall_fixes,
)
async def apply_firewall_fix(
    call: ApiRequest[NoQuery, ApplyFixRequest],
) -> ItemListResponse[AppliedFixResponse]:
    """Make the change that closes the gaps of one resource."""
    order = call.body
    wish = FirewallFixInput(resource=order.resource, by=call.by, environment_id=order.environment)
    return _records(await manage_firewall_fixes.apply_fix(services(), wish))


@endpoint(
    role=Role.OPERATOR,
    body=RevertFixRequest,
    answer=ItemListResponse[AppliedFixResponse],
    subject=read_firewall_fixes,
)
async def revert_firewall_fix(
    call: ApiRequest[NoQuery, RevertFixRequest],
) -> ItemListResponse[AppliedFixResponse]:
    """Take back what the app put into one resource."""
    order = call.body
    wish = FirewallFixInput(resource=order.resource, by=call.by, even_in_use=order.even_in_use)
    return _records(await manage_firewall_fixes.revert_fix(services(), wish))


def _records(found: list[FirewallFixRecord]) -> ItemListResponse[AppliedFixResponse]:
    return ItemListResponse[AppliedFixResponse](items=tuple(map(AppliedFixResponse.of, found)))
