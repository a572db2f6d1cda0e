"""HTTP: what is wrong, what waits for whom, and how far the tenant is, in one answer."""

from datetime import datetime

from functions.endpoints import Call, endpoint
from functions.health_api import HealthAnswer
from functions.http_requests import NoBody, NoQuery
from functions.http_responses import Answer
from functions.remediation_models import UnreadableAnswer
from shared.bootstrap import services
from shared.domain.plans.pending_actions import Cause
from shared.domain.plans.plan_item import Left
from shared.domain.principal import Role
from shared.use_cases.show_status import show_attention as shown


class WaitingAnswer(Answer):
    """One cause that waits for a person, however many flows it holds up."""

    cause: Cause
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


class ByItselfAnswer(Answer):
    """Flows of an environment that go on without anybody, by how far they got."""

    environment_id: str
    environment_name: str
    reached: str
    count: int
    #: When the first and the last of them are looked at next.
    first: datetime | None
    last: datetime | None


class StandingAnswer(Answer):
    """How far one environment is."""

    environment_id: str
    environment_name: str
    remediation_id: str
    state: str
    #: By state, blocked ones first.
    flows: dict[str, int]
    #: Flows that stay on Microsoft's key as far as the work has come by now, by why.
    left: dict[Left, int]


class AttentionAnswer(Answer):
    """What a person has to do first, then how far the tenant is."""

    waiting: tuple[WaitingAnswer, ...]
    environments: tuple[StandingAnswer, ...]
    flows: dict[str, int]
    left: dict[Left, int]
    by_itself: tuple[ByItselfAnswer, ...]
    health: HealthAnswer
    unreadable: tuple[UnreadableAnswer, ...]


@endpoint(role=Role.READER, answer=AttentionAnswer)
async def show_attention(_call: Call[NoQuery, NoBody]) -> AttentionAnswer:
    """Return what waits for a person; 503 if the store or the broker does not answer."""
    return AttentionAnswer.model_validate(await shown(services()))
