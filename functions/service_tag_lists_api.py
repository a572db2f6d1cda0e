"""HTTP: how Microsoft's address ranges changed, and what that means here."""

from collections.abc import Sequence
from datetime import datetime

from functions.endpoints import ApiRequest, endpoint
from functions.http_requests import NoBody, NoQuery
from functions.http_responses import ApiResponse, ItemListResponse
from shared.bootstrap import services
from shared.domain.network.service_tag_list_version import ServiceTagListVersion
from shared.domain.principal import Role
from shared.use_cases.audit_state import read_service_tag_lists
from shared.use_cases.check_address_ranges import list_editions
from shared.use_cases.check_address_ranges import refresh_service_tag_list as refresh


class AddressRangeChangeResponse(ApiResponse):
    """What a tag has more and less in one region."""

    tag: str
    region: str
    added: tuple[str, ...]
    removed: tuple[str, ...]


class AffectedFirewallResponse(ApiResponse):
    """A firewall that does not let in what was added."""

    #: What it is waived by.
    gap: str
    name: str
    missing: tuple[str, ...]


class AffectedRemediationResponse(ApiResponse):
    """A remediation with flows that call through such a firewall."""

    remediation_id: str
    flows: int


class ServiceTagListVersionResponse(ApiResponse):
    """One edition of Microsoft's list of service tags."""

    change_number: int
    #: The edition before; None: this was the first that was seen.
    before: int | None
    seen: datetime
    looked: datetime
    changes: tuple[AddressRangeChangeResponse, ...]
    firewalls: tuple[AffectedFirewallResponse, ...]
    plans: tuple[AffectedRemediationResponse, ...]
    #: Empty: nothing of it is open.
    code: str


@endpoint(role=Role.READER, answer=ItemListResponse[ServiceTagListVersionResponse])
async def list_service_tag_list_versions(
    _call: ApiRequest[NoQuery, NoBody],
) -> ItemListResponse[ServiceTagListVersionResponse]:
    """Return the editions of the last ninety days, the newest first. Reads rows only."""
    return _editions(await list_editions(services()))


@endpoint(
    role=Role.OPERATOR,
    answer=ItemListResponse[ServiceTagListVersionResponse],
    subject=read_service_tag_lists,
)
async def refresh_service_tag_list(
    _call: ApiRequest[NoQuery, NoBody],
) -> ItemListResponse[ServiceTagListVersionResponse]:
    """Look at Microsoft's list at once, as the daily sweep does, and return the same."""
    return _editions(await refresh(services()))


def _editions(
    found: Sequence[ServiceTagListVersion],
) -> ItemListResponse[ServiceTagListVersionResponse]:
    items = tuple(ServiceTagListVersionResponse.model_validate(one) for one in found)
    return ItemListResponse[ServiceTagListVersionResponse](items=items)
