"""Define the assessment of one environment: what a key does to it, and what to do.

The app shows all of it to people, so it contains no secret.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from shared.domain.finding import Finding


class AssessmentPhase(StrEnum):
    """How far the platform has moved an environment's flows to the customer-managed key."""

    BEFORE_KEY = "before_key"  #: no policy is applied
    PLATFORM_MIGRATION = "platform_migration"  #: the platform is moving flows to the key
    AFTER_KEY = "after_key"  #: the platform has moved every flow that it moves
    UNKNOWN = "unknown"  #: linked, but the platform's lists could not be read


class RemediationStatus(StrEnum):
    """The status of a flow's remediation."""

    UNKNOWN = "unknown"  #: the rows were not read, or are unreadable
    NOT_STARTED = "not_started"  #: no job, or one that changes nothing any more
    IN_PROGRESS = "in_progress"
    ACTION_REQUIRED = "action_required"  #: a person must act on the job or the original
    RETIRED = "retired"  #: the original is off, and its copy works
    DELETION_SCHEDULED = "deletion_scheduled"  #: retired, with a scheduled deletion

    @property
    def is_retired(self) -> bool:
        """Return whether the original is off and its copy works."""
        return self in {RemediationStatus.RETIRED, RemediationStatus.DELETION_SCHEDULED}

    @property
    def needs_remediation(self) -> bool:
        """Return whether a new remediation has to migrate the flow.

        True if the status is unknown.
        """
        return self in {RemediationStatus.UNKNOWN, RemediationStatus.NOT_STARTED}


@dataclass(frozen=True, slots=True, kw_only=True)
class AssessedCaller:
    """A caller of an assessed flow."""

    kind: str
    label: str
    #: Why the app cannot change it; empty: the app can.
    manual_reason: str = ""
    #: It holds a URL on a host that no longer serves flows, so its calls fail with or without a
    #: key.
    is_broken: bool = False
    #: It holds the URL itself, so that each key change writes it again.
    holds_url: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AssessedFlow:
    """A flow that stays, or may stay, on Microsoft's key."""

    workflow_id: str
    flow_name: str
    display_name: str
    owner: str
    is_on: bool
    is_managed: bool
    in_solution: bool | None
    category: str
    has_trigger_url: bool
    #: None: unknown.
    stays_on_microsoft_key: bool | None
    #: Whether the platform's list of flows that stay has it; None: the list could not be read.
    is_on_microsoft_key_list: bool | None
    microsoft_key_reasons: tuple[str, ...]
    message: str
    #: Names of the flows from this flow's child down to a flow that has its own Microsoft-key
    #: reason: the first of `parent_chains`.
    blocked_by_flows: tuple[str, ...]
    #: Names of all parent flows that stay on Microsoft's key because of this flow.
    blocks_flows: tuple[str, ...]
    #: Recommendations, the preferred one first.
    recommendations: tuple[str, ...]
    callers: tuple[AssessedCaller, ...] = ()
    #: Why the list of callers may be incomplete; empty: it has every caller that the app can find.
    callers_unknown_reason: str = ""
    #: One call path, by flow name, to each flow below this one that has its own Microsoft-key
    #: reason. This flow can move only after all of them. The shortest path comes first.
    parent_chains: tuple[tuple[str, ...], ...] = ()
    #: The users and teams with which Dataverse shares the flow, each with its rights.
    co_owners: tuple[str, ...] = ()
    #: Why the list of co-owners may be incomplete; empty: it is complete.
    co_owners_unknown_reason: str = "Co-owners were not read."
    #: What is known about run-only users.
    run_only_users: str = ""
    remediation_status: RemediationStatus = RemediationStatus.UNKNOWN
    #: The remediation of its flow job; empty: it has none, or it is unknown.
    remediation_id: str = ""


class AssessmentTopic(StrEnum):
    """The topic of a section of the report. The members are in the order of the report."""

    ELIGIBILITY = "eligibility"
    KEY = "key"
    FLOWS = "flows"
    NETWORK = "network"
    CANVAS_APPS = "canvas_apps"
    SOLUTIONS = "solutions"
    CONNECTIONS = "connections"
    COPILOT = "copilot"
    HOSTED_MACHINES = "hosted_machines"
    ANALYTICS = "analytics"
    RUN_HISTORY = "run_history"
    PORTAL_WARNING = "portal_warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class AssessmentSection:
    """The findings about one topic of the report, at least one."""

    topic: AssessmentTopic
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EffortEstimate:
    """An estimate of the work of a remediation."""

    #: Flows to copy.
    copies: int
    #: Callers that the app changes, and callers that a person has to change.
    callers: int
    manual_callers: int
    #: Requests to the flow service, to Dataverse and to the callers' services.
    requests: int
    #: Minutes of work within the app's request budget, without waiting times.
    minutes: int
    #: Days without a call before an original is retired.
    no_call_days: int
    #: Fraction of the tenant's daily request limit; 1.0 is all of it.
    share_of_daily_pool: float
    #: Why the effort may be higher; empty: every flow that stays is counted, with all its callers.
    unknown_reason: str = ""
    #: Of all these callers, those that hold a URL itself (`AssessedCaller.holds_url`).
    url_holder_count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentAssessment:
    """The assessment of one environment, before or after a key is applied."""

    environment_id: str
    display_name: str
    assessed_at: datetime
    phase: AssessmentPhase
    #: Cloud flows found; None: they could not be read.
    flow_count: int | None
    #: Retired originals with a working copy included.
    flows: tuple[AssessedFlow, ...]
    sections: tuple[AssessmentSection, ...]
    estimate: EffortEstimate
    #: When callers were last searched; None: no flow stays, so no search was needed.
    callers_searched_at: datetime | None = None
