"""List the steps of a flow's migration or rollback, and say why its original is on."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from functions.dashboard.flow_durations import find_reached_at
from functions.dashboard.flow_steps import build_flow_steps
from shared.domain.flow import FlowState
from shared.domain.jobs.flow_job import FlowJob, RollbackStage
from shared.domain.jobs.flow_states import FLOW_STATES, FlowJobState
from shared.html_pages import format_moment

#: States whose entry shows that a step is done, in the order of the steps.
_ENTERED: Sequence[tuple[FlowJobState, ...]] = (
    (FlowJobState.COPIED,),
    (FlowJobState.VERIFIED,),
    (FlowJobState.CHECKING_FOR_CALLS, FlowJobState.MONITORING),
    (FlowJobState.RETIRED,),
    (FlowJobState.RETIRED,),
)
_ROLLBACK_STEPS: Mapping[RollbackStage, str] = {
    RollbackStage.TURN_ON_ORIGINAL: "Original on",
    RollbackStage.REVERT_CALLERS: "Callers reverted",
    RollbackStage.CHECK_COPY_FOR_CALLS: "No calls to the copy",
    RollbackStage.TURN_OFF_COPY: "Copy off",
}


class PathStep(NamedTuple):
    """A step of a flow's migration or rollback as the flow's page shows it, with its time."""

    title: str
    #: `done`, `now`, `stop`, or empty for a later step.
    look: str
    text: str


def build_flow_path(job: FlowJob | None, *, is_stopped: bool) -> list[PathStep]:
    """Return the steps of a job with their times; empty if they cannot be shown. `is_stopped` says
    that the job continues only after a person acts.
    """
    if job is None or not job.migration_method.has_copy:
        return []
    if job.is_rolling_back or job.state is FlowJobState.ROLLED_BACK:
        return _build_rollback_path(job, is_stopped=is_stopped)
    steps = build_flow_steps(job, is_stopped=is_stopped)
    if steps is None:
        return []
    done = [find_reached_at(job, *states) for states in _ENTERED[: steps.done]]
    return _build_path_steps(job, steps.names, done, is_stopped=is_stopped)


def _build_rollback_path(job: FlowJob, *, is_stopped: bool) -> list[PathStep]:
    stages = list(_ROLLBACK_STEPS)
    done = stages.index(job.rollback_stage) if job.rollback_stage else 0
    done = done if job.is_rolling_back else len(stages)
    return _build_path_steps(
        job, tuple(_ROLLBACK_STEPS.values()), [None] * done, is_stopped=is_stopped
    )


def _build_path_steps(
    job: FlowJob, names: Sequence[str], done: Sequence[datetime | None], *, is_stopped: bool
) -> list[PathStep]:
    path = [
        PathStep(name, "done", format_moment(at) if at else "Done")
        for name, at in zip(names, done, strict=False)
    ]
    for name in names[len(done) :]:
        is_next = len(path) == len(done)
        look = ("stop" if is_stopped else "now") if is_next else ""
        path.append(
            PathStep(name, look, _describe_next_step(job, is_stopped) if is_next else "Not yet")
        )
    return path


def _describe_next_step(job: FlowJob, is_stopped: bool) -> str:
    since = job.state_since
    text = "Not yet: stopped" if is_stopped else "Waiting" if job.is_interrupted else "In progress"
    if job.state is FlowJobState.PLANNED:
        text = "Not started"
    return f"{text} since {format_moment(since)}" if since else text


def explain_why_original_is_on(job: FlowJob | None) -> str:
    """Return why the original of an open job is on, or "" if the job's row does not show it."""
    if (
        job is None
        or not job.original.was_on
        or not job.has_original_restored
        or job.both_off_since
        or FLOW_STATES[job.state].is_success
        or job.is_withdrawn
    ):
        return ""
    write = job.original.last_write
    if write is None:
        return "It was on when its job started, and the app has not turned it off."
    if write.state is FlowState.ON and write.is_confirmed:
        sent_at = format_moment(write.last_sent_at)
        return f"The app turned it on again ({sent_at}) and has read back that it is on."
    return ""
