"""Read the flows of a remediation, and the details of one.

Only `compare_definitions` reads the platform; the others read stored rows.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from shared.domain.callers import caller_edit
from shared.domain.callers.caller_records import CallerEditIntent, CallerRecord, list_active_edits
from shared.domain.definitions.changed_paths import find_changed_paths
from shared.domain.definitions.comparison import build_canonical_definition, is_same_definition
from shared.domain.flow import FlowState
from shared.domain.flow_owner import FlowOwner
from shared.domain.ids import derive_flow_job_id
from shared.domain.jobs.deletion import Deletion
from shared.domain.jobs.flow_job import FlowJob
from shared.domain.jobs.run_archive import RunArchive
from shared.domain.plans.choose_url_secret import apply_url_secret_choices
from shared.domain.plans.plan_item import PlanItem
from shared.domain.plans.remediation import EnvironmentJob, Remediation
from shared.errors import NotFound, UnreadableRow
from shared.ports import Condition
from shared.services import Services
from shared.state.rows import StoredItem
from shared.steps.flows.read_original_facts import build_definition_archive_name
from shared.use_cases.change_remediation import list_dependent_jobs
from shared.use_cases.name_flows import select_flows
from shared.use_cases.observed_callers import CallersOfOriginal, read_observed_callers_of_job
from shared.use_cases.read_job_index import read_environment_names
from shared.use_cases.read_remediation_rows import RowReader, get_remediation, read_jobs
from shared.use_cases.show_remediation import RemediationView

_WORKFLOW_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowView:
    """A flow of a remediation: its plan item, its flow job, or both."""

    environment_job: EnvironmentJob
    item: PlanItem | None
    job: FlowJob | None

    @property
    def workflow_id(self) -> str:
        """Return the workflow id of the original."""
        return self.job.original.id if self.job else self.item.workflow_id if self.item else ""

    @property
    def title(self) -> str:
        """Return the display name of the flow."""
        known = self.job or self.item
        return known.display_name if known else ""

    @property
    def owner(self) -> FlowOwner | None:
        """Return the owner of the flow, as last read, or None if unknown."""
        return (self.item and self.item.owner) or (self.job and self.job.original.owner) or None

    @property
    def awaits_approval(self) -> bool:
        """Return whether the flow awaits approval."""
        return (
            self.environment_job.awaits_approval
            and self.item is not None
            and self.item.awaits_approval
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerView:
    """A caller of an original with its edits, without signatures."""

    record: CallerRecord
    edits: tuple[caller_edit.CallerEdit, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowJobDetail:
    """The stored details of one flow of a remediation."""

    remediation: Remediation
    flow: FlowView
    callers: tuple[CallerView, ...]
    #: Who called the original after its known callers were updated; None: nobody, or the app did
    #: not read the calls.
    observed_callers: CallersOfOriginal | None
    #: Jobs that are rolled back together with this one, including itself.
    dependent_flows: tuple[FlowJob, ...]
    #: Display names of child and parent flows, by workflow id.
    children: dict[str, str]
    parents: dict[str, str]
    deletion: Deletion | None
    run_archive: RunArchive | None
    #: Names of the other environments that contain callers, by id, as far as they are known.
    environment_names: Mapping[str, str]
    unreadable_rows: tuple[UnreadableRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DefinitionComparison:
    """How the current definitions of original and copy differ from the archived original.

    Contains paths and never values, which may be secrets.
    """

    #: State of each flow; None if it does not exist.
    original: FlowState | None
    copy: FlowState | None
    #: Paths where the copy differs from the archived original: the intended changes.
    written_definition: tuple[str, ...]
    #: Paths where the original differs from the archived original: edits since then.
    original_edited: tuple[str, ...]
    is_archived: bool


async def show_flows(services: Services, shown: RemediationView) -> list[FlowView]:
    """Return each flow of a remediation once."""
    jobs = {job.original.id: job for job in shown.flow_jobs}
    environments = {job.environment_id: job for job in shown.environment_jobs}
    flows: list[FlowView] = []
    for environment_job in shown.environment_jobs:
        rows = await RowReader().list_readable(services.tables.plan_items.scan(environment_job.id))
        for item in apply_url_secret_choices(environment_job, rows):
            job = jobs.pop(item.workflow_id, None)
            flows.append(FlowView(environment_job=environment_job, item=item, job=job))
    return flows + [
        FlowView(environment_job=environments[job.environment_id], item=None, job=job)
        for job in jobs.values()
        if job.environment_id in environments
    ]


async def show_flow(services: Services, remediation_id: str, flow: str) -> FlowJobDetail:
    """Return the stored details of one flow.

    `flow` is its workflow id, flow name or display name. Raises `NotFound` if the remediation or
    the flow is unknown, and `FlowNotFound` for a name that several flows have.
    """
    tables, reading = services.tables, RowReader()
    remediation = await get_remediation(services, remediation_id)
    workflow_id = await _find_flow_id(services, remediation_id, flow)
    for environment_job in await reading.list_readable(
        tables.environment_jobs.scan(remediation_id)
    ):
        kept = None
        with reading.collect_unreadable():
            kept = await tables.plan_items.get(environment_job.id, workflow_id)
        where = [
            Condition("original_id", "eq", workflow_id),
            Condition("remediation_id", "eq", remediation_id),
        ]
        jobs = await reading.list_readable(
            tables.flow_jobs.scan(environment_job.environment_id, where=where)
        )
        if kept or jobs:
            break
    else:
        if reading.unreadable:  # possibly a row of this flow
            raise reading.unreadable[0]
        message = f"Remediation {remediation_id} has no flow {workflow_id}."
        raise NotFound(message)
    [item] = apply_url_secret_choices(environment_job, [kept.item]) if kept else [None]
    job = jobs[0] if jobs else None
    archive = deletion = None
    with reading.collect_unreadable():
        archive = await tables.run_archives.get(job.environment_id, job.id) if job else None
    with reading.collect_unreadable():
        deletion = await tables.deletions.get(job.environment_id, job.id) if job else None
    callers = await _read_callers(services, job, reading) if job else ()
    elsewhere = {one.record.caller.environment_id for one in callers}
    elsewhere -= {None, environment_job.environment_id}
    names = await read_environment_names(services, reading) if elsewhere else {}
    return FlowJobDetail(
        remediation=remediation,
        flow=FlowView(environment_job=environment_job, item=item, job=job),
        callers=callers,
        observed_callers=await read_observed_callers_of_job(services, job, reading)
        if job
        else None,
        dependent_flows=await _read_jobs_to_roll_back(services, job, reading) if job else (),
        children=await _read_titles(services, environment_job, item.children if item else ()),
        parents=await _read_titles(services, environment_job, item.parents if item else ()),
        deletion=deletion.item if deletion else None,
        run_archive=archive.item if archive else None,
        environment_names={one: name for one, name in names.items() if one in elsewhere},
        unreadable_rows=tuple(reading.unreadable),
    )


async def _find_flow_id(services: Services, remediation_id: str, flow: str) -> str:
    if _WORKFLOW_ID.fullmatch(flow.lower()):
        return flow.lower()
    reading = RowReader()
    known: list[FlowJob | PlanItem] = [*await read_jobs(services, remediation_id, reading)]
    for job in await reading.list_readable(services.tables.environment_jobs.scan(remediation_id)):
        known += await reading.list_readable(services.tables.plan_items.scan(job.id))
    found = select_flows(known, [flow], "this remediation")[0]
    return found.original.id if isinstance(found, FlowJob) else found.workflow_id


async def compare_definitions(services: Services, job: FlowJob) -> DefinitionComparison:
    """Compare the current definitions of original and copy with the archived original.

    Raises the errors of the platform, including `TransientError` and `MustWait`.
    """
    environment = await services.environments.get(job.environment_id)
    found = await services.flow_pages.read_workflows_by_id(
        environment, [job.original.id, job.copy.id]
    )
    now = {one.workflow_id.lower(): one for one in found}
    original, copy = now.get(job.original.id), now.get(job.copy.id)
    try:
        archived = (await services.archive.get(build_definition_archive_name(job))).decode()
    except NotFound:
        archived = ""
    return DefinitionComparison(
        original=original.state if original else None,
        copy=copy.state if copy else None,
        written_definition=_list_changed_paths(archived, copy.client_data)
        if copy and archived
        else (),
        original_edited=_list_changed_paths(archived, original.client_data)
        if original and archived
        else (),
        is_archived=bool(archived),
    )


def _list_changed_paths(old: str, new: str) -> tuple[str, ...]:
    if is_same_definition(old, new):
        return ()
    return find_changed_paths(build_canonical_definition(old), build_canonical_definition(new))


async def _read_jobs_to_roll_back(
    services: Services, job: FlowJob, reading: RowReader
) -> tuple[FlowJob, ...]:
    return tuple(list_dependent_jobs([job], await read_jobs(services, job.remediation_id, reading)))


async def _read_callers(
    services: Services, job: FlowJob, reading: RowReader
) -> tuple[CallerView, ...]:
    intents: dict[str, list[CallerEditIntent]] = defaultdict(list)
    for intent in await reading.list_readable(services.tables.caller_edit_intents.scan(job.id)):
        intents[intent.caller_id].append(intent)
    records: Sequence[CallerRecord] = await reading.list_readable(
        services.tables.callers.scan(job.id)
    )
    return tuple(
        CallerView(record=record, edits=list_active_edits(record, intents[record.id]))
        for record in sorted(records, key=lambda one: one.caller.label.lower())
    )


async def _read_titles(
    services: Services, job: EnvironmentJob, ids: Iterable[str]
) -> dict[str, str]:
    titles = {}
    for one in ids:
        kept: StoredItem[PlanItem] | StoredItem[FlowJob] | None
        kept = await services.tables.plan_items.get(job.id, one)
        if kept is None:  # plans do not list flows whose copy is in place
            identity = derive_flow_job_id(job.environment_id, one, job.policy_id)
            kept = await services.tables.flow_jobs.get(job.environment_id, identity)
        titles[one] = kept.item.display_name if kept else one
    return titles
