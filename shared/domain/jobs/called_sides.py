"""Decide whether declared callers call the original or the copy of a job."""

from collections.abc import Iterable
from dataclasses import dataclass

from shared.domain.callers.declared_caller import CalledFlow
from shared.domain.jobs.flow_job import FlowJob


@dataclass(frozen=True, slots=True)
class FlowIds:
    """The ids by which callers name the original, or the copy, of a job."""

    environment_id: str
    flow_ids: frozenset[str]
    trigger_url_id: str

    def matches(self, flow: CalledFlow) -> bool:
        """Return whether a flow that a declared caller calls now is this one."""
        is_here = flow.environment_id == self.environment_id
        url_id = flow.current_trigger_url_id
        return (is_here and flow.current_flow_id in self.flow_ids) or (
            bool(url_id) and url_id == self.trigger_url_id
        )

    def is_called(self, flows: Iterable[CalledFlow]) -> bool:
        """Return whether this is one of `flows`, which declared callers call now."""
        return any(self.matches(one) for one in flows)


def get_original_ids(job: FlowJob) -> FlowIds:
    ids = frozenset({job.original.id, job.original.flow_name.lower()} - {""})
    return FlowIds(job.environment_id, ids, job.original.url_id)


def get_copy_ids(job: FlowJob) -> FlowIds:
    return FlowIds(job.environment_id, job.copy.ids, job.copy.url_id)


def get_ids_that_callers_stop_calling(job: FlowJob) -> FlowIds:
    """Return the ids of the flow that callers must stop calling.

    This is the original, or in a rollback the copy.
    """
    return get_copy_ids(job) if job.is_rolling_back else get_original_ids(job)
