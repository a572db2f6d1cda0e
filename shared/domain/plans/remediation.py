"""A remediation: one run over one or more environments; and its environment jobs."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from shared.domain.identifiers import is_identifier
from shared.domain.ids import NAMESPACE
from shared.domain.jobs.durable_job import DurableJob
from shared.domain.jobs.environment_states import (
    ENVIRONMENT_STATES,
    EnvironmentJobState,
    EnvironmentStateProperties,
)
from shared.domain.jobs.state_machine import NextActor
from shared.domain.plans.assessment_request import AssessmentProgress, AssessmentRequest


class RemediationMode(StrEnum):
    """What was asked for. What an environment allows may be less."""

    ASSESS = "assess"  #: find and report
    DRY_RUN = "dry_run"  #: plan, and show every change
    PREPARE = "prepare"  #: before a key is applied: change flows that then need no copy
    APPLY = "apply"  #: plan, wait for approval if it is required, and migrate

    @property
    def writes(self) -> bool:
        """Say whether anything is written, where the environment allows it."""
        return self in {RemediationMode.PREPARE, RemediationMode.APPLY}


class StartSource(StrEnum):
    """Who started a remediation."""

    KEY_EVENT = "key_event"  #: an event of a key
    POLICY_EVENT = "policy_event"  #: a policy was applied or changed
    DAILY_CHECK = "daily_check"  #: the daily check
    API_REQUEST = "api_request"  #: an API request


@dataclass(frozen=True, slots=True, kw_only=True)
class Remediation:
    """What was asked for, by whom and why."""

    mode: RemediationMode
    origin: StartSource
    #: The same cause starts the same remediation: an event's id, a date, an order's id.
    cause: str
    created: datetime
    environment_ids: tuple[str, ...]
    #: Workflow ids or flow names; empty: all that stay on Microsoft's key.
    flow_ids: tuple[str, ...] = ()
    #: Compare every flow with the flow service's list of all flows, at a small budget of its own.
    reconcile: bool = False
    #: Assess the environments, and plan nothing.
    assessment: AssessmentRequest | None = None
    #: Who ordered it, by name and by object id in Entra; empty: nobody, or it is not known who.
    started_by: str = ""
    started_by_id: str = ""

    def __post_init__(self) -> None:
        """Refuse environments that no row can be kept of, also when one is read that has them."""
        if wrong := [one for one in self.environment_ids if not is_identifier(one)]:
            raise ValueError(f"no environment has the id {wrong[0]!r}")

    @property
    def id(self) -> str:
        """Return the id of the one remediation that this cause starts."""
        return str(uuid.uuid5(NAMESPACE, f"remediation/{self.origin}/{self.cause}"))


class PlanKept(StrEnum):
    """What is left of a plan."""

    WHOLE = "whole"  #: a row for each flow
    BEING_REMOVED = "being_removed"  #: some of these rows
    SUMMARY = "summary"  #: what the row of its environment job says


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalHost:
    """A host that nothing which the app reads stands before: its owner has to be asked."""

    host: str
    #: Prefixes that the owner has to let in.
    prefixes: tuple[str, ...]
    #: Originals that call it: the first of them, and how many there are in all.
    workflow_ids: tuple[str, ...]
    flows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FirewallIssueSummary:
    """A firewall that does not yet admit the new outbound addresses."""

    #: What an administrator waives it by.
    name: str
    kind: str
    firewall: str
    missing: tuple[str, ...]
    instruction: str
    #: What the app does to it before the first proof that needs it; empty: nothing.
    repair: str = ""
    #: Originals whose cut-over it blocks: the first of them, and how many there are in all.
    workflow_ids: tuple[str, ...]
    flows: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovedPlan:
    """One approval of the plan of an environment."""

    version: str
    by: str
    at: datetime
    #: Flows that it left out.
    excluded_from_approval: tuple[str, ...]
    #: Where the plan stands as it was shown.
    archive: str


@dataclass(frozen=True, kw_only=True)
class EnvironmentJob(DurableJob[EnvironmentJobState]):
    """The row of one environment in one remediation."""

    states = ENVIRONMENT_STATES
    blocked_state = EnvironmentJobState.BLOCKED
    failed_state = EnvironmentJobState.FAILED

    id: str
    remediation_id: str
    environment_name: str = ""
    #: What is done here: what was asked for, or less where the environment's mode says so.
    mode: RemediationMode
    flow_ids: tuple[str, ...] = ()
    reconcile: bool = False
    assessment: AssessmentRequest | None = None
    policy_id: str = ""

    state: EnvironmentJobState = EnvironmentJobState.WAITING_FOR_PLATFORM_MIGRATION
    resume_state: EnvironmentJobState | None = None

    #: How far an assessment has read; None: it has read nothing yet.
    assessed: AssessmentProgress | None = None
    #: Name of the assessment in the archive; empty: there is none yet.
    answer: str = ""
    #: Since when it has waited for the migration of its environment.
    platform_migration_seen_at: datetime | None = None
    planned_at: datetime | None = None
    expires: datetime | None = None
    approved_by: str = ""
    #: How often a plan of this environment was approved, and which version the last time.
    approval_count: int = 0
    approved_version: str = ""
    #: Each of them; empty in rows from before this was kept.
    approved_plans: tuple[ApprovedPlan, ...] = ()
    #: Ids of trigger URLs that callers held when it was planned, and of which nobody knew whose.
    unmatched_trigger_urls: tuple[str, ...] = ()
    #: Flows that the last approval left out.
    excluded_from_approval: tuple[str, ...] = ()
    #: Flows of the plan that wait for an approval.
    awaiting: int = 0
    has_started_flow_jobs: bool = False
    #: Id of a flow job that goes on: until it ends nobody needs to look whether all have.
    watched_job_id: str = ""
    #: Flows of which the operator is co-owner to read their definitions, and was made one ever.
    active_grants: tuple[str, ...] = ()
    past_grants: tuple[str, ...] = ()
    #: Those of them whose return nobody has seen yet, and when the last of them was returned.
    returned: tuple[str, ...] = ()
    returned_at: datetime | None = None
    network: tuple[FirewallIssueSummary, ...] = ()
    external_hosts: tuple[ExternalHost, ...] = ()
    #: What the administrator should know: cycles, missing children, differences between sources.
    findings: tuple[str, ...] = ()
    counts: dict[str, int] | None = None
    #: Flows of the plan without a job that stay on Microsoft's key, by why (`NotMigratedReason`).
    left: dict[str, int] | None = None
    plan_kept: PlanKept = PlanKept.WHOLE

    @property
    def ended_at(self) -> datetime | None:
        """Return when it ended; None: it has not, or a person may let it go on."""
        is_over = self.state_properties.next_actor is NextActor.NONE
        return self.history[-1].at if is_over and self.history else None

    @property
    def state_properties(self) -> EnvironmentStateProperties:
        """Return what is true in its state."""
        return ENVIRONMENT_STATES[self.state]

    @property
    def has_grants(self) -> bool:
        """Say whether the operator is co-owner of a flow for it, or may yet become one."""
        return bool(self.active_grants or (self.past_grants and self.in_flight_until))

    @property
    def has_loans_to_check(self) -> bool:
        """Say whether it has loans, or returned some and has not seen yet that they are gone."""
        return self.has_grants or bool(self.returned)

    @property
    def has_stopped_planning(self) -> bool:
        """Say whether it reads no definition unless somebody approves, orders or retries."""
        return (
            self.state is EnvironmentJobState.RUNNING_FLOW_JOBS
            or self.state_properties.next_actor is not NextActor.APP
        )

    @property
    def awaits_approval(self) -> bool:
        """Say whether there is something to approve, be it the rest of a plan under way."""
        if self.state is EnvironmentJobState.RUNNING_FLOW_JOBS:
            return self.has_started_flow_jobs and self.awaiting > 0
        return self.state is EnvironmentJobState.AWAITING_APPROVAL

    @property
    def can_start_more_flows(self) -> bool:
        """Say whether flow jobs may still be made of its plan."""
        if self.state is EnvironmentJobState.RUNNING_FLOW_JOBS:
            return not self.has_started_flow_jobs or self.awaits_approval
        return self.state_properties.next_actor is not NextActor.NONE


def environment_job_id(remediation_id: str, environment_id: str) -> str:
    """Return the id of the one job on this environment in this remediation."""
    return str(uuid.uuid5(NAMESPACE, f"environment/{remediation_id}/{environment_id}".lower()))
