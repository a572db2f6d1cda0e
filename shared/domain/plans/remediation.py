"""Define the remediation of one or more environments, and its environment jobs."""

import uuid
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from shared.domain.ids import NAMESPACE, is_identifier
from shared.domain.jobs.durable_job import DurableJob
from shared.domain.jobs.environment_states import (
    ENVIRONMENT_STATES,
    EnvironmentJobState,
    EnvironmentStateProperties,
)
from shared.domain.jobs.grants import GrantingJob
from shared.domain.jobs.state_machine import NextActor
from shared.domain.plans.assessment_request import AssessmentProgress, AssessmentRequest


class RemediationMode(StrEnum):
    """How much a remediation does. An environment's approval policy may allow less."""

    ASSESS = "assess"  #: find and report
    DRY_RUN = "dry_run"  #: plan, and show every change
    PREPARE = "prepare"  #: before a key is applied: change flows that then need no copy
    APPLY = "apply"  #: plan, wait for approval if it is required, and migrate

    @property
    def writes(self) -> bool:
        """Return whether a remediation in this mode writes where the environment allows it."""
        return self in {RemediationMode.PREPARE, RemediationMode.APPLY}


class StartSource(StrEnum):
    """What started a remediation."""

    KEY_EVENT = "key_event"  #: an event of a key
    POLICY_EVENT = "policy_event"  #: a policy was applied or changed
    DAILY_CHECK = "daily_check"  #: the daily check
    API_REQUEST = "api_request"  #: an API request


@dataclass(frozen=True, slots=True, kw_only=True)
class Remediation:
    """A request to migrate flows, with its environments, mode and sender."""

    mode: RemediationMode
    start_source: StartSource
    #: The same value starts the same remediation: an event's id, a date, or an idempotency key.
    idempotency_key: str
    created_at: datetime
    environment_ids: tuple[str, ...]
    #: Workflow ids or flow names; empty: all that stay on Microsoft's key.
    flow_ids: tuple[str, ...] = ()
    #: Compare every flow with the flow service's list of all flows, within a separate small budget.
    compare_all_flows: bool = False
    #: Only assess the environments.
    assessment: AssessmentRequest | None = None
    #: Name and Entra object id of the person who started it; empty: nobody, or unknown.
    started_by: str = ""
    started_by_id: str = ""

    def __post_init__(self) -> None:
        """Raise `ValueError` if an environment id cannot be a part of a row key."""
        if wrong := [one for one in self.environment_ids if not is_identifier(one)]:
            raise ValueError(f"no environment has the id {wrong[0]!r}")

    @property
    def id(self) -> str:
        """Return the remediation's id, which is derived from its start source and idempotency
        key.
        """
        return self.derive_id_for(self.start_source, self.idempotency_key)

    @staticmethod
    def derive_id_for(start_source: StartSource, idempotency_key: str) -> str:
        """Return the id of the remediation with this start source and idempotency key."""
        return str(uuid.uuid5(NAMESPACE, f"remediation/{start_source}/{idempotency_key}"))


class PlanKept(StrEnum):
    """How much of a plan is still stored."""

    WHOLE = "whole"  #: a row for each flow
    BEING_REMOVED = "being_removed"  #: some of these rows are removed
    SUMMARY = "summary"  #: only the row of its environment job


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalHost:
    """A host that flows call and that no known firewall protects. Its owner has to be asked."""

    host: str
    #: Prefixes that the owner has to allow.
    prefixes: tuple[str, ...]
    #: The first originals that call it, and how many there are in all.
    workflow_ids: tuple[str, ...]
    flow_count: int


#: Number of prefixes of a firewall issue that a plan stores at most.
MOST_PREFIXES_OF_ISSUE = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class FirewallIssueSummary:
    """What a plan stores of a firewall issue."""

    #: The name by which an administrator ignores it.
    name: str
    kind: str
    firewall_name: str
    missing_prefixes: tuple[str, ...]
    fix: str
    #: What the app changes in it before it verifies the first copy that needs it; empty: nothing.
    fix_by_app: str = ""
    #: The first originals whose cutover it blocks, and how many there are in all.
    workflow_ids: tuple[str, ...]
    flow_count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovedPlan:
    """The record of an approval of an environment's plan."""

    version: str
    approved_by: str
    approved_at: datetime
    #: Flows that it excluded.
    excluded_from_approval: tuple[str, ...]
    #: Where the approved plan is archived.
    archive_name: str


@dataclass(frozen=True, kw_only=True)
class EnvironmentJob(DurableJob[EnvironmentJobState], GrantingJob):
    """The row of the work in one environment for one remediation."""

    states = ENVIRONMENT_STATES
    blocked_state = EnvironmentJobState.BLOCKED
    failed_state = EnvironmentJobState.FAILED

    id: str
    remediation_id: str
    environment_name: str = ""
    #: What is done here: the requested mode, or less if the environment's approval policy allows
    #: less.
    mode: RemediationMode
    flow_ids: tuple[str, ...] = ()
    compare_all_flows: bool = False
    assessment: AssessmentRequest | None = None
    policy_id: str = ""

    state: EnvironmentJobState = EnvironmentJobState.WAITING_FOR_PLATFORM_MIGRATION
    resume_state: EnvironmentJobState | None = None

    #: How far an assessment has read; None: it has read nothing yet.
    assessed: AssessmentProgress | None = None
    #: Name of the assessment in the archive; empty: there is none yet.
    answer: str = ""
    #: Since when it has waited for the platform migration of its environment.
    platform_migration_seen_at: datetime | None = None
    planned_at: datetime | None = None
    approval_expires_at: datetime | None = None
    approved_by: str = ""
    #: Number of approvals of this environment's plan, and the plan version of the last one.
    approval_count: int = 0
    approved_version: str = ""
    #: Each approval; empty in rows from before this field existed.
    approved_plans: tuple[ApprovedPlan, ...] = ()
    #: Trigger URL ids that callers held when it was planned and that matched no flow.
    unmatched_trigger_urls: tuple[str, ...] = ()
    #: Flows that the last approval excluded.
    excluded_from_approval: tuple[str, ...] = ()
    #: What approvers chose for flows instead of the environment's setting, as `UrlSecretUse` by
    #: workflow id.
    url_secret_choices: dict[str, str] = field(default_factory=dict)
    #: Number of flows of the plan that await an approval.
    awaiting_approval_count: int = 0
    has_started_flow_jobs: bool = False
    #: Id of an open flow job: until it ends, the others need not be checked.
    watched_job_id: str = ""
    firewall_issues: tuple[FirewallIssueSummary, ...] = ()
    external_hosts: tuple[ExternalHost, ...] = ()
    #: Texts for the administrator: call loops, missing children, differences between sources.
    findings: tuple[str, ...] = ()
    planned_action_counts: dict[str, int] | None = None
    #: Number of the plan's flows without a job that stay on Microsoft's key, by
    #: `NotMigratedReason`.
    not_migrated: dict[str, int] | None = None
    plan_kept: PlanKept = PlanKept.WHOLE

    @property
    def ended_at(self) -> datetime | None:
        """Return when the job ended, or None if the app or a person may continue it."""
        is_over = self.state_properties.is_over
        return self.history[-1].changed_at if is_over and self.history else None

    @property
    def has_expired(self) -> bool:
        """Return whether the job was cancelled because its plan expired."""
        until, ended = self.approval_expires_at, self.ended_at
        is_cancelled = self.state is EnvironmentJobState.CANCELLED
        return is_cancelled and until is not None and ended is not None and ended >= until

    @property
    def may_have_flow_jobs(self) -> bool:
        """Return whether the app has begun to create the flow jobs of the plan."""
        return any(one.state == EnvironmentJobState.RUNNING_FLOW_JOBS for one in self.history)

    @property
    def state_properties(self) -> EnvironmentStateProperties:
        return ENVIRONMENT_STATES[self.state]

    @property
    def has_stopped_planning(self) -> bool:
        """Return whether the job reads no more definitions unless a person acts."""
        return (
            self.state is EnvironmentJobState.RUNNING_FLOW_JOBS
            or self.state_properties.next_actor is not NextActor.APP
        )

    @property
    def awaits_approval(self) -> bool:
        """Return whether the plan, or the rest of it, awaits approval."""
        if self.state is EnvironmentJobState.RUNNING_FLOW_JOBS:
            return self.has_started_flow_jobs and self.awaiting_approval_count > 0
        return self.state is EnvironmentJobState.AWAITING_APPROVAL

    @property
    def can_start_more_flows(self) -> bool:
        """Return whether flow jobs may still be created from the plan."""
        if self.state is EnvironmentJobState.RUNNING_FLOW_JOBS:
            return not self.has_started_flow_jobs or self.awaits_approval
        return not self.state_properties.is_over


def build_environment_job_id(remediation_id: str, environment_id: str) -> str:
    """Return the id of a remediation's job in an environment."""
    return str(uuid.uuid5(NAMESPACE, f"environment/{remediation_id}/{environment_id}".lower()))
