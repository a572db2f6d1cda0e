"""Divide a remediation's flows into parts, such as *migrated*, so that their counts add up.

Each flow belongs to exactly one part.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from functions.dashboard.flow_steps import describe_flow_state
from shared.domain.jobs.flow_job import FlowJob, MigrationMethod
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.plans.plan_item import PlanItem, PlannedAction
from shared.domain.plans.remediation import EnvironmentJob
from shared.reason import Reason
from shared.use_cases.show_flow import FlowView


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowPart:
    """Flows of a remediation in the same situation, with the texts for them."""

    key: str
    #: Who acts next, as a CSS class of `LOOKS`, and the icon if it is not the look's own.
    look: str
    shape: str = ""
    #: The words after a number, for one flow and for several.
    one: str
    many: str
    #: What a person or the app does next; empty: nothing.
    next_step: str = ""
    #: States of the closed jobs that belong to it.
    closed_state: str = ""
    #: Its flows are listed with the cause that blocks them.
    has_cause: bool = False

    @property
    def is_withdrawn(self) -> bool:
        """Return whether the flows were cancelled or rolled back, so that a new remediation can
        migrate them.
        """
        return self.key in {"cancelled", "rolled_back"}

    def format_verb_phrase(self, number: int) -> str:
        return self.one if number == 1 else self.many


_START_AGAIN = "To migrate such a flow, start a new remediation for it."
_PARTS = (
    FlowPart(
        key="both_off",
        look="person",
        one="does not run: both off",
        many="do not run: both off",
        has_cause=True,
    ),
    FlowPart(
        key="blocked",
        look="person",
        one="blocked: fix, then retry",
        many="blocked: fix, then retry",
        has_cause=True,
    ),
    FlowPart(
        key="still_called",
        look="person",
        one="still called at its old URL",
        many="still called at their old URLs",
        has_cause=True,
    ),
    FlowPart(
        key="needs_changes",
        look="wait",
        one="needs changes first",
        many="need changes first",
        has_cause=True,
    ),
    FlowPart(
        key="awaiting",
        look="wait",
        shape="plan",
        one="awaits approval",
        many="await approval",
        next_step="An approver reads the plan and approves it.",
    ),
    FlowPart(
        key="in_progress",
        look="work",
        one="in progress",
        many="in progress",
        next_step="The app continues these without a person.",
    ),
    FlowPart(key="planned", look="over", shape="plan", one="not started", many="not started"),
    FlowPart(
        key="other_remediation",
        look="over",
        one="belongs to another remediation",
        many="belong to another remediation",
    ),
    FlowPart(
        key="cancelled",
        look="over",
        shape="undo",
        one="cancelled",
        many="cancelled",
        closed_state="cancelled",
        next_step=_START_AGAIN,
    ),
    FlowPart(
        key="rolled_back",
        look="over",
        shape="undo",
        one="rolled back",
        many="rolled back",
        closed_state="rolled_back",
        next_step=_START_AGAIN,
    ),
    FlowPart(key="not_included", look="over", one="not included", many="not included"),
    FlowPart(
        key="prepared",
        look="done",
        one="prepared",
        many="prepared",
        closed_state="prepared",
        next_step="The platform moves these when the key is applied.",
    ),
    FlowPart(key="migrated", look="done", one="migrated", many="migrated", closed_state="retired"),
    FlowPart(key="unknown", look="over", shape="unknown", one="unknown", many="unknown"),
)
#: The parts by key, in the order in which a page shows them: what requires an action comes first.
PARTS: Mapping[str, FlowPart] = {part.key: part for part in _PARTS}
#: The part of a closed job, by the job's state.
PART_OF_CLOSED: Mapping[str, str] = {
    part.closed_state: part.key for part in _PARTS if part.closed_state
}
_NOT_AFTER_VERIFIED: Mapping[MigrationMethod, str] = {
    MigrationMethod.UPDATE_CALLERS: "Callers not updated",
    MigrationMethod.CUT_OVER: "Not cut over",
}


def get_part_key(flow: FlowView) -> str:
    if flow.job and not flow.awaits_approval:
        return _get_part_key_of_job(flow.job)
    return _get_part_key_of_item(flow.environment_job, flow.item, awaits=flow.awaits_approval)


def format_flow_progress(flow: FlowView, part: str) -> str:
    if flow.job is None or part == "awaiting":
        words = PARTS[part].one
        return words[0].upper() + words[1:]
    texts = describe_flow_state(flow.job.step)
    if PARTS[part].look == "person":
        if flow.job.step is FlowJobState.VERIFIED:
            return _NOT_AFTER_VERIFIED.get(flow.job.migration_method, "Not retired")
        return texts.not_done
    is_waiting = flow.job.state is FlowJobState.WAITING
    return f"Waiting: {texts.doing.lower()}" if is_waiting else texts.doing


def _get_part_key_of_job(job: FlowJob) -> str:
    if job.reason_code == Reason.BOTH_OFF:
        return "both_off"
    if job.needs_action:
        return "blocked"
    if job.reason_code == Reason.LATE_CALLER:
        return "still_called"
    return _get_part_key_of_state(job.state)


@cache
def _get_part_key_of_state(state: FlowJobState) -> str:
    return PART_OF_CLOSED.get(state, "in_progress")


def _get_part_key_of_item(job: EnvironmentJob, item: PlanItem | None, *, awaits: bool) -> str:
    if item is None:
        return "unknown"
    if awaits:
        return "awaiting"
    if item.needs_changes:
        return "needs_changes"
    if item.is_retired:
        return "migrated"
    if item.action is PlannedAction.NO_CHANGE:
        return "not_included"
    if item.action is PlannedAction.CONTINUE_EXISTING_JOB or job.has_started_flow_jobs:
        return "other_remediation"
    return "in_progress" if job.mode.writes and job.state_properties.is_active else "planned"
