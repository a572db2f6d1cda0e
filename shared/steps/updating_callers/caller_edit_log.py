"""What was to be changed at each caller, noted before it was changed: a log that undoes it."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Self

from shared.domain.callers import caller_edit
from shared.domain.callers.caller import CallerContent
from shared.domain.callers.caller_records import CallerEditIntent, CallerRecord, active_edits
from shared.domain.callers.unchanged_content import (
    UnchangedContentDigests,
    changed_digests,
    surrounding_digest,
)
from shared.jobs.fenced_rows import FencedRows
from shared.steps.step_context import StepContext


class CallerEditLog:
    """The intents of one job, in order. None is ever replaced; older leases add none."""

    def __init__(self, work: StepContext, rows: FencedRows[CallerEditIntent]) -> None:
        """Use `open`."""
        self._work = work
        self._rows = rows
        self._intents: dict[str, list[CallerEditIntent]] = defaultdict(list)
        #: What this delivery has noted, by resource.
        self._noted: dict[str, Mapping[str, str]] = {}

    @classmethod
    async def open(cls, work: StepContext) -> Self:
        """Read the log; raises `LeaseLost`."""
        rows = work.held.rows(work.services.tables.caller_edit_intents)
        log = cls(work, rows)
        for intent in await rows.all():
            log._intents[intent.caller_id].append(intent)
        return log

    def edits(self, record: CallerRecord) -> tuple[caller_edit.CallerEdit, ...]:
        """Return all that was changed at a caller, or may have been, and still stands."""
        return active_edits(record, self._intents[record.id])

    def surroundings(
        self, records: Sequence[CallerRecord], since: datetime
    ) -> UnchangedContentDigests:
        """Return what each delivery noted since then around these callers of one resource."""
        intents = (intent for record in records for intent in self._intents[record.id])
        return UnchangedContentDigests.at(
            one for one in intents if one.noted_at and one.noted_at >= since
        )

    async def append(
        self,
        record: CallerRecord,
        value: CallerContent,
        edits: Sequence[caller_edit.CallerEdit] = (),
        *,
        is_first: bool = False,
    ) -> None:
        """Note a change of `value` before it is made, or by no edits one that is undone.

        `is_first`: no earlier one stands there any more.
        """
        intent = CallerEditIntent(
            job_id=record.job_id,
            caller_id=record.id,
            fencing_token=self._work.job.fencing_token,
            sequence=sum(map(len, self._intents.values())),
            edits=caller_edit.edits_to_json(edits),
            is_first_edit=is_first,
            surrounding_digests=self._news(record, value),
            noted_at=self._work.services.now,
        )
        await self._rows.upsert(intent)
        self._intents[record.id].append(intent)

    def _news(self, record: CallerRecord, value: CallerContent) -> dict[str, str]:
        if value.surrounding_digests is None:
            return {}
        resource = record.caller.resource_id
        news = changed_digests(self._noted.get(resource, {}), value.surrounding_digests)
        self._noted[resource] = value.surrounding_digests
        is_json = self._work.services.callers[record.caller.kind].is_json
        return {**news, record.id: surrounding_digest(record.id, value.text, is_json=is_json)}
