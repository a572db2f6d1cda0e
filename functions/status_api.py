"""API: the status of the tenant."""

from datetime import datetime

from functions.endpoints import ApiRequest, endpoint
from functions.health_api import HealthResponse
from functions.http_requests import NoBody, NoQuery
from functions.http_responses import ApiResponse
from functions.remediation_models import UnreadableRowResponse
from shared.bootstrap import services
from shared.domain.plans.pending_actions import PendingActionKind
from shared.domain.plans.plan_item import NotMigratedReason
from shared.domain.plans.remediation import RemediationMode
from shared.domain.principal import Role
from shared.use_cases.show_status import show_status as shown


class PendingActionResponse(ApiResponse):
    """Something that only a person can do, for one reason and any number of flows."""

    kind: PendingActionKind
    #: One line for people.
    title: str
    #: The title without the environment.
    short_title: str
    #: The reason code, which the runbook explains.
    reason_code: str
    count: int
    environment_id: str
    environment_name: str
    remediation_id: str
    #: Names of the first flows.
    flows: tuple[str, ...]
    #: Who has to act, such as `approver` or `network administrator`.
    actor: str
    message: str
    fix: str
    #: The next command.
    next_command: str
    #: Since when a person has to act; null if it is not known.
    pending_since: datetime | None
    #: When it ends because nobody acts.
    expires_at: datetime | None


class OngoingFlowsResponse(ApiResponse):
    """How many flows of an environment the app continues at one step."""

    environment_id: str
    environment_name: str
    step: str
    count: int
    #: Time of the first and of the last next check.
    first_check_at: datetime | None
    last_check_at: datetime | None


class EnvironmentStatusResponse(ApiResponse):
    """The status of one environment."""

    environment_id: str
    environment_name: str
    remediation_id: str
    state: str
    mode: RemediationMode
    #: Whether its last job only assesses the environment.
    is_assessment: bool
    #: Time at which its last job got this state; null if it is not known.
    state_changed_at: datetime | None
    #: Number of flows by state, blocked states first.
    flows: dict[str, int]
    #: Number of flows that are not migrated so far, by reason.
    not_migrated: dict[NotMigratedReason, int]
    #: Number of flows whose original and copy are both off.
    both_off_count: int
    #: Since when a job needs a person before it continues; null if none does.
    blocked_since: datetime | None
    #: Number of flows whose copies have replaced them.
    migrated_count: int
    #: Number of flows that need no copy once a key is applied.
    prepared_count: int
    #: Number of flows that are migrated, prepared or not migrated.
    flow_count: int


class TenantStatusResponse(ApiResponse):
    """The status of the tenant: actions required, environments, flows in progress, health."""

    pending_actions: tuple[PendingActionResponse, ...]
    environments: tuple[EnvironmentStatusResponse, ...]
    flows: dict[str, int]
    not_migrated: dict[NotMigratedReason, int]
    #: Number of migrated flows, and of all flows that are migrated, prepared or not migrated.
    migrated_count: int
    flow_count: int
    #: Number of firewalls that block flows, and of the flows that they block.
    blocking_firewall_count: int
    firewall_blocked_flow_count: int
    ongoing: tuple[OngoingFlowsResponse, ...]
    health: HealthResponse
    unreadable_rows: tuple[UnreadableRowResponse, ...]


@endpoint(role=Role.READER)
async def show_status(_call: ApiRequest[NoQuery, NoBody]) -> TenantStatusResponse:
    """Return the status of the tenant, or 503 if the store or the broker does not answer."""
    return TenantStatusResponse.model_validate(await shown(services()))
