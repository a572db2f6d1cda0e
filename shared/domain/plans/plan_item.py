"""Define the plan item: what a plan says about one flow."""

from dataclasses import dataclass
from enum import StrEnum

from shared.domain.callers.caller import UNKNOWN_READER_KINDS
from shared.domain.conversions.conversion import ConversionKind
from shared.domain.environment import UrlSecretUse
from shared.domain.flow_owner import FlowOwner
from shared.domain.jobs.flow_job import MigrationMethod

#: What a reference in App Configuration needs.
UNKNOWN_READERS = (
    "Its readers must resolve Key Vault references and have access to the vault, which the app "
    "cannot check."
)


class PlannedAction(StrEnum):
    """What a plan does with one flow."""

    COPY = "copy"
    COPY_WITH_DEPENDENT_FLOWS = "copy_with_dependent_flows"
    CUT_OVER = "cut_over"
    COPY_OFF = "copy_off"
    ADD_TO_SOLUTION = "add_to_solution"  #: so that the platform moves it
    CONVERT_TRIGGER = "convert_trigger"  #: Power Apps (V1) to V2
    EDIT_ACTION = "edit_action"  #: List flows as Admin (V1) to V2
    CONTINUE_EXISTING_JOB = "continue_existing_job"  #: another remediation migrates it
    NO_CHANGE = "no_change"  #: not included; the reason says why
    NEEDS_CHANGES = "needs_changes"  #: a person has to change the flow first

    @property
    def is_work(self) -> bool:
        """Return whether the app creates a flow job for this action."""
        return self.is_copy or self in {
            PlannedAction.ADD_TO_SOLUTION,
            PlannedAction.CONVERT_TRIGGER,
            PlannedAction.EDIT_ACTION,
        }

    @property
    def is_copy(self) -> bool:
        """Return whether this action creates a copy that takes the original's place."""
        return self in {
            PlannedAction.COPY,
            PlannedAction.COPY_WITH_DEPENDENT_FLOWS,
            PlannedAction.CUT_OVER,
            PlannedAction.COPY_OFF,
        }

    @property
    def has_job(self) -> bool:
        """Return whether a flow job migrates the flow: a new one, or one of another remediation."""
        return self.is_work or self is PlannedAction.CONTINUE_EXISTING_JOB


class NotMigratedReason(StrEnum):
    """Why a flow is still on Microsoft's key."""

    BLOCKED = "blocked"  #: its job continues only after a person has fixed the reason
    FAILED = "failed"  #: its job met an internal error
    NEEDS_CHANGES = "needs_changes"  #: it has no job: its maker has to change it first
    AWAITING_APPROVAL = "awaiting_approval"  #: its plan awaits approval
    IN_PROGRESS = "in_progress"  #: the app works on it, or is about to
    CANCELLED = "cancelled"  #: its job, or its plan before the approval, was cancelled
    ROLLED_BACK = "rolled_back"  #: its job was rolled back
    OVER_FLOW_LIMIT = "over_flow_limit"  #: over the flow limit of the remediation
    EXCLUDED = "excluded"  #: an administrator excluded it
    EXCLUDED_FROM_APPROVAL = "excluded_from_approval"  #: the approver excluded it from the approval
    APPROVAL_EXPIRED = "approval_expired"  #: its plan expired
    KEY_NOT_APPLIED = "key_not_applied"  #: nothing can be done before the key is applied
    DRY_RUN = "dry_run"  #: the remediation was an assessment or a dry run


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedCaller:
    """A known caller of an original, as a plan shows it."""

    kind: str
    label: str
    manual_reason: str = ""
    #: It is a flow that is copied too: its copy calls the copy, so it need not be changed.
    is_copied: bool = False
    #: Why it keeps the URL although its kind can refer to a URL secret; empty: it will refer to it.
    #: None: its kind cannot, or no URL secret is wanted.
    by_value_reason: str | None = None
    #: The same reason, whatever an approver chooses. None: its kind cannot.
    reference_obstacle: str | None = None
    #: What suggests that its readers resolve references, where the app does not know them.
    reader_evidence: str = ""

    @property
    def has_unknown_readers(self) -> bool:
        """Return whether unknown readers would have to resolve a reference to a secret."""
        return self.kind in UNKNOWN_READER_KINDS and self.reference_obstacle == ""

    @property
    def is_to_refer_to_secret(self) -> bool:
        """Return whether the app makes the caller refer to the flow's URL secret."""
        return self.by_value_reason == ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanItem:
    """What a plan says about one flow that stays on Microsoft's key."""

    environment_job_id: str
    workflow_id: str
    flow_name: str
    display_name: str
    category: str
    trigger_name: str
    has_trigger_url: bool
    #: False: it is in no solution, so that only the flow service can change it.
    in_solution: bool
    migration_method: MigrationMethod
    is_on: bool
    microsoft_key_reasons: tuple[str, ...]
    action: PlannedAction
    message: str
    fix: str = ""
    #: Why it stays, if it is not included for that reason.
    not_migrated_reason: NotMigratedReason | None = None
    digest: str = ""
    children: tuple[str, ...] = ()
    parents: tuple[str, ...] = ()
    http_hosts: tuple[str, ...] = ()
    #: It answers Event Grid's validation of its trigger URL.
    answers_event_grid: bool = False
    #: Connections that need a new connection reference for the copy.
    embedded_connections: tuple[str, ...] = ()
    #: 32-hex id of the trigger URL; empty: unknown until the service account reads it.
    trigger_url_id: str = ""
    #: The app has searched its runs for that id and does not search again.
    was_run_checked: bool = False
    callers: tuple[PlannedCaller, ...] = ()
    #: Address of the URL secret to which callers will refer; empty: none.
    url_secret: str = ""
    #: Address of the URL secret to which an approver can let callers refer; empty: no caller can.
    possible_url_secret: str = ""
    #: None: no caller can refer to a secret.
    url_secret_use: UrlSecretUse | None = None
    #: Number of principals that the copy is shared with besides its owner; None: unknown until it
    #: is created.
    co_owner_count: int | None = None
    #: Names of the solutions that the copy joins.
    solutions: tuple[str, ...] = ()
    #: What a person has to do after the copy is created.
    notes: tuple[str, ...] = ()
    #: Facts that the app cannot read before it turns the original off. The approver accepts them.
    unknowns: tuple[str, ...] = ()
    #: The conversions to V2 that are possible, whatever the action is.
    possible_conversions: tuple[ConversionKind, ...] = ()
    #: The conversion as a unified diff, or why there is none. Holds no signature.
    conversion_preview: str = ""
    #: Every write that will be made, in order, one text each.
    planned_changes: tuple[str, ...] = ()
    #: Everything that the plan needs about the flow was read.
    is_complete: bool = False
    #: Number of the approval that decided on it; 0: none.
    approval_number: int = 0
    #: Changes since that approval, which need another one. Empty: none.
    changed_since_approval: tuple[str, ...] = ()
    #: None: unknown.
    owner: FlowOwner | None = None

    @property
    def needs_changes(self) -> bool:
        """Return whether a person has to change the flow before the app can migrate it."""
        return self.action is PlannedAction.NEEDS_CHANGES

    @property
    def is_retired(self) -> bool:
        """Return whether the flow is not included because its copy has already replaced it."""
        return self.action is PlannedAction.NO_CHANGE and self.not_migrated_reason is None

    @property
    def can_choose_url_secret(self) -> bool:
        """Return whether an approver can choose whether callers refer to the flow's URL secret."""
        return self.awaits_approval and bool(self.possible_url_secret)

    @property
    def unknown_readers(self) -> str:
        """Return what readers of App Configuration must be able to do, and what suggests that they
        can.

        Returns "" if no key of App Configuration can refer to a URL secret.
        """
        found = [one.reader_evidence for one in self.callers if one.has_unknown_readers]
        return " ".join(dict.fromkeys((UNKNOWN_READERS, *found))).strip() if found else ""

    @property
    def awaits_approval(self) -> bool:
        """Return whether the next approval of the plan decides on this item."""
        return self.action.is_work and (
            self.approval_number == 0 or bool(self.changed_since_approval)
        )
