"""Show the flows of a remediation, and all that is kept of one. Rows only, but for `compare`."""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from shared.domain.callers import caller_edit
from shared.domain.callers.caller_records import CallerEditIntent, CallerRecord, active_edits
from shared.domain.definitions.changed_paths import changed_places
from shared.domain.definitions.comparison import canonical_definition, same_definition
from shared.domain.flow import FlowState
from shared.domain.ids import derive_flow_job_id
from shared.domain.jobs.deletion import Deletion
from shared.domain.jobs.flow_job import FlowJob
from shared.domain.jobs.run_archive import RunArchive
from shared.domain.plans.plan_item import PlanItem
from shared.domain.plans.remediation import EnvironmentJob, Remediation
from shared.errors import NotFound, UnreadableRow
from shared.ports import Condition
from shared.rows import StoredItem
from shared.services import Services
from shared.steps.flows.read_original_facts import archive_name
from shared.use_cases.change_remediation import dependent_groups
from shared.use_cases.name_flows import select_flows
from shared.use_cases.read_remediation_rows import RowReader, find, jobs_of
from shared.use_cases.show_remediation import RemediationView

_WORKFLOW_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowView:
    """One flow of a remediation: its item of the plan and its job, of which one is set."""

    environment_job: EnvironmentJob
    item: PlanItem | None
    job: FlowJob | None

    @property
    def workflow_id(self) -> str:
        """Return the original's Dataverse id."""
        return self.job.original_id if self.job else self.item.workflow_id if self.item else ""

    @property
    def title(self) -> str:
        """Return what people call it."""
        known = self.job or self.item
        return known.display_name if known else ""

    @property
    def awaits_approval(self) -> bool:
        """Say whether the next approval decides on it."""
        return (
            self.environment_job.awaits_approval
            and self.item is not None
            and self.item.awaits_approval
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerView:
    """A caller of an original, and what was changed there; no signature in it."""

    record: CallerRecord
    edits: tuple[caller_edit.CallerEdit, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowJobDetail:
    """All that the rows tell of one flow."""

    remediation: Remediation
    flow: FlowView
    callers: tuple[CallerView, ...]
    #: Jobs of the flows that are rolled back with it, its own among them.
    dependent_flows: tuple[FlowJob, ...]
    #: Titles of the flows that it runs, and of those that run it, by workflow id.
    children: dict[str, str]
    parents: dict[str, str]
    deletion: Deletion | None
    run_archive: RunArchive | None
    unreadable: tuple[UnreadableRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DefinitionComparison:
    """Original and copy as Dataverse has them now, beside what was archived.

    Places of a definition are told, never values: these may hold secrets.
    """

    #: Whether each is on; None: it is not there.
    original: FlowState | None
    copy: FlowState | None
    #: Where the copy differs from the original as it was copied: what was written on purpose.
    written_definition: tuple[str, ...]
    #: Where the original differs from what was archived: somebody edited it since.
    original_edited: tuple[str, ...]
    is_archived: bool


async def show_flows(services: Services, shown: RemediationView) -> list[FlowView]:
    """Return each flow of a remediation once: one query for each of its environments' plans."""
    jobs = {job.original_id: job for job in shown.jobs}
    environments = {job.environment_id: job for job in shown.environment_jobs}
    flows: list[FlowView] = []
    for environment_job in shown.environment_jobs:
        for item in await RowReader().all(services.tables.plan_items.scan(environment_job.id)):
            job = jobs.pop(item.workflow_id, None)
            flows.append(FlowView(environment_job=environment_job, item=item, job=job))
    return flows + [
        FlowView(environment_job=environments[job.environment_id], item=None, job=job)
        for job in jobs.values()
        if job.environment_id in environments
    ]


async def show_flow(services: Services, remediation_id: str, flow: str) -> FlowJobDetail:
    """Return all that is kept of one flow, from its own rows.

    `flow` is its workflow id, its name or its title. Raises `NotFound`, and `FlowNotFound` for a
    title that several flows have.
    """
    tables, reading = services.tables, RowReader()
    remediation = await find(services, remediation_id)
    workflow_id = await _id_of(services, remediation_id, flow)
    for environment_job in await reading.all(tables.environment_jobs.scan(remediation_id)):
        kept = None
        with reading.one():
            kept = await tables.plan_items.get(environment_job.id, workflow_id)
        where = [
            Condition("original_id", "eq", workflow_id),
            Condition("remediation_id", "eq", remediation_id),
        ]
        jobs = await reading.all(tables.flow_jobs.scan(environment_job.environment_id, where=where))
        if kept or jobs:
            break
    else:
        if reading.unreadable:  # perhaps of this flow
            raise reading.unreadable[0]
        message = f"Remediation {remediation_id} has no flow {workflow_id}."
        raise NotFound(message)
    item, job = kept.item if kept else None, jobs[0] if jobs else None
    archive = deletion = None
    with reading.one():
        archive = await tables.run_archives.get(job.environment_id, job.id) if job else None
    with reading.one():
        deletion = await tables.deletions.get(job.environment_id, job.id) if job else None
    return FlowJobDetail(
        remediation=remediation,
        flow=FlowView(environment_job=environment_job, item=item, job=job),
        callers=await _callers(services, job, reading) if job else (),
        dependent_flows=await _family(services, job, reading) if job else (),
        children=await _titles(services, environment_job, item.children if item else ()),
        parents=await _titles(services, environment_job, item.parents if item else ()),
        deletion=deletion.item if deletion else None,
        run_archive=archive.item if archive else None,
        unreadable=tuple(reading.unreadable),
    )


async def _id_of(services: Services, remediation_id: str, flow: str) -> str:
    if _WORKFLOW_ID.fullmatch(flow.lower()):
        return flow.lower()
    reading = RowReader()
    known: list[FlowJob | PlanItem] = [*await jobs_of(services, remediation_id, reading)]
    for job in await reading.all(services.tables.environment_jobs.scan(remediation_id)):
        known += await reading.all(services.tables.plan_items.scan(job.id))
    found = select_flows(known, [flow], "this remediation")[0]
    return found.original_id if isinstance(found, FlowJob) else found.workflow_id


async def compare(services: Services, job: FlowJob) -> DefinitionComparison:
    """Compare the definitions: two calls of the platform, and a look into the archive.

    Raises what the platform raises, `TransientError` and `Waiting` among it.
    """
    environment = await services.environments.get(job.environment_id)
    found = await services.flow_pages.workflows_by_id(environment, [job.original_id, job.copy_id])
    now = {one.workflow_id.lower(): one for one in found}
    original, copy = now.get(job.original_id), now.get(job.copy_id)
    try:
        archived = (await services.archive.get(archive_name(job))).decode()
    except NotFound:
        archived = ""
    return DefinitionComparison(
        original=original.state if original else None,
        copy=copy.state if copy else None,
        written_definition=_places(archived, copy.client_data) if copy and archived else (),
        original_edited=_places(archived, original.client_data) if original and archived else (),
        is_archived=bool(archived),
    )


def _places(old: str, new: str) -> tuple[str, ...]:
    if same_definition(old, new):
        return ()
    return changed_places(canonical_definition(old), canonical_definition(new))


async def _family(services: Services, job: FlowJob, reading: RowReader) -> tuple[FlowJob, ...]:
    return tuple(dependent_groups([job], await jobs_of(services, job.remediation_id, reading)))


async def _callers(services: Services, job: FlowJob, reading: RowReader) -> tuple[CallerView, ...]:
    intents: dict[str, list[CallerEditIntent]] = defaultdict(list)
    for intent in await reading.all(services.tables.caller_edit_intents.scan(job.id)):
        intents[intent.caller_id].append(intent)
    records: Sequence[CallerRecord] = await reading.all(services.tables.callers.scan(job.id))
    return tuple(
        CallerView(record=record, edits=active_edits(record, intents[record.id]))
        for record in sorted(records, key=lambda one: one.caller.label.lower())
    )


async def _titles(services: Services, job: EnvironmentJob, ids: Iterable[str]) -> dict[str, str]:
    titles = {}
    for one in ids:
        kept: StoredItem[PlanItem] | StoredItem[FlowJob] | None
        kept = await services.tables.plan_items.get(job.id, one)
        if kept is None:  # its copy is in place: plans do not list it
            identity = derive_flow_job_id(job.environment_id, one, job.policy_id)
            kept = await services.tables.flow_jobs.get(job.environment_id, identity)
        titles[one] = kept.item.display_name if kept else one
    return titles
