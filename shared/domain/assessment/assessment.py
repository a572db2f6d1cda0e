"""The assessment of one environment: what will happen under the key, and what to do about it.

Everything in it is for people, and without secrets.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from shared.domain.finding import Finding


class AssessmentPhase(StrEnum):
    """Where the environment is on its way under the key."""

    BEFORE = "before"  #: no policy is applied
    MIGRATING = "migrating"  #: flows are being moved
    AFTER = "after"  #: what moves by itself has moved
    UNKNOWN = "unknown"  #: linked, but the platform's lists gave no answer


@dataclass(frozen=True, slots=True, kw_only=True)
class AssessedCaller:
    """A place that calls a flow which stays on Microsoft's key."""

    kind: str
    label: str
    #: Why the app cannot change it; empty: it can.
    manual: str = ""
    #: It holds a URL on a host that flows have left: its calls fail, key or no key.
    is_broken: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AssessedFlow:
    """One flow that stays on Microsoft's key, or may."""

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
    stays_on_mmk: bool | None
    #: Whether the platform lists it among those that stay; None: it gave no list.
    is_listed: bool | None
    reasons: tuple[str, ...]
    explanation: str
    #: Titles from this flow's child down to a flow that stays for a reason of its own: the first
    #: of `chains`.
    held_back_by: tuple[str, ...]
    #: Titles of all flows that it holds back in turn, however far up.
    holds_back: tuple[str, ...]
    #: What to do, the recommended way first.
    advice: tuple[str, ...]
    callers: tuple[AssessedCaller, ...] = ()
    #: Why callers may be missing from the list; empty: it is complete as far as the app can look.
    callers_gap: str = ""
    #: One way down, by title, to each flow below that stays for a reason of its own: all of them
    #: have to be settled before this one can move. The nearest comes first.
    chains: tuple[tuple[str, ...], ...] = ()
    #: Whom Dataverse shares it with: by name, with what they may do.
    co_owners: tuple[str, ...] = ()
    #: Why co-owners may be missing; empty: these are all.
    co_owners_gap: str = "Co-owners were not asked for."
    #: What is known of people who may only run it.
    run_only_users: str = ""


class AssessmentTopic(StrEnum):
    """What a section of the assessment is about; the order is the report's."""

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
    FINISH_LINE = "finish_line"


@dataclass(frozen=True, slots=True, kw_only=True)
class AssessmentSection:
    """Findings about one topic; never empty."""

    topic: AssessmentTopic
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EffortEstimate:
    """What a remediation is expected to take."""

    #: Flows to be copied.
    copies: int
    #: Places that the app will change, and those that a person has to.
    callers: int
    manual_callers: int
    #: Calls to the flow service and to Dataverse.
    calls: int
    #: Minutes of work at the app's budget of calls, waiting not counted.
    minutes: int
    #: Days that an original has to be quiet before it is retired.
    quiet_days: int
    #: Part of the tenant's daily request pool, 1.0 being all of it.
    share_of_daily_pool: float
    #: Why it may take more; empty: all that is known to stay is counted with all its callers.
    gap: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentAssessment:
    """All that is to be known of one environment before or after a key is applied."""

    environment_id: str
    display_name: str
    at: datetime
    phase: AssessmentPhase
    #: Cloud flows found; None: they could not be read.
    flow_count: int | None
    flows: tuple[AssessedFlow, ...]
    sections: tuple[AssessmentSection, ...]
    effort: EffortEstimate
    #: When the places that may call flows were searched; None: no flow stays, none was searched.
    callers_searched: datetime | None = None
