"""A job's relatives: how they are named, and which has to go first.

Calls by URL may go round in a circle.
"""

from collections.abc import Callable, Mapping

from shared.domain.jobs.flow_job import FlowJob
from shared.domain.jobs.flow_states import FlowJobState
from shared.reason import Reason


def format_job_reference(job: FlowJob, environment_id: str) -> str:
    """Return how a job of this environment names `job` among its relatives."""
    return job.id if job.environment_id == environment_id else f"{job.environment_id}/{job.id}"


def parse_job_reference(name: str, environment_id: str) -> tuple[str, str]:
    """Return environment and id of what something in `environment_id` names so."""
    home, _, identity = name.rpartition("/")
    return home or environment_id, identity


def blocking_parent(
    job: FlowJob, ancestors: Mapping[str, FlowJob], is_settled: Callable[[FlowJob], bool]
) -> FlowJob | None:
    """Return a parent that has to be settled before this job; None: it may go on.

    `ancestors` are all that reach the job by calls. Flows that call one another in a circle cannot
    each wait for the other: one of them goes on when its parents in the circle wait for nothing
    else, and nobody from outside of it calls into it any more.
    """
    circle = {one for one in ancestors if job.id in all_ancestors(ancestors[one], ancestors)}
    outside = [ancestors[one] for one in ancestors.keys() - circle]
    is_left_alone = all(is_settled(one) for one in outside)
    for parent in [ancestors[one] for one in job.parent_ids if one in ancestors]:
        waits_too = parent.state is FlowJobState.WAITING and parent.code == Reason.PARENT
        in_circle = parent.id in circle and is_left_alone and waits_too
        if not is_settled(parent) and not in_circle:
            return parent
    return None


def all_ancestors(job: FlowJob, jobs: Mapping[str, FlowJob]) -> set[str]:
    """Return the ids of all that reach this job by calls, as far as `jobs` knows them."""
    found: set[str] = set()
    waiting = list(job.parent_ids)
    while waiting:
        one = waiting.pop()
        if one not in found:
            found.add(one)
            waiting += jobs[one].parent_ids if one in jobs else ()
    return found
