"""HTTP: the assessment of an environment, before or after a key is applied. Reads only."""

from datetime import datetime
from typing import Annotated

from pydantic import AwareDatetime, BeforeValidator, model_validator

from functions.endpoints import Call, endpoint
from functions.http_answers import Answer
from functions.http_requests import NoBody, Request, Text
from shared.bootstrap import services
from shared.domain.assessment.assessment import Phase, Topic
from shared.domain.finding import Level
from shared.domain.identifiers import environment_identifier
from shared.domain.principal import Role
from shared.use_cases.assess import assess


def _written(text: str) -> str:
    """Take no number for a time: nobody means seconds since 1970."""
    if "-" not in text:
        raise ValueError("a time with its zone, as RFC 3339 writes it")
    return text


class AssessmentQuery(Request):
    """What an assessment may be asked for."""

    #: Name or Azure resource id of the policy that is to be applied.
    policy: Text | None = None
    #: A key before any policy names it: its vault, by name or Azure resource id, and its name.
    vault: Text | None = None
    key: Text | None = None
    #: `callers_searched` of an earlier answer: its search for callers is used again.
    callers_since: Annotated[AwareDatetime, BeforeValidator(_written)] | None = None

    @model_validator(mode="after")
    def _both_or_neither(self) -> "AssessmentQuery":
        if (self.vault is None) != (self.key is None):
            raise ValueError("Name the vault and the key, or neither.")
        return self


class CallerAnswer(Answer):
    """A place that calls a flow."""

    kind: str
    label: str
    manual: str
    is_broken: bool


class FlowAnswer(Answer):
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
    callers: tuple[CallerAnswer, ...]
    callers_gap: str
    chains: tuple[tuple[str, ...], ...]
    co_owners: tuple[str, ...]
    co_owners_gap: str
    run_only_users: str


class FindingAnswer(Answer):
    """What one check found."""

    level: Level
    code: str
    text: str
    instruction: str
    subject: str


class SectionAnswer(Answer):
    """Findings about one topic."""

    topic: Topic
    findings: tuple[FindingAnswer, ...]


class EffortAnswer(Answer):
    """What a remediation is expected to take."""

    copies: int
    callers: int
    manual_callers: int
    calls: int
    minutes: int
    quiet_days: int
    share_of_daily_pool: float
    gap: str


class AssessmentAnswer(Answer):
    """All that is to be known of one environment."""

    environment_id: str
    display_name: str
    at: datetime
    phase: Phase
    flow_count: int | None
    flows: tuple[FlowAnswer, ...]
    sections: tuple[SectionAnswer, ...]
    effort: EffortAnswer
    callers_searched: datetime | None


@endpoint(
    role=Role.READER,
    query=AssessmentQuery,
    answer=AssessmentAnswer,
)
async def show_assessment(call: Call[AssessmentQuery, NoBody]) -> AssessmentAnswer:
    """Assess one environment now; nothing is written to it."""
    query = call.query
    found = await assess(
        services(),
        environment_identifier(call.id),
        policy=query.policy or "",
        key=(query.vault, query.key) if query.vault and query.key else None,
        callers_since=query.callers_since,
    )
    return AssessmentAnswer.model_validate(found)
