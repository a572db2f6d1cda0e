"""API: the firewalls that do not allow all addresses of copies."""

from datetime import datetime
from typing import Literal

from functions.endpoints import ApiRequest, endpoint
from functions.http_requests import NoBody, RequestModel, Search
from functions.http_responses import ApiResponse, ItemListResponse
from functions.remediation_models import UnreadableRowResponse
from shared.bootstrap import services
from shared.domain.plans.incomplete_firewalls import FirewallStatus, select_firewalls
from shared.domain.principal import Role
from shared.use_cases.show_network import show_network


class FirewallsQuery(RequestModel):
    """Which firewalls to return."""

    #: Only firewalls with this status.
    status: Literal[""] | FirewallStatus = ""
    #: Part of a firewall's name or kind, or of the name or id of an environment.
    search: Search = ""


class ConcernedEnvironmentResponse(ApiResponse):
    """An environment with flows that call through a firewall, as of its last plan."""

    environment_id: str
    environment_name: str
    remediation_id: str
    #: When the firewall was read for its plan; null if it is not known.
    read_at: datetime | None
    #: Number of flows that the firewall blocks now, and of flows of the plan that call through it;
    #: 0: not known.
    blocked_count: int
    flow_count: int
    fix: str
    #: What the app changes in it once the plan is approved; empty: nothing.
    fix_by_app: str
    #: Why the issue is ignored here; empty: it is not.
    ignored_because: str


class IncompleteFirewallResponse(ApiResponse):
    """A firewall that does not, or may not, allow all addresses of copies."""

    #: Name of the firewall issue; empty: known only from the message of a blocked flow.
    issue: str
    kind: str
    name: str
    status: FirewallStatus
    missing_prefixes: tuple[str, ...]
    #: Whether more prefixes may be missing, because a plan stores only the first.
    has_more_prefixes: bool
    blocked_count: int
    environments: tuple[ConcernedEnvironmentResponse, ...]
    #: Change numbers of the lists whose added ranges it does not allow.
    change_numbers: tuple[int, ...]
    #: When it was last read; null if it is not known.
    read_at: datetime | None
    #: When the app last changed it; null if it has not.
    changed_at: datetime | None


class IncompleteFirewallListResponse(ItemListResponse[IncompleteFirewallResponse]):
    """Firewalls that do not allow all addresses of copies. Those that block most come first."""

    #: What the service tag list lacks, so that firewalls cannot be checked.
    unknowns: tuple[IncompleteFirewallResponse, ...]
    #: Number of flows that any firewall blocks.
    blocked_flow_count: int
    #: When all firewalls were last read; null: never.
    firewalls_read_at: datetime | None
    #: Since when a reading of the firewalls is incomplete; null if none is.
    incomplete_since: datetime | None
    unreadable_rows: tuple[UnreadableRowResponse, ...]


@endpoint(role=Role.READER)
async def list_firewalls(
    call: ApiRequest[FirewallsQuery, NoBody],
) -> IncompleteFirewallListResponse:
    """Return the firewalls that do not allow all addresses of copies. Reads stored rows only."""
    found = await show_network(services())
    chosen = select_firewalls(found.firewalls, call.query.status, call.query.search)
    return IncompleteFirewallListResponse(
        items=tuple(map(IncompleteFirewallResponse.model_validate, chosen)),
        unknowns=tuple(map(IncompleteFirewallResponse.model_validate, found.unknowns)),
        blocked_flow_count=found.blocked_flow_count,
        firewalls_read_at=found.firewalls_read_at,
        incomplete_since=found.incomplete_since,
        unreadable_rows=tuple(map(UnreadableRowResponse.model_validate, found.unreadable_rows)),
    )
