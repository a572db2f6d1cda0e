"""Read a remediation without reading most of its closed flows."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from shared.domain.jobs.flow_job import FlowJob
from shared.domain.plans.remediation import EnvironmentJob
from shared.errors import UnreadableRow
from shared.ports import Condition
from shared.services import Services
from shared.use_cases.read_current_plans import read_items_needing_changes
from shared.use_cases.read_job_index import get_rows, read_known_flow_jobs
from shared.use_cases.read_remediation_rows import RowReader, get_remediation
from shared.use_cases.show_flow import FlowView
from shared.use_cases.show_remediation import RemediationView, build_remediation_view

#: Minimum number of closed flows; with fewer, all are read.
MANY = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class RemediationPart:
    """A remediation, with its flows that are open or need changes first, and some others."""

    #: `shown` contains the jobs of `flows`; its progress counts all.
    shown: RemediationView
    flows: tuple[FlowView, ...]
    #: Number of the other flows with a job, by state.
    closed: Mapping[str, int]


async def read_remediation_part(services: Services, remediation_id: str) -> RemediationPart | None:
    """Return a remediation without most of its closed flows.

    Raises `NotFound` if it does not exist. Returns None if few flows are closed, a plan awaits
    approval, or the index is not trusted.
    """
    tables, reading = services.tables, RowReader()
    remediation = await get_remediation(services, remediation_id)
    jobs: list[EnvironmentJob] = await reading.list_readable(
        tables.environment_jobs.scan(remediation_id)
    )
    if any(job.awaits_approval for job in jobs):
        return None
    known = await read_known_flow_jobs(services, jobs, reading)
    if known is None:
        return None
    closed = [states for counts in known.closed.values() for states in counts.values()]
    total = Counter[str]()
    for states in closed:
        total.update(states)
    if total.total() < MANY:
        return None
    have = {job.original.id for job in known.flow_jobs}
    flows = await _add_plan_items(services, jobs, known.flow_jobs, reading)
    for job in jobs:
        flows += [
            FlowView(environment_job=job, item=item, job=None)
            for item in await read_items_needing_changes(services, job, reading)
            if item.workflow_id not in have
        ]
    shown = build_remediation_view(
        remediation, jobs, list(known.flow_jobs), closed, unreadable=reading.unreadable
    )
    return RemediationPart(shown=shown, flows=tuple(flows), closed=dict(total))


async def read_closed_flows(
    services: Services, part: RemediationPart, state: str | None, skip: int, take: int
) -> list[FlowView]:
    """Return some closed flows of a remediation, in the order of their rows.

    `state` selects one state, or all if it is None. Skipped rows are not decoded.
    """
    tables, reading = services.tables, RowReader()
    where = [Condition("remediation_id", "eq", part.shown.remediation.id)]
    where += [Condition("state", "eq", state)] if state is not None else []
    open_ids = {job.id for job in part.shown.flow_jobs}
    jobs: list[FlowJob] = []
    for environment_job in part.shown.environment_jobs:
        rows = tables.store.query(
            tables.flow_jobs.name, environment_job.environment_id, where=where
        )
        async for row in rows:
            if len(jobs) == take:
                break
            if row.key in open_ids:
                continue
            if skip:
                skip -= 1
                continue
            try:
                jobs.append(tables.flow_jobs.parse_row(row).item)
            except UnreadableRow as err:
                reading.unreadable.append(err)
    return await _add_plan_items(services, part.shown.environment_jobs, jobs, reading)


async def _add_plan_items(
    services: Services,
    environment_jobs: Sequence[EnvironmentJob],
    jobs: Iterable[FlowJob],
    reading: RowReader,
) -> list[FlowView]:
    by_id = {job.id: job for job in environment_jobs}
    mine = [job for job in jobs if job.environment_job_id in by_id]
    places = [(job.environment_job_id, job.original.id) for job in mine]
    items = await get_rows(services.tables.plan_items, places, reading)
    by_place = {(item.environment_job_id, item.workflow_id): item for item in items}
    return [
        FlowView(
            environment_job=by_id[job.environment_job_id],
            item=by_place.get((job.environment_job_id, job.original.id)),
            job=job,
        )
        for job in mine
    ]
