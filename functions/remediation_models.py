"""What the API says about remediations, and what may be said to it."""

from datetime import datetime
from typing import Annotated, Self

from pydantic import AfterValidator, Field, field_validator

from functions.deletion_response import DeletionAnswer
from functions.environment_models import FlowId
from functions.http_requests import Id, Request, Text
from functions.http_responses import Answer
from functions.paging import Page, PagedQuery
from functions.run_archive_models import RunArchiveAnswer, TicketWindowAnswer
from shared.domain.identifiers import environment_identifier
from shared.domain.jobs.environment_states import EnvironmentJobState
from shared.domain.jobs.flow_job import Order, Pattern, RollbackStage
from shared.domain.jobs.flow_states import JobState
from shared.domain.jobs.remediation_states import RemediationState
from shared.domain.plans.plan_item import Left
from shared.domain.plans.remediation import Origin, RemediationMode

type EnvironmentId = Annotated[Id, AfterValidator(environment_identifier)]


def _once[T](items: tuple[T, ...]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(items))


type Once[T] = Annotated[tuple[T, ...], Field(max_length=1000), AfterValidator(_once)]
type Some[T] = Annotated[tuple[T, ...], Field(min_length=1, max_length=1000), AfterValidator(_once)]


# --- requests ------------------------------------------------------------------------------------


class RemediationOrder(Request):
    """Starts a remediation."""

    mode: RemediationMode
    environments: Some[EnvironmentId]
    #: Workflow ids, flow names or titles; left out: all that stay on Microsoft's key.
    flows: Once[FlowId] = ()
    #: Compare every flow with the flow service's list of all flows.
    reconcile: bool = False
    by: Text | None = None


class RemediationQuery(PagedQuery):
    """Which remediations to list, newest first."""

    environment: EnvironmentId | None = None
    mode: RemediationMode | None = None
    origin: Origin | None = None
    state: RemediationState | None = None


class DetailQuery(Request):
    """What to add to an answer."""

    #: Add the history of every job.
    history: bool = False


class FlowChoice(Request):
    """Flows that an order is about, by workflow id, flow name or title; left out: all."""

    flows: Annotated[Once[FlowId], Field(json_schema_extra={"minItems": 1})] = ()

    @field_validator("flows")
    @classmethod
    def _not_empty(cls, flows: tuple[str, ...]) -> tuple[str, ...]:
        if not flows:
            raise ValueError("name at least one flow, or leave it out: that means all of them")
        return flows


class RetryOrder(FlowChoice):
    """What to retry; left out: all that is blocked or failed."""

    #: Only what has this code, such as `network_gap`.
    code: Text | None = None
    #: Only what is in this environment.
    environment: EnvironmentId | None = None


class CancelOrder(Request):
    """How to cancel."""

    #: Accepts that polling originals which are turned on again replay their backlog.
    replay: bool = False


class RollBackOrder(FlowChoice):
    """What to undo, and how."""

    #: Accepts that polling originals which are turned on again replay their backlog.
    replay: bool = False


# --- answers -------------------------------------------------------------------------------------


class ChangeAnswer(Answer):
    """One line of a history."""

    at: datetime
    state: str
    text: str
    #: Calls of the platform that this step took; 0 as well where an earlier version did not count.
    calls: int


class JobAnswer(Answer):
    """What jobs of both kinds have."""

    history: tuple[ChangeAnswer, ...]

    def without_history(self) -> Self:
        """Return it shorter."""
        return self.model_copy(update={"history": ()})


class FlowJobAnswer(JobAnswer):
    """The work on one original."""

    id: str
    environment_id: str
    original_id: str
    flow_name: str
    display_name: str
    category: str
    pattern: Pattern
    state: JobState
    #: How far it got, whatever it waits for.
    reached: JobState
    reason: str
    instruction: str
    code: str
    due: datetime | None
    requested: Order | None
    copy_id: str
    #: Where its definition before the copy is archived.
    archive: str
    children: tuple[str, ...]
    parents: tuple[str, ...]
    original_was_on: bool | None
    cut_over_at: datetime | None
    rollback_stage: RollbackStage | None
    notes: tuple[str, ...]


class NetworkFindingAnswer(Answer):
    """A firewall that does not yet admit the new outbound addresses."""

    name: str
    kind: str
    firewall: str
    missing: tuple[str, ...]
    instruction: str
    #: What the app does to it by itself; empty: nothing.
    repair: str
    #: The first of the originals whose cut-over it blocks, and how many there are in all.
    workflow_ids: tuple[str, ...]
    flows: int


class EnvironmentJobAnswer(JobAnswer):
    """The work in one environment."""

    id: str
    environment_id: str
    environment_name: str
    mode: RemediationMode
    policy_id: str
    state: EnvironmentJobState
    reason: str
    instruction: str
    code: str
    due: datetime | None
    planned_at: datetime | None
    expires: datetime | None
    approved_by: str
    #: The version that was approved last; empty: none.
    approved_version: str
    #: Flows that wait for an approval.
    awaiting: int
    counts: dict[str, int] | None
    findings: tuple[str, ...]
    network: tuple[NetworkFindingAnswer, ...]


class ProgressAnswer(Answer):
    """What a progress bar needs."""

    state: RemediationState
    environments: dict[str, int]
    flows: dict[str, int]
    stuck: int
    #: Flows that were on, of which neither original nor copy is.
    neither_on: int
    #: Flows that stay on Microsoft's key as far as it has come by now, by why.
    left: dict[Left, int]
    #: When the app continues; none: it does nothing by itself.
    next_due: datetime | None
    #: When the first plan expires that awaits approval.
    expires: datetime | None


class UnreadableAnswer(Answer):
    """A row that this version of the app cannot read."""

    #: Table, partition and key.
    row: tuple[str, str, str]
    reason: str
    instruction: str


class RemediationAnswer(Answer):
    """What was asked for, and why."""

    id: str
    mode: RemediationMode
    origin: Origin
    cause: str
    created: datetime
    environment_ids: tuple[str, ...]
    flow_ids: tuple[str, ...]
    reconcile: bool
    #: Empty: an event, a timer, or nobody said who.
    ordered_by: str


class RemediationLine(Answer):
    """One remediation of a list; its progress counts environments only."""

    remediation: RemediationAnswer
    progress: ProgressAnswer


class RemediationList(Page[RemediationLine]):
    """Remediations, and beside them what cannot be read."""

    unreadable: tuple[UnreadableAnswer, ...]


class NeedsChangesAnswer(Answer):
    """A flow that a person has to change before the app can migrate it."""

    environment_id: str
    workflow_id: str
    flow_name: str
    display_name: str
    reason: str
    instruction: str


class RemediationDetail(RemediationLine):
    """A remediation with its jobs.

    A flow that a later remediation has taken up is among the flows of that one.
    """

    environment_jobs: tuple[EnvironmentJobAnswer, ...]
    jobs: tuple[FlowJobAnswer, ...]
    #: Flows without a job that a person has to change first.
    needs_changes: tuple[NeedsChangesAnswer, ...]
    run_archives: tuple[RunArchiveAnswer, ...]
    ticket_windows: tuple[TicketWindowAnswer, ...]
    deletions: tuple[DeletionAnswer, ...]
    unreadable: tuple[UnreadableAnswer, ...]

    def without_history(self) -> Self:
        """Return it shorter."""
        environment_jobs = tuple(job.without_history() for job in self.environment_jobs)
        jobs = tuple(job.without_history() for job in self.jobs)
        return self.model_copy(update={"environment_jobs": environment_jobs, "jobs": jobs})


class OrderAnswer(Answer):
    """What an order set going: so many jobs."""

    jobs: int


class ApprovalAnswer(OrderAnswer):
    """What an approval, or another order, set going."""

    #: What the jobs are called.
    titles: tuple[str, ...]
    #: Nothing of it moves until that is off.
    kill_switch_on: bool


class SteeredAnswer(ApprovalAnswer):
    """What an order over many rows set going, and what it could not read."""

    unreadable: tuple[UnreadableAnswer, ...]


class RetryAnswer(SteeredAnswer):
    """What a retry set going."""

    #: Why there was nothing to retry, and what to do; empty: there was something.
    reason: str
    instruction: str


class ReplayAnswer(Answer):
    """A polling original that will process what has been pending since it was stopped."""

    workflow_id: str
    display_name: str
    since: datetime


class UndoAnswer(SteeredAnswer):
    """What an order to undo set going."""

    replays: tuple[ReplayAnswer, ...]
