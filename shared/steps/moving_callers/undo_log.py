"""What was to be changed at each caller, noted before it was changed: a log that undoes it."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Self

from shared.domain.callers import edit as caller_edit
from shared.domain.callers.records import CallerIntent, CallerRecord
from shared.jobs.fence import FencedRows
from shared.steps.work import Work


class UndoLog:
    """The intents of one job, in order. None is ever replaced; older leases add none."""

    def __init__(self, work: Work, rows: FencedRows[CallerIntent]) -> None:
        """Use `open`."""
        self._work = work
        self._rows = rows
        self._intents: dict[str, list[CallerIntent]] = defaultdict(list)

    @classmethod
    async def open(cls, work: Work) -> Self:
        """Read the log; raises `LeaseLost`."""
        rows = work.held.rows(work.services.tables.intents)
        log = cls(work, rows)
        for intent in await rows.all():
            log._intents[intent.caller_id].append(intent)
        return log

    def edits(self, record: CallerRecord) -> tuple[caller_edit.ChangedPlace, ...]:
        """Return all that was changed at a caller, or may have been, and still stands."""
        edits = caller_edit.from_json(record.edits)
        for intent in self._intents[record.id]:
            before = () if intent.is_first else edits
            edits = caller_edit.merge(before, caller_edit.from_json(intent.edits))
        return edits

    async def append(
        self, record: CallerRecord, edits: Sequence[caller_edit.ChangedPlace], *, is_first: bool
    ) -> None:
        """Note a change before it is made; `is_first`: no earlier one stands there any more."""
        intents = self._intents[record.id]
        intent = CallerIntent(
            job_id=record.job_id,
            caller_id=record.id,
            lease_number=self._work.job.lease_number,
            sequence=len(intents),
            edits=caller_edit.to_json(edits),
            is_first=is_first,
        )
        await self._rows.upsert(intent)
        intents.append(intent)
