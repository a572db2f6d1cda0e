"""Show the environments that the app knows.

Reads only stored rows, unless every environment of the platform is requested.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from shared.domain.environment import Environment, EnvironmentSettings
from shared.domain.environment_records import PolicyLinkRecord
from shared.domain.kill_switch import KillSwitch
from shared.domain.plans.environment_status import EnvironmentStatus, build_environment_statuses
from shared.domain.plans.remediation import (
    EnvironmentJob,
    Remediation,
    StartSource,
    build_environment_job_id,
)
from shared.domain.plans.support_request import SupportRequest
from shared.domain.solution_setting import SolutionSettingChange
from shared.errors import UnreadableRow
from shared.services import Services
from shared.steps.write_permission import find_kill_switch
from shared.use_cases.read_current_plans import read_current_plans
from shared.use_cases.read_job_index import get_rows, read_known_jobs
from shared.use_cases.read_remediation_rows import RowReader
from shared.use_cases.show_status import read_environment_jobs_newest_first
from shared.use_cases.start_assessment import TOPIC

#: Most excluded and pilot flows whose names are read.
_MOST_NAMED = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownEnvironment:
    """What the app has stored about one environment."""

    environment_id: str
    #: Empty if no row has it and the platform was not asked.
    environment_name: str
    settings: EnvironmentSettings
    #: None: no policy link was seen.
    policy_link: PolicyLinkRecord | None
    #: None: there was no job.
    status: EnvironmentStatus | None
    #: The job of the last assessment; None: there is none, or its job is no longer stored.
    last_assessment: EnvironmentJob | None
    #: The app's last change of the setting for new flows; None: there is none.
    solution_setting: SolutionSettingChange | None
    #: The request to restore its run history; None: there is none.
    support_request: SupportRequest | None
    #: Names of excluded and pilot flows that its current plan lists, by workflow id.
    flow_names: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Return the environment's name, or its id if the name is not known."""
        return self.environment_name or self.environment_id


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownEnvironments:
    """The environments that the app knows, by id, and the kill switch."""

    items: tuple[KnownEnvironment, ...]
    kill_switch: KillSwitch | None
    #: Rows that this version of the app cannot read.
    unreadable_rows: tuple[UnreadableRow, ...]


async def show_environments(services: Services, *, with_platform: bool) -> KnownEnvironments:
    """Return the environments that the store knows.

    `with_platform` adds the other environments of the tenant. Raises `TransientError` if the store
    or the platform does not answer.
    """
    tables, reading = services.tables, RowReader()
    settings = {
        one.environment_id: one
        for one in await reading.list_readable(tables.environment_settings.scan("environment"))
    }
    links = {
        one.environment_id: one
        for one in await reading.list_readable(tables.policy_links.scan("link"))
    }
    changes = {
        one.environment_id: one
        for one in await reading.list_readable(tables.solution_setting_changes.scan("environment"))
    }
    requests = {
        one.environment_id: one
        for one in await reading.list_readable(tables.support_requests.scan("support_request"))
    }
    known = await read_known_jobs(services, reading)
    jobs = await read_environment_jobs_newest_first(services, known, reading)
    plans = await read_current_plans(services, jobs, reading)
    statuses = {
        one.environment_id: one
        for one in build_environment_statuses(jobs, plans, known.flow_jobs, known.closed)
    }
    assessments = await _read_last_assessments(services, jobs, reading)
    elsewhere = await services.environments.list() if with_platform else []
    names = _get_environment_names([*settings.values()], [*links.values()], jobs, elsewhere)
    flow_names = await _read_flow_names(services, settings.values(), statuses, reading)
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
                solution_setting=changes.get(one),
                support_request=requests.get(one),
                flow_names=flow_names.get(one, {}),
            )
            for one in sorted(ids)
        ),
        kill_switch=await find_kill_switch(services),
        unreadable_rows=tuple({row.row: row for row in reading.unreadable}.values()),
    )


def _get_environment_names(
    settings: Sequence[EnvironmentSettings],
    links: Sequence[PolicyLinkRecord],
    jobs: Sequence[EnvironmentJob],
    elsewhere: Sequence[Environment],
) -> dict[str, str]:
    """Return names of environments by id: from the platform, or else from rows."""
    found = [
        *((one.id, one.display_name) for one in elsewhere),
        *((one.environment_id, one.environment_name) for one in links),
        *((one.environment_id, one.environment_name) for one in jobs),
        *((one.environment_id, one.display_name) for one in settings),
    ]
    return {identity: name for identity, name in reversed(found) if name}


async def _read_flow_names(
    services: Services,
    settings: Iterable[EnvironmentSettings],
    statuses: Mapping[str, EnvironmentStatus],
    reading: RowReader,
) -> Mapping[str, Mapping[str, str]]:
    places = [
        (build_environment_job_id(status.remediation_id, one.environment_id), flow)
        for one in settings
        if (status := statuses.get(one.environment_id))
        for flow in sorted(one.excluded_flows | one.pilot_flows)
    ]
    names: dict[str, dict[str, str]] = {}
    jobs = {
        build_environment_job_id(one.remediation_id, one.environment_id): one.environment_id
        for one in statuses.values()
    }
    found = await get_rows(services.tables.plan_items, places[:_MOST_NAMED], reading)
    for item in found:
        environment_id = jobs[item.environment_job_id]
        names.setdefault(environment_id, {})[item.workflow_id] = item.display_name
    return names


async def _read_last_assessments(
    services: Services, jobs: Sequence[EnvironmentJob], reading: RowReader
) -> Mapping[str, EnvironmentJob]:
    """Return the newest assessment of each environment, in progress or ended.

    `jobs` may lack it, so it is also found by the row that names the last assessment of an
    environment and request.
    """
    snapshots = await reading.list_readable(services.tables.shared_snapshots.scan(TOPIC))
    places = {
        _build_job_key(environment_id, one.archive_name)
        for one in snapshots
        if (environment_id := one.id.rpartition("-")[0])
    }
    there = {(job.remediation_id, job.id): job for job in jobs if job.assessment}
    found = await get_rows(services.tables.environment_jobs, sorted(places - there.keys()), reading)
    newest: dict[str, EnvironmentJob] = {}
    for job in (*there.values(), *found):
        known = newest.get(job.environment_id)
        if known is None or _format_started_at(job) > _format_started_at(known):
            newest[job.environment_id] = job
    return newest


def _build_job_key(environment_id: str, idempotency_key: str) -> tuple[str, str]:
    identity = Remediation.derive_id_for(StartSource.API_REQUEST, idempotency_key)
    return identity, build_environment_job_id(identity, environment_id)


def _format_started_at(job: EnvironmentJob) -> str:
    return str(job.history[0].changed_at) if job.history else ""
