"""A flow job: the work on one original. The row is the truth; a message only says "look at it"."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from shared.domain.conversions.conversion import ConversionKind
from shared.domain.definitions.trigger_kinds import TriggerCategory
from shared.domain.flow import FlowState
from shared.domain.jobs.durable_job import DurableJob
from shared.domain.jobs.flow_states import (
    FLOW_STATES,
    ExpectedFlowState,
    FlowJobState,
    FlowStateProperties,
)
from shared.domain.jobs.unconfirmed_writes import FlowStateWrite, UnconfirmedWrite


class MigrationMethod(StrEnum):
    """How an original gives way to its copy."""

    CALLED = "called"  #: both on until nobody calls the original
    SWAP = "swap"  #: never both on: it starts by itself
    OFF = "off"  #: the original is off, and so is the copy
    ADD_TO_SOLUTION = "add_to_solution"  #: no copy: it moves to the key by itself from a solution
    EDIT = "edit"  #: no copy: its definition is changed to what moves by itself

    @property
    def has_copy(self) -> bool:
        """Say whether a copy takes the original's place."""
        return self not in {MigrationMethod.ADD_TO_SOLUTION, MigrationMethod.EDIT}


class JobCommand(StrEnum):
    """What an administrator asks of a running job."""

    CANCEL = "cancel"
    ROLL_BACK = "roll_back"


class RollbackStage(StrEnum):
    """How far a rollback is."""

    ORIGINAL_ON = "original_on"
    CALLERS_BACK = "callers_back"
    COPY_QUIET = "copy_quiet"
    COPY_OFF = "copy_off"


@dataclass(frozen=True, slots=True, kw_only=True)
class CutoverFailure:
    """Why one flow could not take the other's place: told once the other is on again."""

    reason: str
    #: Empty, as the code: what stood in the way passes by itself.
    instruction: str = ""
    code: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowJob(DurableJob[FlowJobState]):
    """The row of one original under one policy."""

    states = FLOW_STATES
    waiting_state = FlowJobState.WAITING
    blocked_state = FlowJobState.BLOCKED
    failed_state = FlowJobState.FAILED

    id: str
    #: Azure resource id of the policy the environment had when the job was planned.
    policy_id: str
    remediation_id: str
    environment_job_id: str

    #: The original: its Dataverse id, its name in the flow service, its title.
    original_id: str
    flow_name: str
    display_name: str
    #: A `TriggerCategory`, and the name of the trigger in the definition.
    category: str
    trigger_name: str
    has_trigger_url: bool
    #: False: it is in no solution, and only the flow service may change it.
    in_solution: bool
    pattern: MigrationMethod
    #: Digest of the definition that was planned and, later, copied.
    original_digest: str
    #: Hosts the flow's HTTP actions call; an expression counts as `*`.
    http_hosts: tuple[str, ...] = ()
    #: Jobs of the child flows it runs, and of the flows that run it or call its URL; those of
    #: another environment as `environment/job`.
    children: tuple[str, ...] = ()
    parents: tuple[str, ...] = ()
    #: Jobs that wait for the end of this one, and that it does not know as its children: it calls
    #: their flows by URL.
    waiters: tuple[str, ...] = ()

    state: FlowJobState = FlowJobState.PLANNED
    resume: FlowJobState | None = None
    requested: JobCommand | None = None

    copy_id: str
    copy_flow_name: str = ""
    copy_digest: str = ""
    #: The rollback has left it, off.
    copy_is_left: bool = False
    archive: str = ""
    #: The copy's owner when it was made, named as the original's is: `systemuserid` or Entra id.
    copy_owner: str = ""
    #: Whom the copy was shared with, as texts name them: to see who was taken from the original.
    shared_with: tuple[str, ...] = ()
    original_was_on: bool | None = None
    original_url_id: str = ""
    copy_url_id: str = ""
    #: Host of the copy's trigger URL: what callers have to reach.
    copy_host: str = ""
    #: SHA-256 of the original URL's signature, `none` if it has none; empty: not read yet.
    signature_hash: str = ""
    #: Flows the operator was made co-owner of and has to leave; `environment/flow` elsewhere.
    borrowed: tuple[str, ...] = ()
    #: Every flow that it was ever made co-owner of, named likewise; of none it was one before.
    lent: tuple[str, ...] = ()
    #: Those of them whose return nobody has seen yet, and when the last of them was returned.
    returned: tuple[str, ...] = ()
    returned_at: datetime | None = None
    #: Callers (jobs of parents, workflow ids) without a run from before the cut-over that goes on.
    drained: tuple[str, ...] = ()
    #: When every known caller had the new URL.
    cut_over_at: datetime | None = None
    quiet_for: timedelta | None = None
    #: How each of the two flows was last turned on or off by this job; None: not by this job.
    original_sent: FlowStateWrite | None = None
    copy_sent: FlowStateWrite | None = None
    #: What else was sent in the present step, and is not seen yet.
    unseen: UnconfirmedWrite | None = None
    #: For a swap: how long neither flow was on.
    gap: timedelta | None = None
    #: Since when neither of the two may be on; None: one of them is, or none has to be.
    neither_since: datetime | None = None
    #: Set: the way back has begun.
    failure: CutoverFailure | None = None
    rollback_stage: RollbackStage | None = None
    #: Whoever ordered the rollback accepts that a polling original replays its backlog.
    may_replay: bool = False
    #: For a pattern without a copy: what is converted.
    edits: tuple[ConversionKind, ...] = ()
    #: When the platform was asked to put it, with its batch, into a solution.
    asked_at: datetime | None = None
    notes: tuple[str, ...] = ()

    @property
    def facts(self) -> FlowStateProperties:
        """Return what is true where the work got to."""
        return FLOW_STATES[self.reached]

    @property
    def is_paused(self) -> bool:
        """Say whether it waits, is blocked or failed: it goes on where it was."""
        return FLOW_STATES[self.state].is_pause

    @property
    def is_done(self) -> bool:
        """Say whether it has come to the end that it was made for."""
        return self.facts.is_goal

    @property
    def is_undone(self) -> bool:
        """Say whether it was cancelled or rolled back."""
        return self.facts.is_undone

    @property
    def has_loans(self) -> bool:
        """Say whether the operator is co-owner of a flow for it, or may yet become one."""
        return bool(self.borrowed or (self.lent and self.settles_at))

    @property
    def has_loans_to_check(self) -> bool:
        """Say whether it has loans, or returned some and has not seen yet that they are gone."""
        return self.has_loans or bool(self.returned)

    @property
    def names(self) -> frozenset[str]:
        """Return what an administrator may name the original by, in small letters."""
        return frozenset({self.original_id.lower(), self.flow_name.lower()})

    def title_of(self, workflow_id: str) -> str:
        """Return what texts call one of its two flows."""
        is_copy = workflow_id == self.copy_id
        return f"the copy of {self.display_name}" if is_copy else self.display_name

    @property
    def parent_ids(self) -> tuple[str, ...]:
        """Return the bare ids of the parents, wherever they are."""
        return tuple(parent.rpartition("/")[2] for parent in self.parents)

    @property
    def is_live(self) -> bool:
        """Say whether it is being copied, or was: it is neither cancelled nor on its way back."""
        return self.facts.is_live

    @property
    def can_be_planned_anew(self) -> bool:
        """Say whether it does not stand in the way of another job for the same flow."""
        return self.is_finished and self.facts.leaves_nothing

    @property
    def is_proven(self) -> bool:
        """Say whether the copy has been proven and still stands."""
        return self.facts.is_proven

    @property
    def is_rolling_back(self) -> bool:
        """Say whether it is on its way back, or stopped on it."""
        return self.reached is FlowJobState.ROLLING_BACK

    @property
    def is_on_way_back(self) -> bool:
        """Say whether neither flow may be on, and what stood on before is to be on again."""
        return self.neither_since is not None and (self.failure is not None or self.is_rolling_back)

    @property
    def has_stopped_both(self) -> bool:
        """Say whether of a pair that was on this job has started neither since it stopped one."""
        sent = (self.original_sent, self.copy_sent)
        return (
            self.pattern is MigrationMethod.SWAP
            and bool(self.original_was_on)
            and self.original_sent is not None
            and all(one is None or one.state is FlowState.OFF for one in sent)
        )

    @property
    def has_original_back(self) -> bool:
        """Say whether the original works as before: it was never stopped, or is on again."""
        if self.is_rolling_back:
            return self.rollback_stage not in {None, RollbackStage.ORIGINAL_ON}
        if self.requested and self.lease_until:
            return False  # whoever has the row, or died with it, may just have stopped it
        return self.facts.original is ExpectedFlowState.AS_IT_WAS


def migration_method_for(category: TriggerCategory, *, is_on: bool) -> MigrationMethod:
    """Return how an original of this category gives way to its copy."""
    if not is_on:
        return MigrationMethod.OFF
    return MigrationMethod.SWAP if category.is_self_starting else MigrationMethod.CALLED
