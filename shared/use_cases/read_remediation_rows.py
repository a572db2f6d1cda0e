"""Read a remediation and its rows."""

from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import contextmanager

from shared.domain.jobs.flow_job import FlowJob
from shared.domain.plans.plan_item import PlanItem
from shared.domain.plans.remediation import Remediation
from shared.errors import JobBlocked, NotFound, UnreadableRow
from shared.ports import Condition
from shared.reason import Reason
from shared.services import Services
from shared.state.rows import StoredItem
from shared.use_cases.name_flows import select_flows


class RowReader:
    """Reads rows for display, and collects unreadable rows, which do not affect others."""

    def __init__(self) -> None:
        self.unreadable: list[UnreadableRow] = []

    async def list_readable[T](self, rows: AsyncIterator[StoredItem[T] | UnreadableRow]) -> list[T]:
        """Return the readable items of a scan, and collect its unreadable rows."""
        return [item async for item in self.read_readable(rows)]

    async def read_readable[T](
        self, rows: AsyncIterator[StoredItem[T] | UnreadableRow]
    ) -> AsyncIterator[T]:
        """Yield the readable items of a scan, and collect its unreadable rows."""
        async for row in self.read_each_row(rows):
            yield row.item

    async def read_each_row[T](
        self, rows: AsyncIterator[StoredItem[T] | UnreadableRow]
    ) -> AsyncIterator[StoredItem[T]]:
        """Yield the readable rows of a scan, and collect its unreadable rows."""
        async for row in rows:
            if isinstance(row, UnreadableRow):
                self.unreadable.append(row)
            else:
                yield row

    @contextmanager
    def collect_unreadable(self) -> Iterator[None]:
        """Collect the `UnreadableRow` that the block raises, if any."""
        try:
            yield
        except UnreadableRow as err:
            self.unreadable.append(err)


async def read_jobs(
    services: Services, remediation_id: str, reading: RowReader | None = None
) -> list[FlowJob]:
    """Return the flow jobs of a remediation.

    Raises `NotFound` if the remediation does not exist. Collects unreadable rows in `reading`.
    Without it, raises `UnreadableRow`.
    """
    return [kept.item for kept in await read_job_rows(services, remediation_id, reading)]


async def read_job_rows(
    services: Services, remediation_id: str, reading: RowReader | None = None
) -> list[StoredItem[FlowJob]]:
    """Return the rows of the flow jobs of a remediation. Raises the errors of `read_jobs`."""
    remediation, table = await get_remediation(services, remediation_id), services.tables.flow_jobs
    where = [Condition("remediation_id", "eq", remediation_id)]
    kept: list[StoredItem[FlowJob]] = []
    for environment_id in remediation.environment_ids:
        rows = (table.scan if reading else table.query)(environment_id, where=where)
        kept += [row async for row in (reading or RowReader()).read_each_row(rows)]
    return kept


async def get_remediation(services: Services, remediation_id: str) -> Remediation:
    """Return the remediation with this id. Raises `NotFound` if it does not exist."""
    kept = await services.tables.remediations.get("remediation", remediation_id)
    if kept is None:
        message = f"No remediation {remediation_id}."
        raise NotFound(message)
    return kept.item


def reject_self_approval(services: Services, remediation: Remediation, by_id: str) -> None:
    """Raise `JobBlocked` if the approver is the person who started the remediation.

    Compares object ids. A request with a function key has none, so it is not rejected. The setting
    `allow_self_approval` permits all.
    """
    if by_id and by_id == remediation.started_by_id and not services.settings.allow_self_approval:
        raise JobBlocked(
            f"{remediation.started_by} started this remediation and cannot approve it.",
            code=Reason.SELF_APPROVAL_NOT_ALLOWED,
        )


def select_named_jobs[T: FlowJob | PlanItem](jobs: list[T], flow_ids: Collection[str]) -> list[T]:
    """Return the jobs of these flows, or all jobs if no flow is given.

    Raises `FlowNotFound` for an unknown flow and for a name that several have.
    """
    return select_flows(jobs, flow_ids, "this remediation's jobs") if flow_ids else jobs
