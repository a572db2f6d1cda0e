"""Define the flow job: the work on one original."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from shared.domain.conversions.conversion import ConversionKind
from shared.domain.definitions.trigger_kinds import TriggerCategory
from shared.domain.flow import FlowState
from shared.domain.jobs.durable_job import DurableJob
from shared.domain.jobs.flow_pair import Copy, Original
from shared.domain.jobs.flow_states import (
    FLOW_STATES,
    ExpectedFlowState,
    FlowJobState,
    FlowStateProperties,
)
from shared.domain.jobs.grants import GrantingJob
from shared.domain.jobs.unconfirmed_writes import UnconfirmedWrite


class MigrationMethod(StrEnum):
    """How an original is migrated."""

    UPDATE_CALLERS = "update_callers"  #: both are on until the original receives no calls
    CUT_OVER = "cut_over"  #: self-starting: never both on
    COPY_OFF = "copy_off"  #: the original is off, and so is the copy
    ADD_TO_SOLUTION = "add_to_solution"  #: no copy: the platform moves flows in a solution
    EDIT_DEFINITION = (
        "edit_definition"  #: no copy: its definition is edited so that the platform moves it
    )

    @property
    def has_copy(self) -> bool:
        """Return whether a copy takes the original's place."""
        return self not in {MigrationMethod.ADD_TO_SOLUTION, MigrationMethod.EDIT_DEFINITION}


class JobCommand(StrEnum):
    """A command that an administrator gave for a job in progress."""

    CANCEL = "cancel"
    ROLL_BACK = "roll_back"


class RollbackStage(StrEnum):
    """The stage that a rollback has reached."""

    TURN_ON_ORIGINAL = "turn_on_original"
    REVERT_CALLERS = "revert_callers"
    CHECK_COPY_FOR_CALLS = "check_copy_for_calls"
    TURN_OFF_COPY = "turn_off_copy"


@dataclass(frozen=True, slots=True, kw_only=True)
class CutoverFailure:
    """Why a cutover failed."""

    message: str
    #: Empty, as `reason_code`: the cause is transient.
    fix: str = ""
    reason_code: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """The time in which the original must receive no calls; in a rollback, the copy."""

    #: Callers (parent jobs, workflow ids) without a run in progress that started before the
    #: cutover.
    drained_callers: tuple[str, ...] = ()
    #: When every known caller had the copy's URL.
    started_at: datetime | None = None
    #: How long callers may keep the old URL.
    no_call_period: timedelta | None = None

    def extend_period(self, period: timedelta) -> timedelta:
        """Return a no-call period, or the job's own one if it is longer."""
        return max(period, self.no_call_period or timedelta(0))


@dataclass(frozen=True, kw_only=True)
class FlowJob(DurableJob[FlowJobState], GrantingJob):
    """The row of the work on one original under one policy."""

    states = FLOW_STATES
    waiting_state = FlowJobState.WAITING
    blocked_state = FlowJobState.BLOCKED
    failed_state = FlowJobState.FAILED

    id: str
    #: Azure resource id of the environment's policy when the job was planned.
    policy_id: str
    remediation_id: str
    environment_job_id: str

    #: The original's display name, by which texts name the job.
    display_name: str
    original: Original
    copy: Copy
    migration_method: MigrationMethod
    #: Jobs of its child flows, and of the flows that run it or call its URL; a job of another
    #: environment as `environment/job`.
    children: tuple[str, ...] = ()
    parents: tuple[str, ...] = ()
    #: Jobs that wait for this job to end and that are not its children: it calls their flows by
    #: URL.
    waiting_job_ids: tuple[str, ...] = ()

    state: FlowJobState = FlowJobState.PLANNED
    resume_state: FlowJobState | None = None
    requested_command: JobCommand | None = None

    archive_name: str = ""
    observation: Observation = Observation()
    #: Another write of the current step that was not read back yet.
    unconfirmed_write: UnconfirmedWrite | None = None
    #: After a cutover: how long both flows were off.
    both_off_duration: timedelta | None = None
    #: Since when both flows may be off; None: one of them is on, or none has to be.
    both_off_since: datetime | None = None
    #: Set once the app is turning the other flow on again.
    cutover_failure: CutoverFailure | None = None
    rollback_stage: RollbackStage | None = None
    #: The person who asked for the rollback accepts the backlog replay of a polling original.
    accepts_replay: bool = False
    #: For a method without a copy: what is converted.
    conversions: tuple[ConversionKind, ...] = ()
    #: When the app asked the platform to add it, with its batch, to a solution.
    solution_requested_at: datetime | None = None
    #: Address of the secret with its trigger URL, to which callers refer
    #: (`build_url_secret_address`). Empty: they hold the URL.
    url_secret: str = ""
    #: Keys of App Configuration refer to it too.
    has_url_secret_in_app_configuration: bool = False
    #: An approver chose this secret, so that the environment's setting does not apply.
    is_url_secret_chosen: bool = False
    notes: tuple[str, ...] = ()

    @property
    def state_properties(self) -> FlowStateProperties:
        """Return the properties of the step that the job has reached."""
        return FLOW_STATES[self.step]

    @property
    def is_interrupted(self) -> bool:
        """Return whether the job waits, is blocked or failed, and continues where it stopped."""
        return FLOW_STATES[self.state].resumes_later

    @property
    def has_succeeded(self) -> bool:
        """Return whether the job has reached its goal."""
        return self.state_properties.is_success

    @property
    def is_withdrawn(self) -> bool:
        """Return whether the job was cancelled or rolled back."""
        return self.state_properties.is_withdrawn

    def format_flow_title(self, workflow_id: str) -> str:
        """Return the name of the original or of the copy, for texts."""
        is_copy = workflow_id == self.copy.id
        return f"the copy of {self.display_name}" if is_copy else self.display_name

    @property
    def parent_ids(self) -> tuple[str, ...]:
        """Return the job ids of the flow's parents, without their environments."""
        return tuple(parent.rpartition("/")[2] for parent in self.parents)

    @property
    def is_live(self) -> bool:
        """Return whether the flow is being or was migrated: neither cancelled nor rolled back."""
        return self.state_properties.is_proceeding

    @property
    def allows_new_job(self) -> bool:
        """Return whether another job for the same flow may start."""
        return self.is_inactive and self.state_properties.allows_new_job

    @property
    def is_verified(self) -> bool:
        """Return whether the copy was verified and still exists."""
        return self.state_properties.is_verified

    @property
    def is_rolling_back(self) -> bool:
        """Return whether a rollback of the job has started and is not complete."""
        return self.step is FlowJobState.ROLLING_BACK

    @property
    def is_turning_back_on(self) -> bool:
        """Return whether the app must turn a flow on again, because both flows may be off."""
        return self.both_off_since is not None and (
            self.cutover_failure is not None or self.is_rolling_back
        )

    @property
    def has_turned_both_off(self) -> bool:
        """Return whether the job turned off the flow that was on, and has turned none on since."""
        sent = (self.original.last_write, self.copy.last_write)
        return (
            self.migration_method is MigrationMethod.CUT_OVER
            and bool(self.original.was_on)
            and self.original.last_write is not None
            and all(one is None or one.state is FlowState.OFF for one in sent)
        )

    @property
    def has_original_restored(self) -> bool:
        """Return whether the original is known to work as before: never turned off, or on again."""
        if self.is_rolling_back:
            return self.rollback_stage not in {None, RollbackStage.TURN_ON_ORIGINAL}
        if self.requested_command and self.leased_until:
            return False  # the invocation with the lease may have turned it off
        return self.state_properties.original is ExpectedFlowState.UNCHANGED


def choose_migration_method(category: TriggerCategory, *, is_on: bool) -> MigrationMethod:
    """Return the migration method for an original whose trigger has this category."""
    if not is_on:
        return MigrationMethod.COPY_OFF
    return MigrationMethod.CUT_OVER if category.is_self_starting else MigrationMethod.UPDATE_CALLERS
