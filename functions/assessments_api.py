"""HTTP: assessments of an environment, before or after a key is applied. Reads only."""

from datetime import datetime
from typing import Annotated, Self

import azure.functions as func
from pydantic import AwareDatetime, BeforeValidator, model_validator

from functions.endpoints import ApiRequest, endpoint
from functions.http_headers import LOCATION, RETRY_AFTER
from functions.http_requests import NoBody, NoQuery, RequestModel, Text
from functions.http_responses import ApiResponse, ok
from shared.bootstrap import services
from shared.domain.assessment.assessment import AssessmentPhase, AssessmentTopic
from shared.domain.finding import FindingLevel
from shared.domain.identifiers import environment_identifier
from shared.domain.jobs.environment_states import EnvironmentJobState
from shared.domain.plans.assessment_request import AssessmentRequest
from shared.domain.plans.discovery import DiscoverySource
from shared.domain.principal import Role
from shared.use_cases import order_assessment as orders
from shared.use_cases.assess import assess
from shared.use_cases.audit_state import new_assessment

#: After which it is worth while to ask how far an assessment is.
_SECONDS = 5


def _written(text: object) -> datetime:
    """Take no number for a time: nobody means seconds since 1970."""
    if not isinstance(text, str) or "-" not in text:
        raise ValueError("a time with its zone, as RFC 3339 writes it")
    return datetime.fromisoformat(text)


class AssessmentQuery(RequestModel):
    """What an assessment may be asked for."""

    #: Name or Azure resource id of the policy that is to be applied.
    policy: Text | None = None
    #: A key before any policy names it: its vault, by name or Azure resource id, and its name.
    vault: Text | None = None
    key: Text | None = None
    #: `callers_searched` of an earlier answer: its search for callers is used again.
    callers_since: Annotated[AwareDatetime, BeforeValidator(_written)] | None = None

    @model_validator(mode="after")
    def _both_or_neither(self) -> Self:
        if (self.vault is None) != (self.key is None):
            raise ValueError("Name the vault and the key, or neither.")
        return self


class AssessmentOrder(AssessmentQuery):
    """What an assessment in the background is about: the same."""


class AssessedCallerResponse(ApiResponse):
    """A place that calls a flow."""

    kind: str
    label: str
    manual: str
    is_broken: bool


class AssessedFlowResponse(ApiResponse):
    """One flow that stays on Microsoft's key, or may."""

    workflow_id: str
    flow_name: str
    display_name: str
    owner: str
    is_on: bool
    is_managed: bool
    in_solution: bool | None
    category: str
    stays_on_mmk: bool | None
    is_listed: bool | None
    reasons: tuple[str, ...]
    explanation: str
    held_back_by: tuple[str, ...]
    holds_back: tuple[str, ...]
    advice: tuple[str, ...]
    callers: tuple[AssessedCallerResponse, ...]
    callers_gap: str
    chains: tuple[tuple[str, ...], ...]
    co_owners: tuple[str, ...]
    co_owners_gap: str
    run_only_users: str


class FindingResponse(ApiResponse):
    """What one check found."""

    level: FindingLevel
    code: str
    text: str
    instruction: str
    subject: str


class AssessmentSectionResponse(ApiResponse):
    """Findings about one topic."""

    topic: AssessmentTopic
    findings: tuple[FindingResponse, ...]


class EffortEstimateResponse(ApiResponse):
    """What a remediation is expected to take."""

    copies: int
    callers: int
    manual_callers: int
    calls: int
    minutes: int
    quiet_days: int
    share_of_daily_pool: float
    gap: str


class AssessmentResponse(ApiResponse):
    """All that is to be known of one environment."""

    environment_id: str
    display_name: str
    at: datetime
    phase: AssessmentPhase
    flow_count: int | None
    flows: tuple[AssessedFlowResponse, ...]
    sections: tuple[AssessmentSectionResponse, ...]
    effort: EffortEstimateResponse
    callers_searched: datetime | None


class ReadingAnswer(ApiResponse):
    """How far an assessment has read the flows of its environment."""

    began: datetime
    #: When the last page was read.
    read: datetime
    #: Pages so far, of all lists.
    pages: int
    #: Flows that were read with their definitions.
    flows: int
    #: The list that the last page is of.
    source: DiscoverySource


class OrderedAssessmentAnswer(ApiResponse):
    """An assessment in the background: how far it is, and its answer at the end."""

    #: Also the id of the remediation that it is, by which it is cancelled or retried.
    id: str
    environment_id: str
    created: datetime
    state: EnvironmentJobState
    reason: str
    instruction: str
    code: str
    #: When it goes on; null: now, or not by itself.
    due: datetime | None
    #: Null: nothing was read yet.
    progress: ReadingAnswer | None
    #: Null: it has not come to its end.
    assessment: AssessmentResponse | None


@endpoint(
    role=Role.OPERATOR,
    body=AssessmentOrder,
    answer=OrderedAssessmentAnswer,
    status=202,
    answer_headers=(LOCATION, RETRY_AFTER),
    subject=new_assessment,
)
async def order_assessment(call: ApiRequest[NoQuery, AssessmentOrder]) -> func.HttpResponse:
    """Assess one environment in the background; who asks for what runs already gets that."""
    body = call.body
    request = AssessmentRequest(
        policy=body.policy or "",
        vault=body.vault or "",
        key=body.key or "",
        callers_since=body.callers_since,
    )
    environment_id = environment_identifier(call.id)
    started = await orders.order_assessment(services(), environment_id, request, call.principal)
    shown = await orders.show_assessment(services(), started.id)
    headers = {LOCATION: f"/api/assessments/{started.id}", RETRY_AFTER: str(_SECONDS)}
    return ok(_ordered(shown), status=202, headers=headers)


@endpoint(role=Role.READER, answer=OrderedAssessmentAnswer)
async def show_ordered_assessment(call: ApiRequest[NoQuery, NoBody]) -> OrderedAssessmentAnswer:
    """Return how far an assessment in the background is, and its answer at the end."""
    return _ordered(await orders.show_assessment(services(), call.id.lower()))


def _ordered(shown: orders.ShownAssessment) -> OrderedAssessmentAnswer:
    job = shown.job
    return OrderedAssessmentAnswer(
        id=shown.remediation.id,
        environment_id=job.environment_id,
        created=shown.remediation.created,
        state=job.state,
        reason=job.reason,
        instruction=job.instruction,
        code=job.code,
        due=job.due,
        progress=ReadingAnswer.model_validate(job.assessed) if job.assessed else None,
        assessment=AssessmentResponse.model_validate(shown.answer) if shown.answer else None,
    )


@endpoint(
    role=Role.READER,
    query=AssessmentQuery,
    answer=AssessmentResponse,
)
async def show_assessment(call: ApiRequest[AssessmentQuery, NoBody]) -> AssessmentResponse:
    """Assess one environment while the caller waits; of a large one some of it stays unknown."""
    query = call.query
    found = await assess(
        services(),
        environment_identifier(call.id),
        policy=query.policy or "",
        key=(query.vault, query.key) if query.vault and query.key else None,
        callers_since=query.callers_since,
    )
    return AssessmentResponse.model_validate(found)
