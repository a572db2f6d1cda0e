"""Find a remediation and the rows that belong to it."""

from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import contextmanager

from shared.domain.jobs.flow_job import FlowJob
from shared.domain.plans.plan_item import PlanItem
from shared.domain.plans.remediation import Remediation
from shared.errors import JobBlocked, NotFound, UnreadableRow
from shared.ports import Condition
from shared.reason import Reason
from shared.rows import StoredItem
from shared.services import Services
from shared.use_cases.name_flows import select_flows


class RowReader:
    """Reads rows for people: one that cannot be read is noted, and holds up no other."""

    def __init__(self) -> None:
        self.unreadable: list[UnreadableRow] = []

    async def all[T](self, rows: AsyncIterator[StoredItem[T] | UnreadableRow]) -> list[T]:
        """Return the items of a scan that can be read; note the other rows."""
        return [item async for item in self.each(rows)]

    async def each[T](self, rows: AsyncIterator[StoredItem[T] | UnreadableRow]) -> AsyncIterator[T]:
        """Yield the items of a scan that can be read; note the other rows."""
        async for row in rows:
            if isinstance(row, UnreadableRow):
                self.unreadable.append(row)
            else:
                yield row.item

    @contextmanager
    def one(self) -> Iterator[None]:
        """Note a row that cannot be read in what is done with one of many."""
        try:
            yield
        except UnreadableRow as err:
            self.unreadable.append(err)


async def jobs_of(
    services: Services, remediation_id: str, reading: RowReader | None = None
) -> list[FlowJob]:
    """Return the flow jobs of a remediation.

    Raises `NotFound`; without a `reading`, `UnreadableRow` too.
    """
    remediation, table = await find(services, remediation_id), services.tables.flow_jobs
    where = [Condition("remediation_id", "eq", remediation_id)]
    jobs: list[FlowJob] = []
    for environment_id in remediation.environment_ids:
        rows = (table.scan if reading else table.query)(environment_id, where=where)
        jobs += await (reading or RowReader()).all(rows)
    return jobs


async def find(services: Services, remediation_id: str) -> Remediation:
    """Return a remediation; raises `NotFound`."""
    kept = await services.tables.remediations.get("remediation", remediation_id)
    if kept is None:
        message = f"There is no remediation {remediation_id}."
        raise NotFound(message)
    return kept.item


def reject_self_approval(services: Services, remediation: Remediation, by_id: str) -> None:
    """Raise `JobBlocked` where whoever ordered it, by object id, is to approve of it too.

    Who has no id cannot be told from others: whoever holds the function key.
    """
    if by_id and by_id == remediation.started_by_id and not services.settings.allow_self_approval:
        raise JobBlocked(
            f"{remediation.started_by} has ordered this remediation, and cannot approve it too.",
            code=Reason.SELF_APPROVAL_NOT_ALLOWED,
        )


def named_jobs[T: FlowJob | PlanItem](jobs: list[T], flow_ids: Collection[str]) -> list[T]:
    """Return the jobs of these flows (none named: all).

    Raises `FlowNotFound` for a missing one, and for a title that several have.
    """
    return select_flows(jobs, flow_ids, "this remediation's jobs") if flow_ids else jobs
