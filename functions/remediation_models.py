"""API models: remediations and their jobs."""

from datetime import datetime
from typing import Annotated, Self

from pydantic import AfterValidator, AliasPath, Field, field_validator

from functions.environment_models import FlowId
from functions.http_requests import Id, RequestModel, Text
from functions.http_responses import ApiResponse
from functions.original_models import (
    CallersOfOriginalResponse,
    DeletionResponse,
    RunArchiveResponse,
    SupportWindowResponse,
)
from functions.paging import PagedQuery, PageResponse
from shared.domain.flow_owner import OwnerStatus
from shared.domain.ids import normalize_environment_id
from shared.domain.jobs.environment_states import EnvironmentJobState
from shared.domain.jobs.flow_job import JobCommand, MigrationMethod, RollbackStage
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.jobs.remediation_states import RemediationState
from shared.domain.plans.plan_item import NotMigratedReason
from shared.domain.plans.remediation import RemediationMode, StartSource

type EnvironmentId = Annotated[Id, AfterValidator(normalize_environment_id)]


def remove_duplicates[T](items: tuple[T, ...]) -> tuple[T, ...]:
    """Return the items without repetitions, in their order."""
    return tuple(dict.fromkeys(items))


type Once[T] = Annotated[tuple[T, ...], Field(max_length=1000), AfterValidator(remove_duplicates)]
type Some[T] = Annotated[
    tuple[T, ...], Field(min_length=1, max_length=1000), AfterValidator(remove_duplicates)
]


# --- requests ------------------------------------------------------------------------------------


class StartRemediationRequest(RequestModel):
    """Starts a remediation."""

    mode: RemediationMode
    environment_ids: Some[EnvironmentId]
    #: Workflow ids, flow names or display names; by default all flows on Microsoft's key.
    flow_ids: Once[FlowId] = ()
    #: Compare Dataverse with the flow service's list of all flows.
    compare_all_flows: bool = False
    started_by: Text | None = None


class RemediationQuery(PagedQuery):
    """Which remediations to list."""

    environment: EnvironmentId | None = None
    mode: RemediationMode | None = None
    start_source: StartSource | None = None
    state: RemediationState | None = None


class RemediationDetailQuery(RequestModel):
    """Which flows to return, and whether to include their history."""

    #: Include the history of every job.
    include_history: bool = False
    #: Only flows of these owners: part of a name, id or status, such as `disabled`.
    owner: Text | None = None


class FlowSelection(RequestModel):
    """Selects flows of a remediation by workflow id, flow name or display name. Default: all."""

    flow_ids: Annotated[Once[FlowId], Field(json_schema_extra={"minItems": 1})] = ()

    @field_validator("flow_ids")
    @classmethod
    def _reject_empty_flow_ids(cls, flow_ids: tuple[str, ...]) -> tuple[str, ...]:
        if not flow_ids:
            raise ValueError("Name at least one flow, or omit the member to select all flows.")
        return flow_ids


class RetryRequest(FlowSelection):
    """Selects which blocked and failed jobs to retry. Default: all."""

    #: Only jobs with this reason code, such as `firewall_denies`.
    reason_code: Text | None = None
    #: Only jobs in this environment.
    environment: EnvironmentId | None = None


class CancelRequest(RequestModel):
    """Cancels a remediation, and says who does so."""

    #: Accept that polling originals that are turned on again process their backlog again.
    accept_replay: bool = False


class RollbackRequest(FlowSelection):
    """Rolls back some or all flows of a remediation."""

    #: Accept that polling originals that are turned on again process their backlog again.
    accept_replay: bool = False


# --- answers -------------------------------------------------------------------------------------


class HistoryEntryResponse(ApiResponse):
    """A state in the history of a job, since when, and why."""

    changed_at: datetime
    state: str
    message: str
    #: Requests to the platform in this step; also 0 if an earlier version did not count them.
    requests: int


class JobResponse(ApiResponse):
    """The members that environment jobs and flow jobs have in common."""

    history: tuple[HistoryEntryResponse, ...]

    def without_history(self) -> Self:
        return self.model_copy(update={"history": ()})


class FlowOwnerResponse(ApiResponse):
    """The owner that a flow had when it was last read."""

    #: Dataverse id of the user or team; of a flow without a Dataverse row, the Entra object id.
    id: str
    #: Empty: none, or unknown.
    entra_id: str
    #: Empty if unknown.
    name: str
    status: OwnerStatus


class FlowJobResponse(JobResponse):
    """A flow job: the migration of one original."""

    id: str
    environment_id: str
    original_id: str = Field(validation_alias=AliasPath("original", "id"))
    flow_name: str = Field(validation_alias=AliasPath("original", "flow_name"))
    display_name: str
    #: Null if unknown.
    owner: FlowOwnerResponse | None = Field(validation_alias=AliasPath("original", "owner"))
    category: str = Field(validation_alias=AliasPath("original", "category"))
    migration_method: MigrationMethod
    state: FlowJobState
    #: The step that the job has reached, whatever its state.
    step: FlowJobState
    message: str
    fix: str
    reason_code: str
    next_check_at: datetime | None
    requested_command: JobCommand | None
    copy_id: str = Field(validation_alias=AliasPath("copy", "id"))
    #: Name in the archive of the original's definition before the copy was made.
    archive_name: str
    children: tuple[str, ...]
    parents: tuple[str, ...]
    original_was_on: bool | None = Field(validation_alias=AliasPath("original", "was_on"))
    observation_started_at: datetime | None = Field(
        validation_alias=AliasPath("observation", "started_at")
    )
    rollback_stage: RollbackStage | None
    notes: tuple[str, ...]


class FirewallIssueResponse(ApiResponse):
    """A firewall that does not allow the new outbound addresses of flows."""

    name: str
    kind: str
    firewall_name: str
    missing_prefixes: tuple[str, ...]
    fix: str
    #: The change that the app makes automatically; empty if none.
    fix_by_app: str
    #: Ids of the first originals whose cutover is blocked; `flow_count` is the number of all.
    workflow_ids: tuple[str, ...]
    flow_count: int


class EnvironmentJobResponse(JobResponse):
    """An environment job: what a remediation does in one environment."""

    id: str
    environment_id: str
    environment_name: str
    mode: RemediationMode
    policy_id: str
    state: EnvironmentJobState
    message: str
    fix: str
    reason_code: str
    next_check_at: datetime | None
    planned_at: datetime | None
    approval_expires_at: datetime | None
    approved_by: str
    #: The last approved version; empty if none.
    approved_version: str
    #: Number of flows that await approval.
    awaiting_approval_count: int
    planned_action_counts: dict[str, int] | None
    findings: tuple[str, ...]
    firewall_issues: tuple[FirewallIssueResponse, ...]


class ProgressResponse(ApiResponse):
    """The state of a remediation, and how many flows are migrated, in progress and so on."""

    state: RemediationState
    environment_states: dict[str, int]
    flow_states: dict[str, int]
    action_required_count: int
    #: Flows that were on and whose original and copy are now both off.
    both_off_count: int
    #: Number of flows that are not migrated so far, by reason.
    not_migrated: dict[NotMigratedReason, int]
    #: When the app continues; null if an action is required.
    next_check_at: datetime | None
    #: When the first plan that awaits approval expires.
    approval_expires_at: datetime | None


class UnreadableRowResponse(ApiResponse):
    """A stored row that this version of the app cannot read."""

    #: Table, partition and key.
    row: tuple[str, str, str]
    message: str
    fix: str


class RemediationResponse(ApiResponse):
    """A remediation as it was requested."""

    id: str
    mode: RemediationMode
    start_source: StartSource
    idempotency_key: str
    created_at: datetime
    environment_ids: tuple[str, ...]
    flow_ids: tuple[str, ...]
    compare_all_flows: bool
    #: Empty if an event or a timer started it, or if the requester gave no name.
    started_by: str


class RemediationSummaryResponse(ApiResponse):
    """One remediation in a list, with its progress."""

    remediation: RemediationResponse
    progress: ProgressResponse


class RemediationListResponse(PageResponse[RemediationSummaryResponse]):
    """A page of remediations, and every row of a remediation that cannot be read."""

    unreadable_rows: tuple[UnreadableRowResponse, ...]


class NeedsChangesResponse(ApiResponse):
    """A flow whose maker must change it before the app can migrate it."""

    environment_id: str
    workflow_id: str
    flow_name: str
    display_name: str
    #: Null if unknown.
    owner: FlowOwnerResponse | None
    message: str
    fix: str


class RemediationDetailResponse(RemediationSummaryResponse):
    """A remediation with its jobs. The job of a flow that a later remediation continues is in that
    remediation.
    """

    environment_jobs: tuple[EnvironmentJobResponse, ...]
    flow_jobs: tuple[FlowJobResponse, ...]
    #: Flows without a job that their makers must change first.
    needs_changes: tuple[NeedsChangesResponse, ...]
    run_archives: tuple[RunArchiveResponse, ...]
    support_windows: tuple[SupportWindowResponse, ...]
    deletions: tuple[DeletionResponse, ...]
    #: Originals that were called after their known callers were updated, in environments with
    #: `observe_callers`.
    observed_callers: tuple[CallersOfOriginalResponse, ...]
    unreadable_rows: tuple[UnreadableRowResponse, ...]

    def without_history(self) -> Self:
        environment_jobs = tuple(job.without_history() for job in self.environment_jobs)
        jobs = tuple(job.without_history() for job in self.flow_jobs)
        return self.model_copy(update={"environment_jobs": environment_jobs, "flow_jobs": jobs})


class ActionResponse(ApiResponse):
    """The number of jobs that an action affects."""

    #: Number of jobs that start; for `approve`, of plans that are approved.
    flow_count: int


class ApprovalResponse(ActionResponse):
    """What an approval or another action affects."""

    #: Names of the affected environments or flows.
    flow_names: tuple[str, ...]
    #: True if the kill switch is on, so that nothing is written until it is off.
    kill_switch_on: bool


class FlowActionResponse(ApprovalResponse):
    """What an action on many jobs affects, and the rows that it could not read."""

    #: Rows that this version of the app cannot read and did not change.
    unreadable_rows: tuple[UnreadableRowResponse, ...]


class RetryResponse(FlowActionResponse):
    """How many jobs are retried, or why none is."""

    #: Why nothing could be retried; empty if something was.
    message: str
    #: What to do about that; empty if something was retried.
    fix: str


class BacklogReplayResponse(ApiResponse):
    """A polling original that will process its backlog from the time it was turned off."""

    workflow_id: str
    display_name: str
    off_since: datetime


class RollbackResponse(FlowActionResponse):
    """How many flows a rollback or cancel rolls back, and what else it affects."""

    #: Polling originals that process their backlog again.
    replays: tuple[BacklogReplayResponse, ...]
    #: Names of the environments whose plans are cancelled: they start no more flows.
    cancelled_plans: tuple[str, ...]
