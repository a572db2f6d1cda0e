"""What a pack of evidence says: its JSON files, one object a line where a file ends in `.jsonl`."""

from datetime import datetime

from functions.deletion_models import DeletionDetail
from functions.http_responses import Answer
from functions.plan_models import PlanItemAnswer
from functions.remediation_models import (
    ChangeAnswer,
    EnvironmentJobAnswer,
    FlowJobAnswer,
    RemediationAnswer,
    UnreadableAnswer,
)
from functions.run_archive_models import RunArchiveAnswer
from shared.domain.callers.caller_records import CallerState
from shared.domain.jobs.change_records import ChangeKind
from shared.domain.network.blocked_call import Symptom
from shared.domain.network.firewall_fix_record import RepairState
from shared.domain.plans.plan_item import Left


class ApprovedPlanEvidence(Answer):
    """One approval; the plan stands in the pack under its version."""

    version: str
    by: str
    at: datetime
    left_out: tuple[str, ...]
    archive: str


class ExternalTargetEvidence(Answer):
    """A host of others that flows call, and what its owner has to let in."""

    host: str
    prefixes: tuple[str, ...]
    flows: int


class EnvironmentEvidence(EnvironmentJobAnswer):
    """The work in one environment: its approvals and what was found about its network."""

    approved_plans: tuple[ApprovedPlanEvidence, ...]
    external_targets: tuple[ExternalTargetEvidence, ...]


class RefusedCallEvidence(Answer):
    """A call of a copy that did not get through."""

    environment_id: str
    host: str
    display_name: str
    copy_id: str
    action: str
    run_id: str
    at: datetime
    symptom: Symptom
    explanation: str
    settled: datetime | None


class OpeningEvidence(Answer):
    """What the app put into one list of one resource."""

    resource_id: str
    part: str
    entries: tuple[str, ...]


class RepairEvidence(Answer):
    """A change of a firewall, for the environments of this remediation and perhaps others."""

    gap: str
    kind: str
    firewall: str
    opening: OpeningEvidence
    state: RepairState
    environment_ids: tuple[str, ...]
    by: str
    at: datetime


class RemediationEvidence(Answer):
    """`remediation.json`: what was asked for, each environment, and the network."""

    remediation: RemediationAnswer
    environment_jobs: tuple[EnvironmentEvidence, ...]
    repairs: tuple[RepairEvidence, ...]
    refused_calls: tuple[RefusedCallEvidence, ...]


class PlanItemEvidence(PlanItemAnswer):
    """A line of `plan.jsonl`: what became of one item of the plan."""

    environment_job_id: str
    #: Number of the approval that decided on it; 0: none did.
    decided: int
    left: Left | None


class CallerPlace(Answer):
    """Where a caller stands."""

    kind: str
    label: str
    manual: str


class CallerEvidence(Answer):
    """A known caller, and how far its change is."""

    caller: CallerPlace
    state: CallerState


class RecordedChangeEvidence(Answer):
    """One change, with hashes of both sides."""

    at: datetime | None
    kind: ChangeKind
    place: str
    state: str
    before: str
    after: str
    old: str
    new: str


class FlowJobEvidence(FlowJobAnswer):
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


class FlowEvidenceLine(Answer):
    """A line of `flows.jsonl`."""

    job: FlowJobEvidence
    #: When the copy was proven for the last time; null: not as far as the history goes back.
    proof: ChangeAnswer | None
    callers: tuple[CallerEvidence, ...]
    #: Those of them that do not name the copy.
    stragglers: tuple[CallerEvidence, ...]
    changes: tuple[RecordedChangeEvidence, ...]
    deletion: DeletionDetail | None
    run_archive: RunArchiveAnswer | None


class UnreadableRows(Answer):
    """`unreadable.json`: rows that this version of the app could not read."""

    items: tuple[UnreadableAnswer, ...]
