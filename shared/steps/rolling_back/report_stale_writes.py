"""Report values that a suspended invocation overwrote at places without an ETag.

Values that a caller edit intent records are reverted by the job of that intent. Other values are
stored nowhere.
"""

from collections import defaultdict
from datetime import datetime
from functools import partial

from shared.alerts import read_readable, send_alert
from shared.domain.callers.caller_records import CallerRecord
from shared.domain.callers.unchanged_content import hash_surroundings
from shared.domain.jobs.transitions import add_notes
from shared.errors import NotFound
from shared.ports import KeepsVersions
from shared.reason import Reason
from shared.steps.step_context import StepContext
from shared.steps.updating_callers.caller_edit_log import CallerEditLog
from shared.steps.updating_callers.record_callers import holds_copy, holds_original


async def report_stale_writes(work: StepContext, *, since: datetime) -> None:
    """Report values that an interrupted invocation changed back to what it had read.

    Reads and writes before `since` cannot be of that invocation.
    """
    log = await CallerEditLog.open(work)
    resources: dict[str, list[CallerRecord]] = defaultdict(list)
    for record in await work.callers.read_all():
        resources[record.caller.resource_id].append(record)
    found = [
        place
        for records in resources.values()
        for place in await _find_overwritten_places(work, log, records, since)
    ]
    if not found:
        return
    cause = (
        "A suspended invocation continued late and wrote older values, found at "
        f"{work.services.now:%Y-%m-%d %H:%M} UTC: {', '.join(found)}."
    )
    await send_alert(
        work.services,
        Reason.STALE_WRITE,
        work.services.tables.flow_jobs.get_row_name(work.job),
        cause,
    )
    await work.save(add_notes(work.job, cause))


async def _find_overwritten_places(
    work: StepContext, log: CallerEditLog, records: list[CallerRecord], since: datetime
) -> list[str]:
    surroundings = log.combine_recorded_digests(records, since)
    if len(surroundings.digests) < 2:
        return []  # no later invocation read this resource
    now: dict[str, str] = {}
    versions: dict[str, list[str]] = {}
    for record in records:
        kind = work.services.callers[record.caller.kind]
        try:
            value = await kind.read(record.caller)
        except NotFound:
            continue
        now |= value.surrounding_digests or {}
        if record.id in surroundings.caller_ids:
            outer = partial(hash_surroundings, record.id, is_json=kind.is_json)
            now[record.id] = outer(value.text)
            if isinstance(kind, KeepsVersions):
                texts = await kind.read_texts_since(record.caller, since)
                versions[record.id] = [outer(text) for text in texts]
    labels = {record.id: record.caller.label for record in records}
    found = surroundings.find_reverted_addresses(now, versions)
    if found - labels.keys():
        found -= await _find_checked_callers(work, records[0].caller.resource_id)
    return sorted(labels.get(place, place) for place in found)


async def _find_checked_callers(work: StepContext, resource: str) -> set[str]:
    """Return the addresses of callers that are as their job left them or that it still checks."""
    services, checked = work.services, set[str]()
    jobs = {
        kept.item.id: kept.item
        async for kept in read_readable(services, services.tables.flow_jobs.scan())
    }
    async for found in read_readable(services, services.tables.callers.scan()):
        record = found.item
        job, caller = jobs.get(record.job_id), record.caller
        if job is None or caller.resource_id != resource:
            continue
        is_wrong = holds_copy if job.has_original_restored else holds_original
        if not job.is_inactive or not await is_wrong(services, job, caller):
            checked.add(caller.address)
    return checked
