"""Map the state of a job or a plan item to a text and a CSS class that shows who acts next."""

from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

from functions.dashboard.flow_steps import describe_flow_state
from shared.domain.jobs.environment_states import ENVIRONMENT_STATES
from shared.domain.jobs.flow_job import FlowJob, JobCommand
from shared.domain.jobs.flow_states import FLOW_STATES, FlowJobState
from shared.domain.jobs.remediation_states import REMEDIATION_STATES
from shared.domain.jobs.state_machine import NextActor, StateProperties
from shared.domain.plans.display_text import ACTION_WORDS
from shared.domain.plans.pending_actions import GO_ON_TRYING
from shared.domain.plans.plan_item import PlanItem, PlannedAction
from shared.use_cases.show_flow import FlowView

#: CSS classes in display order: what requires an action comes first.
LOOKS = ("person", "wait", "work", "done", "over")
_ALL: Mapping[str, StateProperties] = {
    **{str(state): facts for state, facts in REMEDIATION_STATES.items()},
    **{str(state): facts for state, facts in ENVIRONMENT_STATES.items()},
    **{str(state): facts for state, facts in FLOW_STATES.items()},
}


class FlowDisplayState(NamedTuple):
    """The state of a flow in words, with a key for filters and a CSS class."""

    #: The value that the state filter compares.
    key: str
    words: str
    look: str
    reason: str = ""


def choose_css_class(state: str, left: Mapping[str, int] | None = None) -> str:
    """Return the CSS class of a state.

    A completed state looks like a waiting one if `left` has flows that are not migrated.
    """
    look = get_state_css_class(state)
    return "wait" if look == "done" and left else look


@cache
def get_state_css_class(state: str) -> str:
    """Return the CSS class of a remediation, environment job or flow job state."""
    facts = _ALL.get(state)
    if facts is None:  # the state is unknown to this version of the app
        return "over"
    if facts.needs_action:
        return "person"
    if facts.next_actor is NextActor.PERSON:
        return "wait"
    if facts.is_success:
        return "done"
    return "over" if facts.is_over else "work"


def get_display_state(flow: FlowView) -> FlowDisplayState:
    """Return the state of a flow in words: of its job, or of its plan item if it has no job or
    awaits approval.
    """
    if flow.job and not flow.awaits_approval:
        return _build_state_of_job(flow.job)
    return _build_state_of_item(flow.item, awaits=flow.awaits_approval)


def _build_state_of_job(job: FlowJob) -> FlowDisplayState:
    look = "person" if job.reason_code in GO_ON_TRYING else get_state_css_class(job.state)
    words = _format_state(job.state, job.step, job.requested_command)
    return FlowDisplayState(key=job.state, words=words, look=look, reason=job.message)


def _build_state_of_item(item: PlanItem | None, *, awaits: bool) -> FlowDisplayState:
    if item is None:
        return FlowDisplayState(key="unknown", words="unknown", look="over")
    words = ACTION_WORDS.get(item.action, item.action)
    if awaits:
        return FlowDisplayState(key="awaiting", words="awaiting approval", look="wait")
    if item.needs_changes:
        return FlowDisplayState(
            key="needs_changes", words=words, look="person", reason=item.message
        )
    look = "over" if item.action is PlannedAction.NO_CHANGE else "work"
    return FlowDisplayState(key=item.action, words=words, look=look, reason=item.message)


@cache
def _format_state(state: FlowJobState, reached: FlowJobState, requested: JobCommand | None) -> str:
    words = state.replace("_", " ")
    if FLOW_STATES[state].resumes_later:
        pause = describe_flow_state(reached).paused
        words += f" {pause or f'while {reached.replace("_", " ")}'}"
    if state is FlowJobState.WAITING and requested:
        words += f", to {requested.replace('_', ' ')}"
    return words
