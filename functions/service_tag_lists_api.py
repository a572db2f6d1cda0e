"""API: changes of Microsoft's service tag list, and what they affect."""

from collections.abc import Sequence
from datetime import datetime

from functions.endpoints import ApiRequest, endpoint
from functions.http_requests import NoBody, NoQuery
from functions.http_responses import ApiResponse, ItemListResponse
from shared.bootstrap import services
from shared.domain.network.service_tag_list_version import ServiceTagListVersion
from shared.domain.principal import Role
from shared.use_cases.audit_state import read_service_tag_lists
from shared.use_cases.record_address_ranges import list_known_versions
from shared.use_cases.record_address_ranges import refresh_service_tag_list as refresh


class AddressRangeChangeResponse(ApiResponse):
    """Address ranges added to and removed from a tag in one region."""

    tag: str
    region: str
    added: tuple[str, ...]
    removed: tuple[str, ...]


class AffectedFirewallResponse(ApiResponse):
    """A firewall that does not allow the addresses that a version of the list added."""

    #: Name of the firewall issue.
    issue: str
    name: str
    missing_prefixes: tuple[str, ...]


class AffectedRemediationResponse(ApiResponse):
    """A remediation with flows that call through a firewall that denies added addresses."""

    remediation_id: str
    flow_count: int


class ServiceTagListVersionResponse(ApiResponse):
    """A version of Microsoft's service tag list, with what it changed and what that affects."""

    change_number: int
    #: The version before; null for the first version that the app read.
    previous_change_number: int | None
    first_seen_at: datetime
    last_checked_at: datetime
    changes: tuple[AddressRangeChangeResponse, ...]
    affected_firewalls: tuple[AffectedFirewallResponse, ...]
    affected_remediations: tuple[AffectedRemediationResponse, ...]
    #: The reason code of an open firewall issue; empty if there is none.
    reason_code: str


@endpoint(role=Role.READER)
async def list_service_tag_list_versions(
    _call: ApiRequest[NoQuery, NoBody],
) -> ItemListResponse[ServiceTagListVersionResponse]:
    """Return the versions of the service tag list from the last 90 days. Reads stored rows only."""
    return _build_version_list_response(await list_known_versions(services()))


@endpoint(role=Role.OPERATOR, subject=read_service_tag_lists)
async def refresh_service_tag_list(
    _call: ApiRequest[NoQuery, NoBody],
) -> ItemListResponse[ServiceTagListVersionResponse]:
    """Read Microsoft's service tag list now, as the daily check does, and return the versions."""
    return _build_version_list_response(await refresh(services()))


def _build_version_list_response(
    found: Sequence[ServiceTagListVersion],
) -> ItemListResponse[ServiceTagListVersionResponse]:
    items = tuple(ServiceTagListVersionResponse.model_validate(one) for one in found)
    return ItemListResponse[ServiceTagListVersionResponse](items=items)
