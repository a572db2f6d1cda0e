"""HTTP: what is wrong, what waits for whom, and how far the tenant is, in one answer."""

from datetime import datetime

from functions.endpoints import ApiRequest, endpoint
from functions.health_api import HealthResponse
from functions.http_requests import NoBody, NoQuery
from functions.http_responses import ApiResponse
from functions.remediation_models import UnreadableRowResponse
from shared.bootstrap import services
from shared.domain.plans.pending_actions import PendingActionKind
from shared.domain.plans.plan_item import NotMigratedReason
from shared.domain.principal import Role
from shared.use_cases.show_status import show_status as shown


class PendingActionResponse(ApiResponse):
    """One cause that waits for a person, however many flows it holds up."""

    cause: PendingActionKind
    #: In one line for people.
    title: str
    #: The runbook has a row for it.
    code: str
    count: int
    environment_id: str
    environment_name: str
    remediation_id: str
    #: Titles of the first of the flows.
    flows: tuple[str, ...]
    reason: str
    instruction: str
    #: What to call next.
    command: str
    #: When it ends without anybody, for the worse.
    lapses: datetime | None


class OngoingFlowsResponse(ApiResponse):
    """Flows of an environment that go on without anybody, by how far they got."""

    environment_id: str
    environment_name: str
    reached: str
    count: int
    #: When the first and the last of them are looked at next.
    first: datetime | None
    last: datetime | None


class EnvironmentStatusResponse(ApiResponse):
    """How far one environment is."""

    environment_id: str
    environment_name: str
    remediation_id: str
    state: str
    #: By state, blocked ones first.
    flows: dict[str, int]
    #: Flows that stay on Microsoft's key as far as the work has come by now, by why.
    left: dict[NotMigratedReason, int]


class TenantStatusResponse(ApiResponse):
    """What a person has to do first, then how far the tenant is."""

    waiting: tuple[PendingActionResponse, ...]
    environments: tuple[EnvironmentStatusResponse, ...]
    flows: dict[str, int]
    left: dict[NotMigratedReason, int]
    by_itself: tuple[OngoingFlowsResponse, ...]
    health: HealthResponse
    unreadable: tuple[UnreadableRowResponse, ...]


@endpoint(role=Role.READER, answer=TenantStatusResponse)
async def show_status(_call: ApiRequest[NoQuery, NoBody]) -> TenantStatusResponse:
    """Return what waits for a person; 503 if the store or the broker does not answer."""
    return TenantStatusResponse.model_validate(await shown(services()))
