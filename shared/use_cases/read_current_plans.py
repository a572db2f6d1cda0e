"""Read the current plan of each environment from few rows, because it is read every minute."""

from collections.abc import Sequence

from shared.domain.plans.current_plan import CurrentPlan, find_current_plan, find_newest_plans
from shared.domain.plans.not_migrated import (
    count_flows_not_included,
    count_flows_without_job,
    count_not_migrated,
)
from shared.domain.plans.plan_item import NotMigratedReason, PlanItem, PlannedAction
from shared.domain.plans.remediation import EnvironmentJob, PlanKept
from shared.ports import Condition
from shared.services import Services
from shared.use_cases.read_remediation_rows import RowReader


async def read_current_plans(
    services: Services, environment_jobs: Sequence[EnvironmentJob], reading: RowReader
) -> dict[str, CurrentPlan]:
    """Return the current plan of each environment that has one, by environment id."""
    plans = {}
    for environment_id, jobs in find_newest_plans(environment_jobs).items():
        if len(jobs) == 1:
            items = {jobs[0].id: await read_items_needing_changes(services, jobs[0], reading)}
        else:
            *newer, oldest = jobs
            items = {
                job.id: await reading.list_readable(services.tables.plan_items.scan(job.id))
                for job in newer
            }
            items[oldest.id] = await _read_items_without_job(services, oldest, reading)
        plans[environment_id] = find_current_plan(jobs, items)
    return plans


async def _read_items_without_job(
    services: Services, job: EnvironmentJob, reading: RowReader
) -> list[PlanItem]:
    """Return the items of a plan that have no job, and possibly others."""
    expected, table = sum((job.not_migrated or {}).values()), services.tables.plan_items
    if job.mode.writes and not count_flows_without_job(job):
        if not expected:
            return []
        items: list[PlanItem] = []
        for action in (PlannedAction.NEEDS_CHANGES, PlannedAction.NO_CHANGE):
            where = [Condition("action", "eq", action)]
            items += await RowReader().list_readable(table.scan(job.id, where=where))
        if sum(count_flows_not_included(job.mode, items).values()) >= expected:
            return items
    return await reading.list_readable(table.scan(job.id))


async def read_items_needing_changes(
    services: Services, job: EnvironmentJob, reading: RowReader
) -> list[PlanItem]:
    """Return the items of a plan that need changes first."""
    expected = count_not_migrated([job], []).get(NotMigratedReason.NEEDS_CHANGES, 0)
    if not expected or job.plan_kept is not PlanKept.WHOLE:
        return []
    table = services.tables.plan_items
    where = [Condition("action", "eq", PlannedAction.NEEDS_CHANGES)]
    items = await RowReader().list_readable(table.scan(job.id, where=where))
    if len(items) < expected:  # rows of earlier versions lack the column
        items = await reading.list_readable(table.scan(job.id))
    return [item for item in items if item.needs_changes]
