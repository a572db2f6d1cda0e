"""Index jobs: which rows a response has to read, and how many other flow jobs there are.

Each index row either names a job, or counts the closed flow jobs of an environment.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from shared.domain.jobs.flow_job import FlowJob
from shared.domain.jobs.flow_states import FLOW_STATES
from shared.domain.plans.current_plan import find_newest_plans
from shared.domain.plans.not_migrated import ClosedCounts
from shared.domain.plans.notification import ENDED_LATELY
from shared.domain.plans.pending_actions import GO_ON_TRYING
from shared.domain.plans.remediation import EnvironmentJob


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexRow:
    """A row that names an open or current job, or counts an environment's closed flow jobs."""

    environment_id: str
    #: Id of a flow job or an environment job; empty: this row has the counts.
    job_id: str = ""
    #: The partition of an environment job; empty: `job_id` is a flow job.
    remediation_id: str = ""
    #: The flow job needs a person, or did when the row was last compared.
    needs_person: bool = False
    #: Since when the job need not be named; None: it has to be, or was not compared yet.
    superfluous_since: datetime | None = None
    closed: ClosedCounts | None = None

    @property
    def kind(self) -> "NamedKind":
        """Return whether the row names an environment job or a flow job, or has counts."""
        if not self.job_id:
            return NamedKind.COUNTS
        return NamedKind.ENVIRONMENT_JOB if self.remediation_id else NamedKind.FLOW_JOB

    @property
    def key(self) -> str:
        """Return the row key, which contains the ids of the job."""
        return f"{self.kind}~{self.remediation_id}~{self.job_id}"


class NamedKind(StrEnum):
    """What an index row names. The value is the first part of its key."""

    COUNTS = "counts"
    ENVIRONMENT_JOB = "environment"
    FLOW_JOB = "flow"


def build_index_row_from_key(environment_id: str, key: str) -> IndexRow:
    """Return the index row with this key, with only the fields that the key contains."""
    remediation_id, _, job_id = key.partition("~")[2].partition("~")
    return IndexRow(environment_id=environment_id, job_id=job_id, remediation_id=remediation_id)


def build_flow_job_index_row(job: FlowJob) -> IndexRow:
    """Return an index row that names a flow job."""
    return IndexRow(
        environment_id=job.environment_id, job_id=job.id, needs_person=needs_person(job)
    )


def build_environment_job_index_row(job: EnvironmentJob) -> IndexRow:
    """Return an index row that names an environment job."""
    return IndexRow(
        environment_id=job.environment_id, job_id=job.id, remediation_id=job.remediation_id
    )


def needs_person(job: FlowJob) -> bool:
    """Return whether a person has to act on a flow job.

    The job may still continue to try, for example after a late caller.
    """
    return job.needs_action or job.reason_code in GO_ON_TRYING


def is_closed(job: FlowJob) -> bool:
    """Return whether a flow job changes no more unless a person acts."""
    is_over = FLOW_STATES[job.state].is_over and job.requested_command is None
    return (
        is_over and job.next_check_at is None and not (job.has_grants_to_check or needs_person(job))
    )


def get_count_key(job: FlowJob) -> tuple[str, str]:
    """Return under what a closed flow job is counted: its environment job's id and its state."""
    return job.environment_job_id, str(job.state)


def needs_index_entry(before: FlowJob | None, after: FlowJob) -> bool:
    """Return whether the index must name the job before a change of its row is written.

    This is also so if the change makes the job need a person, which the index row marks.
    """
    if before is None:
        return True
    if is_closed(before):
        return not is_closed(after) or get_count_key(before) != get_count_key(after)
    return needs_person(after) and not needs_person(before)


def add_closed_jobs(
    counts: ClosedCounts, added: Iterable[tuple[str, str]], *, times: int = 1
) -> dict[str, dict[str, int]]:
    """Return the counts with these jobs added. `times` -1 subtracts them. Omits zero counts."""
    total = Counter({(one, state): n for one, by in counts.items() for state, n in by.items()})
    for counted in added:
        total[counted] += times
    result: dict[str, dict[str, int]] = {}
    for (one, state), number in sorted(total.items()):
        if number > 0:
            result.setdefault(one, {})[state] = number
    return result


def find_current_environment_jobs(
    jobs: Iterable[EnvironmentJob], created: Mapping[str, datetime], now: datetime
) -> dict[str, EnvironmentJob]:
    """Return, by id, the environment jobs that a response about the current status needs.

    These are jobs that are not long over, jobs whose plans currently apply, and for each
    environment the last job that writes and the last one that does not. `created` contains the
    start of each remediation by id.
    """
    jobs = list(jobs)
    current = {one.id: one for one in jobs if not _is_long_over(one, now)}
    for newest in find_newest_plans(jobs).values():
        current |= {one.id: one for one in newest}
    last: dict[tuple[str, bool], EnvironmentJob] = {}
    for job in sort_newest_first(jobs, created):
        last.setdefault((job.environment_id, job.mode.writes), job)
    return current | {job.id: job for job in last.values()}


def sort_newest_first(
    jobs: Iterable[EnvironmentJob], created: Mapping[str, datetime]
) -> list[EnvironmentJob]:
    """Return environment jobs sorted by the start of their remediations, the newest first."""

    def compute_age(job: EnvironmentJob) -> float:
        started = created.get(job.remediation_id)
        return -started.timestamp() if started else 0.0

    return sorted(jobs, key=compute_age)


def _is_long_over(job: EnvironmentJob, now: datetime) -> bool:
    is_over = job.state_properties.is_over and not job.has_grants_to_check
    return is_over and bool(job.history) and now - job.history[-1].changed_at > ENDED_LATELY


#: How long a job has to be closed between two comparisons before it is only counted: an invocation
#: that named it before a write may be suspended that long.
SETTLED_AFTER = timedelta(hours=1)


def correct_index_row(
    row: IndexRow, *, is_needed: bool, needs_person: bool = False, now: datetime
) -> IndexRow | None:
    """Return an index row after a comparison with its job, or None if it has to be removed.

    A missing mark that a person has to act is set at once. A name or mark that is no longer needed
    is removed after `SETTLED_AFTER`.
    """
    is_superfluous = not is_needed or (row.needs_person and not needs_person)
    since = row.superfluous_since or now if is_superfluous else None
    if since is None or now - since < SETTLED_AFTER:
        is_marked = needs_person or row.needs_person
        return replace(row, needs_person=is_marked, superfluous_since=since)
    return replace(row, needs_person=needs_person, superfluous_since=None) if is_needed else None
