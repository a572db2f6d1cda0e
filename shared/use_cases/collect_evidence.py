"""Read all records of one remediation, as evidence.

Only some flows of a large remediation are in memory at a time.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from shared.domain.callers.caller_records import CallerEditIntent, CallerRecord
from shared.domain.conversions.preview import convert_definition
from shared.domain.definitions.comparison import hash_definition
from shared.domain.jobs.change_records import ChangeRecord, list_change_records
from shared.domain.jobs.deletion import Deletion
from shared.domain.jobs.durable_job import HistoryEntry
from shared.domain.jobs.flow_job import FlowJob, MigrationMethod
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.jobs.run_archive import RunArchive, format_part_name
from shared.domain.network.blocked_call import BlockedCall
from shared.domain.network.firewall_fix_record import FirewallFixRecord
from shared.domain.plans.plan_approval import build_approved_plan_name
from shared.domain.plans.plan_item import PlanItem
from shared.domain.plans.remediation import ApprovedPlan, EnvironmentJob, Remediation
from shared.errors import NotFound
from shared.ports import Condition
from shared.services import Services
from shared.steps.flows.read_original_facts import build_definition_archive_name
from shared.use_cases.observed_callers import CallersOfOriginal, read_observed_callers_of_job
from shared.use_cases.read_audit_evidence import AuditReader
from shared.use_cases.read_remediation_rows import RowReader, get_remediation

#: Number of flows whose callers are read at a time, with two queries each.
_AT_A_TIME = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowEvidence:
    """The records of the migration of one original."""

    job: FlowJob
    callers: tuple[CallerRecord, ...]
    changes: tuple[ChangeRecord, ...]
    deletion: Deletion | None
    run_archive: RunArchive | None
    #: None: nobody called the original after its known callers were updated, or the app did not
    #: read the calls.
    observed_callers: CallersOfOriginal | None

    @property
    def verification(self) -> HistoryEntry | None:
        """Return the history entry of the last verification of the copy, or None."""
        history = reversed(self.job.history)
        return next((one for one in history if one.state == FlowJobState.VERIFIED), None)

    @property
    def pending_callers(self) -> tuple[CallerRecord, ...]:
        """Return the known callers that still refer to the original."""
        return tuple(one for one in self.callers if one.is_pending)


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceReader:
    """Reads the records of one remediation."""

    services: Services
    remediation: Remediation
    environment_jobs: tuple[EnvironmentJob, ...]
    firewall_fixes: tuple[FirewallFixRecord, ...]
    blocked_calls: tuple[BlockedCall, ...]
    audit: AuditReader
    #: Collects rows that this version of the app cannot read.
    reading: RowReader = field(default_factory=RowReader)

    def read_plan_items(self, job: EnvironmentJob) -> AsyncIterator[PlanItem]:
        """Yield the plan items of one environment."""
        return self.reading.read_readable(self.services.tables.plan_items.scan(job.id))

    async def read_approved_plan(self, job: EnvironmentJob, approved: ApprovedPlan) -> bytes:
        """Return an approved plan as it was archived.

        Raises `NotFound` if the remediation has no such plan.
        """
        return await self.services.archive.get(build_approved_plan_name(job.id, approved.version))

    async def read_flows(self, job: EnvironmentJob) -> AsyncIterator[FlowEvidence]:
        """Yield the records of each flow of one environment, ordered by job id."""
        tables, environment_id = self.services.tables, job.environment_id
        deletions = await self.reading.list_readable(tables.deletions.scan(environment_id))
        archives = await self.reading.list_readable(tables.run_archives.scan(environment_id))
        deletion_of = {one.job_id: one for one in deletions}
        observed = await self.reading.list_readable(tables.observed_callers.scan(environment_id))
        called = {one.job_id for one in observed}
        archive_of = {one.job_id: one for one in archives}
        where = [Condition("remediation_id", "eq", self.remediation.id)]
        async for jobs in _split_into_batches(
            self.reading.read_readable(tables.flow_jobs.scan(environment_id, where=where))
        ):
            found = await asyncio.gather(*(self._read_caller_rows(one) for one in jobs))
            for one, (callers, intents, converted) in zip(jobs, found, strict=True):
                deletion = deletion_of.get(one.id)
                changes = list_change_records(one, callers, intents, deletion, converted=converted)
                yield FlowEvidence(
                    job=one,
                    callers=tuple(callers),
                    changes=tuple(changes),
                    deletion=deletion,
                    run_archive=archive_of.get(one.id),
                    observed_callers=await read_observed_callers_of_job(
                        self.services, one, self.reading
                    )
                    if one.id in called
                    else None,
                )

    async def read_run_part(self, archive: RunArchive, number: int) -> bytes:
        """Return a part of an archived run history as JSON Lines.

        Raises `NotFound` if the archive does not contain it.
        """
        return await self.services.archive.get(format_part_name(archive, number))

    async def _read_caller_rows(
        self, job: FlowJob
    ) -> tuple[Sequence[CallerRecord], Sequence[CallerEditIntent], str]:
        tables, reading = self.services.tables, self.reading
        callers = await reading.list_readable(tables.callers.scan(job.id))
        intents = await reading.list_readable(tables.caller_edit_intents.scan(job.id))
        return callers, intents, await self._compute_digest_of_converted_definition(job)

    async def _compute_digest_of_converted_definition(self, job: FlowJob) -> str:
        if job.migration_method is not MigrationMethod.EDIT_DEFINITION or not job.archive_name:
            return ""
        try:
            archived = await self.services.archive.get(build_definition_archive_name(job))
        except NotFound:
            return ""
        return hash_definition(convert_definition(archived.decode(), job.conversions).client_data)


async def read_evidence(services: Services, remediation_id: str) -> EvidenceReader:
    """Return a reader of a remediation's records. Raises `NotFound` if it does not exist."""
    remediation, reading, tables = (
        await get_remediation(services, remediation_id),
        RowReader(),
        services.tables,
    )
    environments = set(remediation.environment_ids)
    jobs = await reading.list_readable(tables.environment_jobs.scan(remediation_id))
    repairs = await reading.list_readable(tables.firewall_fixes.scan("firewall_fix"))
    refused: list[BlockedCall] = []
    for environment_id in remediation.environment_ids:
        refused += await reading.list_readable(tables.blocked_calls.scan(environment_id))
    return EvidenceReader(
        services=services,
        remediation=remediation,
        environment_jobs=tuple(jobs),
        firewall_fixes=tuple(one for one in repairs if environments & {*one.environment_ids}),
        blocked_calls=tuple(refused),
        audit=AuditReader(services=services, remediation=remediation, reading=reading),
        reading=reading,
    )


async def _split_into_batches[T](items: AsyncIterator[T]) -> AsyncIterator[list[T]]:
    batch: list[T] = []
    async for item in items:
        batch.append(item)
        if len(batch) == _AT_A_TIME:
            yield batch
            batch = []
    if batch:
        yield batch
