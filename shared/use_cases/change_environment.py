"""List environments with their settings, and change the settings."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from shared.alerts import read_readable
from shared.domain.environment import Environment, EnvironmentSettings
from shared.errors import Conflict, NotFound
from shared.jobs.job_kinds import DELETION, FLOW
from shared.logs.fields import get_product_log
from shared.ports import Condition
from shared.reason import Reason
from shared.services import Services
from shared.steps.write_permission import read_environment_settings
from shared.use_cases.change_remediation import retry_job
from shared.use_cases.known_issues import RESOLVED_BY_NAME, require_known_issues
from shared.use_cases.name_flows import require_workflow_ids

log = get_product_log(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentView:
    """An environment as the platform describes it, with its settings."""

    environment: Environment
    settings: EnvironmentSettings


async def list_environments(services: Services) -> list[EnvironmentView]:
    """Return the environments of the tenant, ordered by id."""
    rows = read_readable(services, services.tables.environment_settings.scan())
    decided = {kept.item.environment_id: kept.item async for kept in rows}
    return [
        EnvironmentView(
            environment=item,
            settings=decided.get(item.id, EnvironmentSettings(environment_id=item.id)),
        )
        for item in sorted(await services.environments.list(), key=lambda one: one.id)
    ]


async def show_environment(services: Services, environment_id: str) -> EnvironmentView:
    """Return an environment with its settings. Raises `NotFound` if the app cannot find it."""
    environment = await services.environments.get(environment_id)
    return EnvironmentView(
        environment=environment, settings=await read_environment_settings(services, environment.id)
    )


async def change_environment(
    services: Services,
    environment_id: str,
    changes: Mapping[str, Any],
    *,
    check: Callable[[EnvironmentView], None] = lambda _: None,
) -> EnvironmentView:
    """Change the settings in `changes`, by field.

    `check` receives the settings before the change and may raise. Raises `NotFound` for an unknown
    environment, and `IssueNotFound` or `FlowNotFound` for an unknown issue or flow, unless the
    settings already contain it.
    """
    environment = await services.environments.get(environment_id)
    accepted = await read_environment_settings(services, environment.id)
    if names := changes.get("ignored_issues"):
        new = [one for one in names if one not in accepted.ignored_issues]
        await require_known_issues(services, environment, new)
    for field in ("excluded_flows", "pilot_flows"):
        if field in changes:
            there = getattr(accepted, field)
            new = [one for one in changes[field] if one.lower() not in there]
            kept = there & {one.lower() for one in changes[field]}
            added = await require_workflow_ids(services, [environment], new)
            changes = {**changes, field: kept | frozenset(added.values())}

    def apply_changes(old: EnvironmentSettings) -> EnvironmentSettings:
        check(EnvironmentView(environment=environment, settings=old))
        return replace(old, **changes)

    settings = await _change_settings(services, environment, apply_changes)
    if "maintenance_window" in changes:
        await _wake_up_jobs_outside_window(services, environment.id)
    if changes.get("observe_callers") is False:
        await services.tables.observed_callers.clear(environment.id)
    if changes.get("report_failed_runs") is False:
        await _delete_failed_run_report(services, environment.id)
    return EnvironmentView(environment=environment, settings=settings)


async def _delete_failed_run_report(services: Services, environment_id: str) -> None:
    table = services.tables.failed_run_reports
    if kept := await table.get("failed_runs", environment_id):
        with suppress(NotFound, Conflict):
            await table.delete(kept)


async def _wake_up_jobs_outside_window(services: Services, environment_id: str) -> None:
    where = [Condition("reason_code", "eq", Reason.OUTSIDE_MAINTENANCE_WINDOW)]
    tables = services.tables
    async for job in read_readable(services, tables.flow_jobs.scan(environment_id, where=where)):
        await FLOW.wake_up(
            services, (environment_id, job.item.id), code=Reason.OUTSIDE_MAINTENANCE_WINDOW
        )
    async for deletion in read_readable(services, tables.deletions.scan(environment_id)):
        place = (environment_id, deletion.item.job_id)
        await DELETION.wake_up(services, place, code=Reason.OUTSIDE_MAINTENANCE_WINDOW)


async def ignore_issue(services: Services, environment_id: str, gap: str, reason: str) -> int:
    """Ignore an issue, retry the jobs that such issues block, and return their number.

    An issue is a firewall issue, a blocked call, or a reason why a flow could not be turned on
    again. A job that another issue blocks is blocked again. Raises `IssueNotFound` if no issue has
    this name.
    """
    environment = await services.environments.get(environment_id)
    await require_known_issues(services, environment, [gap])
    await _change_settings(
        services,
        environment,
        lambda old: replace(old, ignored_issues={**old.ignored_issues, gap: reason}),
    )
    blocked = [
        kept.item
        for code in RESOLVED_BY_NAME
        async for kept in read_readable(
            services,
            services.tables.flow_jobs.scan(
                environment.id, where=[Condition("reason_code", "eq", code)]
            ),
        )
        if kept.item.needs_action
    ]
    for job in blocked:
        await retry_job(services, job)
    return len(blocked)


async def _change_settings(
    services: Services,
    environment: Environment,
    change: Callable[[EnvironmentSettings], EnvironmentSettings],
) -> EnvironmentSettings:
    new = EnvironmentSettings(environment_id=environment.id)

    def apply_change(old: EnvironmentSettings | None) -> EnvironmentSettings:
        nonlocal new
        new = change(old or EnvironmentSettings(environment_id=environment.id))
        new = replace(new, display_name=environment.display_name)
        return new

    await services.tables.environment_settings.change("environment", environment.id, apply_change)
    log.info("settings of environment %s changed: %s", environment.id, new)
    return new
