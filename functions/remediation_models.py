"""What the API says about remediations, and what may be said to it."""

from datetime import datetime
from typing import Annotated, Self

from pydantic import AfterValidator, Field, field_validator

from functions.deletion_response import DeletionResponse
from functions.environment_models import FlowId
from functions.http_requests import Id, RequestModel, Text
from functions.http_responses import ApiResponse
from functions.paging import PagedQuery, PageResponse
from functions.run_archive_models import RunArchiveResponse, SupportWindowResponse
from shared.domain.identifiers import environment_identifier
from shared.domain.jobs.environment_states import EnvironmentJobState
from shared.domain.jobs.flow_job import JobCommand, MigrationMethod, RollbackStage
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.jobs.remediation_states import RemediationState
from shared.domain.plans.plan_item import NotMigratedReason
from shared.domain.plans.remediation import RemediationMode, StartSource

type EnvironmentId = Annotated[Id, AfterValidator(environment_identifier)]


def _once[T](items: tuple[T, ...]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(items))


type Once[T] = Annotated[tuple[T, ...], Field(max_length=1000), AfterValidator(_once)]
type Some[T] = Annotated[tuple[T, ...], Field(min_length=1, max_length=1000), AfterValidator(_once)]


# --- requests ------------------------------------------------------------------------------------


class StartRemediationRequest(RequestModel):
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
    origin: StartSource | None = None
    state: RemediationState | None = None


class RemediationDetailQuery(RequestModel):
    """What to add to an answer."""

    #: Add the history of every job.
    history: bool = False


class FlowSelection(RequestModel):
    """Flows that an order is about, by workflow id, flow name or title; left out: all."""

    flows: Annotated[Once[FlowId], Field(json_schema_extra={"minItems": 1})] = ()

    @field_validator("flows")
    @classmethod
    def _not_empty(cls, flows: tuple[str, ...]) -> tuple[str, ...]:
        if not flows:
            raise ValueError("name at least one flow, or leave it out: that means all of them")
        return flows


class RetryOrder(FlowSelection):
    """What to retry; left out: all that is blocked or failed."""

    #: Only what has this code, such as `network_gap`.
    code: Text | None = None
    #: Only what is in this environment.
    environment: EnvironmentId | None = None


class CancelRequest(RequestModel):
    """How to cancel."""

    #: Accepts that polling originals which are turned on again replay their backlog.
    replay: bool = False


class RollbackRequest(FlowSelection):
    """What to undo, and how."""

    #: Accepts that polling originals which are turned on again replay their backlog.
    replay: bool = False


# --- answers -------------------------------------------------------------------------------------


class HistoryEntryResponse(ApiResponse):
    """One line of a history."""

    at: datetime
    state: str
    text: str
    #: Calls of the platform that this step took; 0 as well where an earlier version did not count.
    calls: int


class JobResponse(ApiResponse):
    """What jobs of both kinds have."""

    history: tuple[HistoryEntryResponse, ...]

    def without_history(self) -> Self:
        """Return it shorter."""
        return self.model_copy(update={"history": ()})


class FlowJobResponse(JobResponse):
    """The work on one original."""

    id: str
    environment_id: str
    original_id: str
    flow_name: str
    display_name: str
    category: str
    pattern: MigrationMethod
    state: FlowJobState
    #: How far it got, whatever it waits for.
    reached: FlowJobState
    reason: str
    instruction: str
    code: str
    due: datetime | None
    requested: JobCommand | None
    copy_id: str
    #: Where its definition before the copy is archived.
    archive: str
    children: tuple[str, ...]
    parents: tuple[str, ...]
    original_was_on: bool | None
    cut_over_at: datetime | None
    rollback_stage: RollbackStage | None
    notes: tuple[str, ...]


class FirewallIssueResponse(ApiResponse):
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


class EnvironmentJobResponse(JobResponse):
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
    network: tuple[FirewallIssueResponse, ...]


class ProgressResponse(ApiResponse):
    """What a progress bar needs."""

    state: RemediationState
    environments: dict[str, int]
    flows: dict[str, int]
    stuck: int
    #: Flows that were on, of which neither original nor copy is.
    neither_on: int
    #: Flows that stay on Microsoft's key as far as it has come by now, by why.
    left: dict[NotMigratedReason, int]
    #: When the app continues; none: it does nothing by itself.
    next_due: datetime | None
    #: When the first plan expires that awaits approval.
    expires: datetime | None


class UnreadableRowResponse(ApiResponse):
    """A row that this version of the app cannot read."""

    #: Table, partition and key.
    row: tuple[str, str, str]
    reason: str
    instruction: str


class RemediationResponse(ApiResponse):
    """What was asked for, and why."""

    id: str
    mode: RemediationMode
    origin: StartSource
    cause: str
    created: datetime
    environment_ids: tuple[str, ...]
    flow_ids: tuple[str, ...]
    reconcile: bool
    #: Empty: an event, a timer, or nobody said who.
    ordered_by: str


class RemediationSummaryResponse(ApiResponse):
    """One remediation of a list; its progress counts environments only."""

    remediation: RemediationResponse
    progress: ProgressResponse


class RemediationListResponse(PageResponse[RemediationSummaryResponse]):
    """Remediations, and beside them what cannot be read."""

    unreadable: tuple[UnreadableRowResponse, ...]


class NeedsChangesAnswer(ApiResponse):
    """A flow that a person has to change before the app can migrate it."""

    environment_id: str
    workflow_id: str
    flow_name: str
    display_name: str
    reason: str
    instruction: str


class RemediationDetailResponse(RemediationSummaryResponse):
    """A remediation with its jobs.

    A flow that a later remediation has taken up is among the flows of that one.
    """

    environment_jobs: tuple[EnvironmentJobResponse, ...]
    jobs: tuple[FlowJobResponse, ...]
    #: Flows without a job that a person has to change first.
    needs_changes: tuple[NeedsChangesAnswer, ...]
    run_archives: tuple[RunArchiveResponse, ...]
    ticket_windows: tuple[SupportWindowResponse, ...]
    deletions: tuple[DeletionResponse, ...]
    unreadable: tuple[UnreadableRowResponse, ...]

    def without_history(self) -> Self:
        """Return it shorter."""
        environment_jobs = tuple(job.without_history() for job in self.environment_jobs)
        jobs = tuple(job.without_history() for job in self.jobs)
        return self.model_copy(update={"environment_jobs": environment_jobs, "jobs": jobs})


class ActionResponse(ApiResponse):
    """What an order set going: so many jobs."""

    jobs: int


class ApprovalAnswer(ActionResponse):
    """What an approval, or another order, set going."""

    #: What the jobs are called.
    titles: tuple[str, ...]
    #: Nothing of it moves until that is off.
    kill_switch_on: bool


class FlowActionResponse(ApprovalAnswer):
    """What an order over many rows set going, and what it could not read."""

    unreadable: tuple[UnreadableRowResponse, ...]


class RetryAnswer(FlowActionResponse):
    """What a retry set going."""

    #: Why there was nothing to retry, and what to do; empty: there was something.
    reason: str
    instruction: str


class BacklogReplayResponse(ApiResponse):
    """A polling original that will process what has been pending since it was stopped."""

    workflow_id: str
    display_name: str
    since: datetime


class RollbackResponse(FlowActionResponse):
    """What an order to undo set going."""

    replays: tuple[BacklogReplayResponse, ...]
