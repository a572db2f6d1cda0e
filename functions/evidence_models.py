"""Models of the JSON files in an evidence file. A `.jsonl` file has an object in each line."""

from datetime import datetime

from pydantic import AliasPath, Field

from functions.deletion_models import DeletionDetailResponse
from functions.http_responses import ApiResponse
from functions.original_models import CallersOfOriginalResponse, RunArchiveResponse
from functions.plan_models import PlanItemResponse
from functions.remediation_models import (
    EnvironmentJobResponse,
    FlowJobResponse,
    HistoryEntryResponse,
    RemediationResponse,
    UnreadableRowResponse,
)
from shared.domain.callers.caller_records import CallerState
from shared.domain.jobs.change_records import ChangeKind
from shared.domain.network.blocked_call import BlockedCallSymptom
from shared.domain.network.firewall_fix_record import FirewallFixState
from shared.domain.plans.plan_item import NotMigratedReason


class ApprovedPlanEvidence(ApiResponse):
    """One approval of a plan version. The evidence file contains that version of the plan."""

    version: str
    approved_by: str
    approved_at: datetime
    excluded_from_approval: tuple[str, ...]
    archive_name: str


class ExternalHostEvidence(ApiResponse):
    """A host that flows call and whose firewall the app cannot read, with addresses to allow."""

    host: str
    prefixes: tuple[str, ...]
    flow_count: int


class EnvironmentEvidence(EnvironmentJobResponse):
    """An environment job with its approvals and network findings."""

    approved_plans: tuple[ApprovedPlanEvidence, ...]
    external_hosts: tuple[ExternalHostEvidence, ...]


class BlockedCallEvidence(ApiResponse):
    """A call by a copy that a firewall denied."""

    environment_id: str
    host: str
    display_name: str
    copy_id: str
    action: str
    run_id: str
    failed_at: datetime
    symptom: BlockedCallSymptom
    message: str
    resolved_at: datetime | None


class AddedEntriesEvidence(ApiResponse):
    """The entries that the app added to one list of a resource."""

    resource_id: str
    list_name: str
    entries: tuple[str, ...]


class FirewallFixEvidence(ApiResponse):
    """A firewall fix for environments of this remediation, and perhaps for others."""

    issue: str
    kind: str
    firewall: str
    added_entries: AddedEntriesEvidence
    state: FirewallFixState
    environment_ids: tuple[str, ...]
    changed_by: str
    changed_at: datetime


class RemediationEvidence(ApiResponse):
    """`remediation.json`: the remediation, its environments, and the network."""

    remediation: RemediationResponse
    environment_jobs: tuple[EnvironmentEvidence, ...]
    firewall_fixes: tuple[FirewallFixEvidence, ...]
    blocked_calls: tuple[BlockedCallEvidence, ...]


class PlanItemEvidence(PlanItemResponse):
    """A line of `plan.jsonl`: one plan item and its result."""

    environment_job_id: str
    #: Number of the approval that decided on the item; 0 if none did.
    approval_number: int
    not_migrated_reason: NotMigratedReason | None


class CallerLocation(ApiResponse):
    """A caller's kind and label, and why only a person can change it."""

    kind: str
    label: str
    manual_reason: str


class CallerEvidence(ApiResponse):
    """A known caller of an original, and whether it was updated."""

    caller: CallerLocation
    state: CallerState


class ChangeRecordEvidence(ApiResponse):
    """One change that the app made, with hashes of the values before and after."""

    changed_at: datetime | None
    kind: ChangeKind
    location: str
    state: str
    hash_before: str
    hash_after: str
    id_before: str
    id_after: str


class FlowJobEvidence(FlowJobResponse):
    """A flow job, with the ids of original and copy and the digests of their definitions."""

    policy_id: str
    original_digest: str = Field(validation_alias=AliasPath("original", "digest"))
    copy_digest: str = Field(validation_alias=AliasPath("copy", "digest"))
    original_url_id: str = Field(validation_alias=AliasPath("original", "url_id"))
    copy_url_id: str = Field(validation_alias=AliasPath("copy", "url_id"))
    copy_host: str = Field(validation_alias=AliasPath("copy", "host"))
    #: Principals that the copy was shared with, and flows of which the service account was
    #: co-owner.
    copy_shared_with: tuple[str, ...] = Field(validation_alias=AliasPath("copy", "shared_with"))
    past_grants: tuple[str, ...] = Field(validation_alias=AliasPath("grants", "past"))


class FlowEvidenceLine(ApiResponse):
    """A line of `flows.jsonl`: a flow job, with its callers, changes, deletion and run archive."""

    job: FlowJobEvidence
    #: The last verification of the copy; null if it is older than the history.
    verification: HistoryEntryResponse | None
    callers: tuple[CallerEvidence, ...]
    #: Callers that do not yet name the copy.
    pending_callers: tuple[CallerEvidence, ...]
    changes: tuple[ChangeRecordEvidence, ...]
    deletion: DeletionDetailResponse | None
    run_archive: RunArchiveResponse | None
    #: Null: nobody called the original after its known callers were updated, or the app did not
    #: read the calls.
    observed_callers: CallersOfOriginalResponse | None


class UnreadableRows(ApiResponse):
    """`unreadable.json`: rows that this version of the app could not read."""

    items: tuple[UnreadableRowResponse, ...]
