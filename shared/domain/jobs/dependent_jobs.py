"""Decide which of several dependent jobs continues first. They may be in different environments.

Calls by trigger URL may form a loop.
"""

from collections.abc import Callable, Mapping

from shared.domain.jobs.flow_job import FlowJob
from shared.domain.jobs.flow_states import FlowJobState
from shared.reason import Reason


def format_job_reference(job: FlowJob, environment_id: str) -> str:
    """Return the name by which jobs of this environment refer to `job`."""
    return job.id if job.environment_id == environment_id else f"{job.environment_id}/{job.id}"


def parse_job_reference(name: str, environment_id: str) -> tuple[str, str]:
    """Return the environment id and job id of a name that `format_job_reference` returned."""
    home, _, identity = name.rpartition("/")
    return home or environment_id, identity


def find_blocking_parent(
    job: FlowJob, ancestors: Mapping[str, FlowJob], is_settled: Callable[[FlowJob], bool]
) -> FlowJob | None:
    """Return a parent that has to be settled before this job continues, or None.

    `ancestors` are all jobs whose flows call this job's flow, directly or through others. Flows in
    a call loop cannot all wait for one another: one of them continues when its parents in the loop
    wait for nothing else and no flow outside the loop can still call into it.
    """
    loop = {one for one in ancestors if job.id in find_all_ancestors(ancestors[one], ancestors)}
    outside = [ancestors[one] for one in ancestors.keys() - loop]
    is_loop_uncalled = all(is_settled(one) for one in outside)
    for parent in [ancestors[one] for one in job.parent_ids if one in ancestors]:
        waits_too = (
            parent.state is FlowJobState.WAITING
            and parent.reason_code == Reason.PARENT_FLOW_NOT_READY
        )
        in_loop = parent.id in loop and is_loop_uncalled and waits_too
        if not is_settled(parent) and not in_loop:
            return parent
    return None


def find_all_ancestors(job: FlowJob, jobs: Mapping[str, FlowJob]) -> set[str]:
    """Return the ids of the jobs whose flows call this job's flow, directly or through others.

    Jobs that `jobs` does not contain are returned, but not followed further.
    """
    found: set[str] = set()
    waiting = list(job.parent_ids)
    while waiting:
        one = waiting.pop()
        if one not in found:
            found.add(one)
            waiting += jobs[one].parent_ids if one in jobs else ()
    return found
