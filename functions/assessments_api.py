"""API: assess an environment before or after a key is applied. Writes nothing to the platform."""

from contextlib import suppress
from datetime import datetime
from typing import Annotated

import azure.functions as func
from pydantic import AliasPath, AwareDatetime, BeforeValidator, Field

from functions.endpoints import ApiRequest, endpoint
from functions.http_headers import LOCATION, RETRY_AFTER
from functions.http_requests import KeyChoice, NoBody, NoQuery, Text
from functions.http_responses import ApiResponse, build_json_response
from shared.bootstrap import services
from shared.domain.assessment.assessment import (
    AssessmentPhase,
    AssessmentTopic,
    RemediationStatus,
)
from shared.domain.finding import FindingLevel
from shared.domain.ids import normalize_environment_id
from shared.domain.jobs.environment_states import EnvironmentJobState
from shared.domain.plans.assessment_request import AssessmentRequest
from shared.domain.plans.discovery import DiscoverySource
from shared.domain.principal import Role
from shared.use_cases import start_assessment as assessments
from shared.use_cases.assess import assess_environment
from shared.use_cases.audit_state import read_new_assessment

#: Value of `Retry-After`, in seconds.
_SECONDS = 5


def _parse_time(text: object) -> datetime:
    """Return the time in a text. Rejects numbers, which pydantic takes for seconds since 1970."""
    with suppress(ValueError):
        if isinstance(text, str) and "-" in text:
            return datetime.fromisoformat(text)
    raise ValueError("Use a time with a time zone, such as 2030-01-31T08:00:00Z.")


class AssessmentQuery(KeyChoice):
    """The enterprise policy or key to assess an environment for. Both may be omitted."""

    #: Name or Azure resource id of the policy that will be applied.
    policy: Text | None = None
    #: `callers_searched_at` of an earlier assessment, whose caller search is reused.
    callers_searched_since: Annotated[AwareDatetime, BeforeValidator(_parse_time)] | None = None


class StartAssessmentRequest(AssessmentQuery):
    """The enterprise policy or key to assess an environment for in the background."""


class AssessedCallerResponse(ApiResponse):
    """A caller of an assessed flow, and how it refers to the flow."""

    kind: str
    label: str
    manual_reason: str
    is_broken: bool
    #: It holds the URL itself, not a reference to a secret with it.
    holds_url: bool


class AssessedFlowResponse(ApiResponse):
    """A flow that stays, or may stay, on Microsoft's key."""

    workflow_id: str
    flow_name: str
    display_name: str
    owner: str
    is_on: bool
    is_managed: bool
    in_solution: bool | None
    category: str
    stays_on_microsoft_key: bool | None
    is_on_microsoft_key_list: bool | None
    microsoft_key_reasons: tuple[str, ...]
    message: str
    blocked_by_flows: tuple[str, ...]
    blocks_flows: tuple[str, ...]
    recommendations: tuple[str, ...]
    callers: tuple[AssessedCallerResponse, ...]
    callers_unknown_reason: str
    parent_chains: tuple[tuple[str, ...], ...]
    co_owners: tuple[str, ...]
    co_owners_unknown_reason: str
    run_only_users: str
    remediation_status: RemediationStatus
    remediation_id: str


class FindingResponse(ApiResponse):
    """The result of one check, with its level and fix."""

    level: FindingLevel
    code: str
    message: str
    fix: str
    subject: str


class AssessmentSectionResponse(ApiResponse):
    """The findings of an assessment about one topic, such as firewalls."""

    topic: AssessmentTopic
    findings: tuple[FindingResponse, ...]


class EffortEstimateResponse(ApiResponse):
    """How much work a remediation of the environment is expected to be."""

    copies: int
    callers: int
    manual_callers: int
    requests: int
    minutes: int
    no_call_days: int
    share_of_daily_pool: float
    unknown_reason: str
    url_holder_count: int


class AssessmentResponse(ApiResponse):
    """What an assessment has found out about one environment."""

    environment_id: str
    display_name: str
    assessed_at: datetime
    phase: AssessmentPhase
    flow_count: int | None
    flows: tuple[AssessedFlowResponse, ...]
    sections: tuple[AssessmentSectionResponse, ...]
    estimate: EffortEstimateResponse
    callers_searched_at: datetime | None


class AssessmentProgressResponse(ApiResponse):
    """How much of the environment an assessment has read."""

    began: datetime
    #: Time of the last page.
    read: datetime
    #: Number of pages read, of all lists. A reading of one flow counts as a page.
    pages: int
    #: Number of flows whose definition was read.
    flows: int
    #: What was read last.
    source: DiscoverySource


class AssessmentJobResponse(ApiResponse):
    """An assessment in the background: its progress, and its result when it is complete."""

    #: Also the id of its remediation, which can be cancelled or retried.
    id: str = Field(validation_alias=AliasPath("remediation", "id"))
    environment_id: str = Field(validation_alias=AliasPath("job", "environment_id"))
    created_at: datetime = Field(validation_alias=AliasPath("remediation", "created_at"))
    state: EnvironmentJobState = Field(validation_alias=AliasPath("job", "state"))
    message: str = Field(validation_alias=AliasPath("job", "message"))
    fix: str = Field(validation_alias=AliasPath("job", "fix"))
    reason_code: str = Field(validation_alias=AliasPath("job", "reason_code"))
    #: Time of the next check; null if it is due now or requires an action.
    next_check_at: datetime | None = Field(validation_alias=AliasPath("job", "next_check_at"))
    #: Null until the first page is read.
    progress: AssessmentProgressResponse | None = Field(
        validation_alias=AliasPath("job", "assessed")
    )
    #: Null until the assessment is complete.
    assessment: AssessmentResponse | None = Field(validation_alias="answer")


@endpoint(
    role=Role.OPERATOR,
    answer=AssessmentJobResponse,
    status=202,
    answer_headers=(LOCATION, RETRY_AFTER),
    subject=read_new_assessment,
)
async def start_assessment(call: ApiRequest[NoQuery, StartAssessmentRequest]) -> func.HttpResponse:
    """Start an assessment of one environment in the background.

    If the same assessment is already in progress, return that one.
    """
    body = call.body
    request = AssessmentRequest(
        policy=body.policy or "",
        vault=body.vault or "",
        key=body.key or "",
        callers_since=body.callers_searched_since,
    )
    environment_id = normalize_environment_id(call.id)
    started = await assessments.start_assessment(
        services(), environment_id, request, call.principal
    )
    shown = await assessments.show_assessment(services(), started.id)
    answer = AssessmentJobResponse.model_validate(shown)
    headers = {LOCATION: f"/api/assessments/{started.id}", RETRY_AFTER: str(_SECONDS)}
    return build_json_response(answer, status=202, headers=headers)


@endpoint(role=Role.READER)
async def show_assessment_by_id(call: ApiRequest[NoQuery, NoBody]) -> AssessmentJobResponse:
    """Return the progress of a background assessment, and its result when complete."""
    found = await assessments.show_assessment(services(), call.id.lower())
    return AssessmentJobResponse.model_validate(found)


@endpoint(role=Role.READER)
async def show_assessment(call: ApiRequest[AssessmentQuery, NoBody]) -> AssessmentResponse:
    """Assess one environment and wait for the result.

    In a large environment, some facts stay unknown. An assessment in the background reads them.
    """
    query = call.query
    found = await assess_environment(
        services(),
        normalize_environment_id(call.id),
        policy=query.policy or "",
        key=(query.vault, query.key) if query.vault and query.key else None,
        callers_since=query.callers_searched_since,
    )
    return AssessmentResponse.model_validate(found)
