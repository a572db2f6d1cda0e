"""What a plan says about one flow: what is done with it, why, every write, every known caller."""

from dataclasses import dataclass
from enum import StrEnum

from shared.domain.conversions.conversion import ConversionKind
from shared.domain.jobs.flow_job import MigrationMethod


class PlannedAction(StrEnum):
    """What the plan does with one flow."""

    COPY = "copy"
    COPY_WITH_DEPENDENT_FLOWS = "copy_with_dependent_flows"
    CUT_OVER = "cut_over"
    COPY_OFF = "copy_off"
    ADD_TO_SOLUTION = "add_to_solution"  #: then it moves to the key by itself
    CONVERT_TRIGGER = "convert_trigger"  #: Power Apps (V1) to V2
    EDIT_ACTION = "edit_action"  #: List flows as Admin (V1) to V2
    CONTINUE_EXISTING_JOB = "continue_existing_job"  #: an open job does it already
    NO_CHANGE = "no_change"  #: nothing is done; the reason says why
    NEEDS_CHANGES = "needs_changes"  #: a person has to do something first

    @property
    def is_work(self) -> bool:
        """Say whether a flow job is made of it."""
        return self.is_copy or self in {
            PlannedAction.ADD_TO_SOLUTION,
            PlannedAction.CONVERT_TRIGGER,
            PlannedAction.EDIT_ACTION,
        }

    @property
    def is_copy(self) -> bool:
        """Say whether a copy takes the original's place."""
        return self in {
            PlannedAction.COPY,
            PlannedAction.COPY_WITH_DEPENDENT_FLOWS,
            PlannedAction.CUT_OVER,
            PlannedAction.COPY_OFF,
        }

    @property
    def has_job(self) -> bool:
        """Say whether a flow job stands for it, a new one or one that goes on."""
        return self.is_work or self is PlannedAction.CONTINUE_EXISTING_JOB


class NotMigratedReason(StrEnum):
    """Why a flow is still on Microsoft's key."""

    BLOCKED = "blocked"  #: its job continues only after a person has fixed the reason
    FAILED = "failed"  #: its job met an internal error
    NEEDS_CHANGES = "needs_changes"  #: it has no job: its maker has to change it first
    AWAITING_APPROVAL = "awaiting_approval"  #: its plan awaits approval
    IN_PROGRESS = "in_progress"  #: the app works on it, or is about to
    CANCELLED = "cancelled"  #: its job was cancelled
    ROLLED_BACK = "rolled_back"  #: its job was rolled back
    OVER_FLOW_LIMIT = "over_flow_limit"  #: over the flow limit of the remediation
    EXCLUDED = "excluded"  #: an administrator excluded it
    EXCLUDED_FROM_APPROVAL = "excluded_from_approval"  #: the approver excluded it from the approval
    APPROVAL_EXPIRED = "approval_expired"  #: its plan expired
    KEY_NOT_APPLIED = "key_not_applied"  #: nothing can be done before the key is applied
    DRY_RUN = "dry_run"  #: the remediation was an assessment or a dry run


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedCaller:
    """A known caller of an original."""

    kind: str
    label: str
    manual: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanItem:
    """What the plan says about one flow that stays on Microsoft's key."""

    environment_job_id: str
    workflow_id: str
    flow_name: str
    display_name: str
    category: str
    trigger_name: str
    has_trigger_url: bool
    #: False: it is in no solution, and only the flow service may change it.
    in_solution: bool
    pattern: MigrationMethod
    is_on: bool
    reasons: tuple[str, ...]
    action: PlannedAction
    explanation: str
    instruction: str = ""
    #: Set where nothing is done with it and it stays on Microsoft's key for that.
    left: NotMigratedReason | None = None
    digest: str = ""
    children: tuple[str, ...] = ()
    parents: tuple[str, ...] = ()
    http_hosts: tuple[str, ...] = ()
    #: Connections that get a connection reference for the copy, where none leads to them yet.
    embedded_connections: tuple[str, ...] = ()
    #: 32-hex id of the trigger URL; empty: not known before the operator reads it.
    trigger_url_id: str = ""
    #: A run of it was looked for that shows that id: not again.
    was_run_checked: bool = False
    callers: tuple[PlannedCaller, ...] = ()
    #: How many the copy is shared with beside its owner; None: not known before it is made.
    co_owner_count: int | None = None
    #: Titles of the solutions that the copy joins.
    solutions: tuple[str, ...] = ()
    #: What is left to a person once the copy is there.
    notes: tuple[str, ...] = ()
    #: What no interface tells before its original is stopped: an approval accepts it.
    unknowns: tuple[str, ...] = ()
    #: What could be converted to a second version, whatever is done with it.
    edits: tuple[ConversionKind, ...] = ()
    #: The converted definition as a unified difference, or why there is none. No signatures.
    proposal: str = ""
    #: Every write that will be made, in order, in words.
    writes: tuple[str, ...] = ()
    #: All that a plan reads of it was read.
    is_complete: bool = False
    #: Number of the approval that decided on it; 0: none did.
    decided: int = 0
    #: What has changed since that approval: it waits for another. Empty: nothing.
    changed: tuple[str, ...] = ()

    @property
    def needs_changes(self) -> bool:
        """Say whether a person has to change the flow before the app can migrate it."""
        return self.action is PlannedAction.NEEDS_CHANGES

    @property
    def is_retired(self) -> bool:
        """Return whether a fresh plan leaves the flow since its copy has taken its place."""
        return self.action is PlannedAction.NO_CHANGE and self.left is None

    @property
    def awaits_approval(self) -> bool:
        """Say whether the next approval of its plan decides on it."""
        return self.action.has_job and (self.decided == 0 or bool(self.changed))
