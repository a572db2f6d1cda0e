"""Show the environments that the app knows: settings, policy link, progress, last assessment.

Reads stored rows only. Names of environments without a job are known only from the platform.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shared.domain.environment import Environment, EnvironmentSettings
from shared.domain.kill_switch import KillSwitch
from shared.domain.plans.environment_status import EnvironmentStatus, environment_statuses
from shared.domain.plans.remediation import (
    EnvironmentJob,
    Remediation,
    StartSource,
    environment_job_id,
)
from shared.domain.policy_link_record import PolicyLinkRecord
from shared.errors import UnreadableRow
from shared.services import Services
from shared.steps.write_permission import read_switch
from shared.use_cases.read_current_plans import read_current_plans
from shared.use_cases.read_job_index import get_rows, read_known_jobs
from shared.use_cases.read_remediation_rows import RowReader
from shared.use_cases.show_status import read_newest_environment_jobs
from shared.use_cases.start_assessment import TOPIC


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownEnvironment:
    """What the store has about one environment."""

    environment_id: str
    #: Empty if no job has read it and the platform was not asked.
    environment_name: str
    settings: EnvironmentSettings
    #: None: no policy link was seen.
    policy_link: PolicyLinkRecord | None
    #: None: there was no job.
    status: EnvironmentStatus | None
    #: The job of the last assessment; None: there is none, or its job is no longer stored.
    last_assessment: EnvironmentJob | None


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownEnvironments:
    """The environments that the app knows, by id, and the kill switch."""

    items: tuple[KnownEnvironment, ...]
    kill_switch: KillSwitch | None
    #: Rows that this version of the app cannot read.
    unreadable_rows: tuple[UnreadableRow, ...]


async def show_environments(services: Services, *, with_platform: bool) -> KnownEnvironments:
    """Return the environments in the store; `with_platform` adds all others of the tenant.

    Raises `TransientError` if the store or the platform does not answer.
    """
    tables, reading = services.tables, RowReader()
    settings = {
        one.environment_id: one
        for one in await reading.all(tables.environment_settings.scan("environment"))
    }
    links = {one.environment_id: one for one in await reading.all(tables.policy_links.scan("link"))}
    known = await read_known_jobs(services, reading)
    jobs = await read_newest_environment_jobs(services, known, reading)
    plans = await read_current_plans(services, jobs, reading)
    statuses = {
        one.environment_id: one
        for one in environment_statuses(jobs, plans, known.flow_jobs, known.closed)
    }
    assessments = await _read_last_assessments(services, jobs, reading)
    elsewhere = await services.environments.list() if with_platform else []
    names = _names(jobs, elsewhere)
    ids = {*settings, *links, *statuses, *assessments, *names}
    return KnownEnvironments(
        items=tuple(
            KnownEnvironment(
                environment_id=one,
                environment_name=names.get(one, ""),
                settings=settings.get(one, EnvironmentSettings(environment_id=one)),
                policy_link=links.get(one),
                status=statuses.get(one),
                last_assessment=assessments.get(one),
            )
            for one in sorted(ids)
        ),
        kill_switch=await read_switch(services),
        unreadable_rows=tuple({row.row: row for row in reading.unreadable}.values()),
    )


def _names(jobs: Sequence[EnvironmentJob], elsewhere: Sequence[Environment]) -> dict[str, str]:
    """Return names by id; those of the platform are the current ones."""
    names: dict[str, str] = {}
    for job in jobs:
        if job.environment_name:
            names.setdefault(job.environment_id, job.environment_name)
    return names | {one.id: one.display_name for one in elsewhere}


async def _read_last_assessments(
    services: Services, jobs: Sequence[EnvironmentJob], reading: RowReader
) -> Mapping[str, EnvironmentJob]:
    """Return the newest assessment of each environment, in progress or complete.

    Older jobs are no longer among `jobs`; a row for each environment and request names its last.
    """
    snapshots = await reading.all(services.tables.shared_snapshots.scan(TOPIC))
    places = {
        _job_key(environment_id, one.archive_name)
        for one in snapshots
        if (environment_id := one.id.rpartition("-")[0])
    }
    there = {(job.remediation_id, job.id): job for job in jobs if job.assessment}
    found = await get_rows(services.tables.environment_jobs, sorted(places - there.keys()), reading)
    newest: dict[str, EnvironmentJob] = {}
    for job in (*there.values(), *found):
        known = newest.get(job.environment_id)
        if known is None or _format_begin(job) > _format_begin(known):
            newest[job.environment_id] = job
    return newest


def _job_key(environment_id: str, idempotency_key: str) -> tuple[str, str]:
    """Return partition and key of the job of an assessment that was started with this key."""
    identity = Remediation.id_for(StartSource.API_REQUEST, idempotency_key)
    return identity, environment_job_id(identity, environment_id)


def _format_begin(job: EnvironmentJob) -> str:
    return str(job.history[0].changed_at) if job.history else ""
