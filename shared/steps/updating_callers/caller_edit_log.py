"""Store each caller edit before it is made, so that it can be reverted."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Self

from shared.domain.callers import caller_edit
from shared.domain.callers.caller import CallerContent
from shared.domain.callers.caller_records import CallerEditIntent, CallerRecord, list_active_edits
from shared.domain.callers.unchanged_content import (
    UnchangedContentDigests,
    find_changed_digests,
    hash_surroundings,
)
from shared.jobs.fenced_rows import FencedRows
from shared.steps.step_context import StepContext


class CallerEditLog:
    """The caller edit intents of one job, in order. No intent is ever replaced."""

    def __init__(self, work: StepContext, rows: FencedRows[CallerEditIntent]) -> None:
        """Use `open` instead."""
        self._work = work
        self._rows = rows
        self._intents: dict[str, list[CallerEditIntent]] = defaultdict(list)
        #: The digests that this invocation has recorded, by resource.
        self._recorded: dict[str, Mapping[str, str]] = {}

    @classmethod
    async def open(cls, work: StepContext) -> Self:
        """Return the log of a job.

        Raises `LeaseLost` if another invocation has taken the row over.
        """
        rows = work.held.open_rows(work.services.tables.caller_edit_intents)
        log = cls(work, rows)
        for intent in await rows.read_all():
            log._intents[intent.caller_id].append(intent)
        return log

    def list_active_edits(self, record: CallerRecord) -> tuple[caller_edit.CallerEdit, ...]:
        """Return the edits of a caller that may have been made and are not reverted."""
        return list_active_edits(record, self._intents[record.id])

    def combine_recorded_digests(
        self, records: Sequence[CallerRecord], since: datetime
    ) -> UnchangedContentDigests:
        """Return the digests, recorded since `since`, of the content around these callers."""
        intents = (intent for record in records for intent in self._intents[record.id])
        return UnchangedContentDigests.combine(
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
        """Store the intent of an edit of `value` before it is made.

        Without `edits`, store the intent of a revert. `is_first`: the caller holds none of the
        earlier edits.
        """
        intent = CallerEditIntent(
            job_id=record.job_id,
            caller_id=record.id,
            fencing_token=self._work.job.fencing_token,
            sequence=sum(map(len, self._intents.values())),
            edits=caller_edit.format_edits(edits),
            is_first_edit=is_first,
            surrounding_digests=self._build_digests(record, value),
            noted_at=self._work.services.now,
        )
        await self._rows.upsert(intent)
        self._intents[record.id].append(intent)

    def _build_digests(self, record: CallerRecord, value: CallerContent) -> dict[str, str]:
        if value.surrounding_digests is None:
            return {}
        resource = record.caller.resource_id
        new_digests = find_changed_digests(
            self._recorded.get(resource, {}), value.surrounding_digests
        )
        self._recorded[resource] = value.surrounding_digests
        is_json = self._work.services.callers[record.caller.kind].is_json
        return {
            **new_digests,
            record.id: hash_surroundings(record.id, value.text, is_json=is_json),
        }
