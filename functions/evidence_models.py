"""What a pack of evidence says: its JSON files, one object a line where a file ends in `.jsonl`."""

from datetime import datetime

from functions.deletion_models import DeletionDetailResponse
from functions.http_responses import ApiResponse
from functions.plan_models import PlanItemResponse
from functions.remediation_models import (
    EnvironmentJobResponse,
    FlowJobResponse,
    HistoryEntryResponse,
    RemediationResponse,
    UnreadableRowResponse,
)
from functions.run_archive_models import RunArchiveResponse
from shared.domain.callers.caller_records import CallerState
from shared.domain.jobs.change_records import ChangeKind
from shared.domain.network.blocked_call import BlockedCallSymptom
from shared.domain.network.firewall_fix_record import FirewallFixState
from shared.domain.plans.plan_item import NotMigratedReason


class ApprovedPlanEvidence(ApiResponse):
    """One approval; the plan stands in the pack under its version."""

    version: str
    by: str
    at: datetime
    left_out: tuple[str, ...]
    archive: str


class ExternalHostEvidence(ApiResponse):
    """A host of others that flows call, and what its owner has to let in."""

    host: str
    prefixes: tuple[str, ...]
    flows: int


class EnvironmentEvidence(EnvironmentJobResponse):
    """The work in one environment: its approvals and what was found about its network."""

    approved_plans: tuple[ApprovedPlanEvidence, ...]
    external_targets: tuple[ExternalHostEvidence, ...]


class BlockedCallEvidence(ApiResponse):
    """A call of a copy that did not get through."""

    environment_id: str
    host: str
    display_name: str
    copy_id: str
    action: str
    run_id: str
    at: datetime
    symptom: BlockedCallSymptom
    explanation: str
    settled: datetime | None


class AddedEntriesEvidence(ApiResponse):
    """What the app put into one list of one resource."""

    resource_id: str
    part: str
    entries: tuple[str, ...]


class FirewallFixEvidence(ApiResponse):
    """A change of a firewall, for the environments of this remediation and perhaps others."""

    gap: str
    kind: str
    firewall: str
    opening: AddedEntriesEvidence
    state: FirewallFixState
    environment_ids: tuple[str, ...]
    by: str
    at: datetime


class RemediationEvidence(ApiResponse):
    """`remediation.json`: what was asked for, each environment, and the network."""

    remediation: RemediationResponse
    environment_jobs: tuple[EnvironmentEvidence, ...]
    repairs: tuple[FirewallFixEvidence, ...]
    refused_calls: tuple[BlockedCallEvidence, ...]


class PlanItemEvidence(PlanItemResponse):
    """A line of `plan.jsonl`: what became of one item of the plan."""

    environment_job_id: str
    #: Number of the approval that decided on it; 0: none did.
    decided: int
    left: NotMigratedReason | None


class CallerLocation(ApiResponse):
    """Where a caller stands."""

    kind: str
    label: str
    manual: str


class CallerEvidence(ApiResponse):
    """A known caller, and how far its change is."""

    caller: CallerLocation
    state: CallerState


class ChangeRecordEvidence(ApiResponse):
    """One change, with hashes of both sides."""

    at: datetime | None
    kind: ChangeKind
    place: str
    state: str
    before: str
    after: str
    old: str
    new: str


class FlowJobEvidence(FlowJobResponse):
    """The work on one original, with what proves it."""

    policy_id: str
    original_digest: str
    copy_digest: str
    original_url_id: str
    copy_url_id: str
    copy_host: str
    #: Whom the copy was shared with, and flows that the operator was ever made co-owner of.
    shared_with: tuple[str, ...]
    lent: tuple[str, ...]


class FlowEvidenceLine(ApiResponse):
    """A line of `flows.jsonl`."""

    job: FlowJobEvidence
    #: When the copy was proven for the last time; null: not as far as the history goes back.
    proof: HistoryEntryResponse | None
    callers: tuple[CallerEvidence, ...]
    #: Those of them that do not name the copy.
    stragglers: tuple[CallerEvidence, ...]
    changes: tuple[ChangeRecordEvidence, ...]
    deletion: DeletionDetailResponse | None
    run_archive: RunArchiveResponse | None


class UnreadableRows(ApiResponse):
    """`unreadable.json`: rows that this version of the app could not read."""

    items: tuple[UnreadableRowResponse, ...]
