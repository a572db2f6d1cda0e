"""Read remediations, their progress and plans, from stored rows."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from shared.alerts import read_readable
from shared.domain.environment import ApprovalPolicy
from shared.domain.flow_owner import FlowOwner, is_owned_by
from shared.domain.jobs.deletion import Deletion
from shared.domain.jobs.flow_job import FlowJob
from shared.domain.jobs.run_archive import RunArchive
from shared.domain.plans.choose_url_secret import apply_url_secret_choices
from shared.domain.plans.plan_approval import compute_plan_version, format_plan_text
from shared.domain.plans.plan_item import PlanItem
from shared.domain.plans.plan_outlook import FlowOutlook, build_outlooks
from shared.domain.plans.progress import RemediationProgress, compute_progress
from shared.domain.plans.remediation import EnvironmentJob, ExternalHost, Remediation
from shared.domain.plans.trigger_hosts import TriggerHost, list_trigger_hosts
from shared.errors import UnreadableRow
from shared.ports import Condition
from shared.reason import Reason
from shared.services import Services
from shared.steps.write_permission import read_environment_settings
from shared.use_cases.archive_runs import SupportWindow, build_support_window
from shared.use_cases.observed_callers import CallersOfOriginal, read_observed_callers
from shared.use_cases.read_current_plans import read_items_needing_changes
from shared.use_cases.read_job_index import KnownJobs, get_rows, read_known_jobs
from shared.use_cases.read_remediation_rows import RowReader, get_remediation


@dataclass(frozen=True, slots=True, kw_only=True)
class NeedsChanges:
    """A flow whose maker must change it before the app can migrate it."""

    environment_id: str
    workflow_id: str
    flow_name: str
    display_name: str
    owner: FlowOwner | None
    message: str
    fix: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RemediationView:
    remediation: Remediation
    environment_jobs: tuple[EnvironmentJob, ...]
    #: In a list, only the jobs that did not reach their goal.
    flow_jobs: tuple[FlowJob, ...]
    progress: RemediationProgress
    #: Flows without a job that need changes first; empty in a list, like the following members.
    needs_changes: tuple[NeedsChanges, ...] = ()
    #: Archived run history.
    run_archives: tuple[RunArchive, ...] = ()
    #: Time until which Microsoft's support can restore run history from before the key.
    support_windows: tuple[SupportWindow, ...] = ()
    deletions: tuple[Deletion, ...] = ()
    #: Who called originals after their known callers were updated.
    observed_callers: tuple[CallersOfOriginal, ...] = ()
    #: Rows of its environments that this version of the app cannot read.
    unreadable_rows: tuple[UnreadableRow, ...] = ()

    def filter_by_owner(self, text: str) -> "RemediationView":
        """Return the view with only the flows whose owner matches the text.

        The progress still counts all flows.
        """
        return replace(
            self,
            flow_jobs=tuple(one for one in self.flow_jobs if is_owned_by(one.original.owner, text)),
            needs_changes=tuple(one for one in self.needs_changes if is_owned_by(one.owner, text)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RemediationViewList:
    """A page of remediations, and the rows that cannot be read.

    Remediations with a flow whose original and copy are both off come first, then the newest.
    """

    items: tuple[RemediationView, ...]
    unreadable_rows: tuple[UnreadableRow, ...]
    #: Number of remediations before the page, and of all.
    begins: int
    total: int
    #: Id after which the next page starts; empty on the last page.
    next: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanView:
    """The plan of one environment in a remediation."""

    environment_job: EnvironmentJob
    items: tuple[PlanItem, ...]
    #: Hosts that callers must reach, derived from the plan and its copies.
    trigger_hosts: tuple[TriggerHost, ...]
    #: The environment's policy now; None: it cannot be read. The plan cannot be approved then, nor
    #: with `read_only`.
    approval_policy: ApprovalPolicy | None

    @property
    def external_hosts(self) -> tuple[ExternalHost, ...]:
        """Return the called hosts whose firewalls the app cannot read."""
        return self.environment_job.external_hosts

    @property
    def version(self) -> str:
        """Return the plan version, which an approval must name."""
        return compute_plan_version(format_plan_text(self.environment_job, self.items))

    @property
    def outlooks(self) -> tuple[FlowOutlook, ...]:
        """Return which flows are expected to pause during their migration, and why."""
        return tuple(build_outlooks(self.environment_job, self.items).values())

    @property
    def awaiting_flow_ids(self) -> tuple[str, ...]:
        """Return the workflow ids of the flows that await approval."""
        if not self.environment_job.awaits_approval:
            return ()
        return tuple(item.workflow_id for item in self.items if item.awaits_approval)


async def list_remediations(
    services: Services,
    *,
    limit: int,
    begin: Callable[[Sequence[str]], int] = lambda _: 0,
    takes: Callable[[RemediationView], bool] | None = None,
) -> RemediationViewList:
    """Return a page of at most `limit` remediations.

    `begin` returns the position among all ids at which the page starts. `takes` returns whether a
    remediation belongs in the list; to use it, every remediation is read.
    """
    tables, reading = services.tables, RowReader()
    known = await read_known_jobs(services, reading)
    ids = await _read_sorted_remediation_ids(services, known)
    start = begin(ids)
    environment_jobs: dict[str, list[EnvironmentJob]] = {}
    if takes:
        remediations = await reading.list_readable(tables.remediations.scan("remediation"))
        every: Sequence[EnvironmentJob] = await reading.list_readable(
            tables.environment_jobs.scan()
        )
        for job in every:
            environment_jobs.setdefault(job.remediation_id, []).append(job)
        last = len(ids)
    else:
        last = start + limit
        places = [("remediation", one) for one in ids[start:last]]
        remediations = await get_rows(tables.remediations, places, reading)
        for one in remediations:
            found = await reading.list_readable(tables.environment_jobs.scan(one.id))
            environment_jobs[one.id] = found
    by_id = {one.id: one for one in remediations}
    flow_jobs: dict[str, list[FlowJob]] = {}
    for flow_job in known.flow_jobs:
        flow_jobs.setdefault(flow_job.remediation_id, []).append(flow_job)
    items: list[RemediationView] = []
    for identity in ids[start:last]:
        if not (remediation := by_id.get(identity)):
            continue
        jobs = environment_jobs.get(identity, [])
        closed = [known.closed.get(job.environment_id, {}).get(job.id, {}) for job in jobs]
        item = build_remediation_view(remediation, jobs, flow_jobs.get(identity, []), closed)
        if takes is None or takes(item):
            items.append(item)
        if len(items) > limit:
            break
    page = items[:limit]
    is_last = last >= len(ids) and len(items) <= limit
    return RemediationViewList(
        items=tuple(page),
        unreadable_rows=tuple(reading.unreadable),
        begins=start,
        total=len(ids),
        next="" if is_last else page[-1].remediation.id if page else ids[last - 1],
    )


async def _read_sorted_remediation_ids(services: Services, known: KnownJobs) -> list[str]:
    """Return the ids of all remediations, newest first. Reads only columns.

    Remediations with a flow whose original and copy are both off come first.
    """
    table = services.tables.remediations
    rows = [
        (str(row.columns.get("created_at", "")), row.key)
        async for row in services.tables.store.query(table.name, "remediation")
    ]
    urgent = {job.remediation_id for job in known.flow_jobs if job.reason_code == Reason.BOTH_OFF}
    ids = [identity for _, identity in sorted(rows, reverse=True)]
    return sorted(ids, key=lambda identity: identity not in urgent)


async def show_remediation(services: Services, remediation_id: str) -> RemediationView:
    """Return a remediation with its jobs, archives and deletions.

    Raises `NotFound` if it does not exist.
    """
    tables, reading = services.tables, RowReader()
    remediation = await get_remediation(services, remediation_id)
    environment_jobs = await reading.list_readable(tables.environment_jobs.scan(remediation_id))
    where = [Condition("remediation_id", "eq", remediation_id)]
    jobs: list[FlowJob] = []
    archives: list[RunArchive] = []
    deletions: list[Deletion] = []
    observed: list[CallersOfOriginal] = []
    for environment_id in remediation.environment_ids:
        jobs += await reading.list_readable(tables.flow_jobs.scan(environment_id, where=where))
        archives += await reading.list_readable(tables.run_archives.scan(environment_id))
        deletions += await reading.list_readable(tables.deletions.scan(environment_id))
        observed += await read_observed_callers(services, environment_id, jobs, reading)
    ids = {job.id for job in jobs}
    return replace(
        build_remediation_view(remediation, environment_jobs, jobs),
        needs_changes=tuple(
            [
                NeedsChanges(
                    environment_id=job.environment_id,
                    workflow_id=item.workflow_id,
                    flow_name=item.flow_name,
                    display_name=item.display_name,
                    owner=item.owner,
                    message=item.message,
                    fix=item.fix,
                )
                for job in environment_jobs
                for item in await read_items_needing_changes(services, job, reading)
            ]
        ),
        run_archives=tuple(one for one in archives if one.remediation_id == remediation_id),
        support_windows=tuple(map(build_support_window, environment_jobs)),
        deletions=tuple(one for one in deletions if one.job_id in ids),
        observed_callers=tuple(observed),
        unreadable_rows=tuple(reading.unreadable),
    )


async def show_plan(services: Services, remediation_id: str) -> list[PlanView]:
    """Return the plan of each environment of a remediation.

    Raises `NotFound` if the remediation does not exist.
    """
    await get_remediation(services, remediation_id)
    jobs = read_readable(services, services.tables.environment_jobs.scan(remediation_id))
    return [await _read_plan(services, kept.item) async for kept in jobs]


async def _read_plan(services: Services, job: EnvironmentJob) -> PlanView:
    rows = await services.tables.plan_items.read_all(job.id)
    items = tuple(apply_url_secret_choices(job, rows))
    where = [Condition("remediation_id", "eq", job.remediation_id)]
    jobs = await RowReader().list_readable(
        services.tables.flow_jobs.scan(job.environment_id, where=where)
    )
    by_original = {one.original.id: one for one in jobs}
    outgoing = list_trigger_hosts(
        services.settings.cloud.derive_environment_host(job.environment_id), items, by_original
    )
    policy = None
    with RowReader().collect_unreadable():
        policy = (await read_environment_settings(services, job.environment_id)).approval_policy
    return PlanView(
        environment_job=job, items=items, trigger_hosts=outgoing, approval_policy=policy
    )


def build_remediation_view(
    remediation: Remediation,
    environment_jobs: list[EnvironmentJob],
    jobs: list[FlowJob],
    closed: Sequence[Mapping[str, int]] = (),
    *,
    unreadable: Sequence[UnreadableRow] = (),
) -> RemediationView:
    """Return a remediation with these jobs. `closed` counts its other flow jobs, by state."""
    return RemediationView(
        remediation=remediation,
        environment_jobs=tuple(environment_jobs),
        # Urgent jobs first, wherever they are shown.
        flow_jobs=tuple(sorted(jobs, key=lambda job: job.reason_code != Reason.BOTH_OFF)),
        progress=compute_progress(environment_jobs, jobs, closed),
        unreadable_rows=tuple(unreadable),
    )
