"""Write the callers in one resource in one go: an app restarts with each write of its settings.

What a change was is noted before it is made.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from shared.domain.callers import caller_edit
from shared.domain.callers.caller import FILLED_IN, Caller, CallerContent
from shared.domain.callers.caller_records import CallerRecord, CallerState
from shared.errors import CmkflowError, Conflict, JobBlocked
from shared.ports import CallerKind, WritesWholeResource
from shared.reason import Reason
from shared.steps.flows.lease_resource import LeasedResource
from shared.steps.flows.read_back import poll, wait_until_visible
from shared.steps.step_context import StepContext
from shared.steps.updating_callers.caller_edit_log import CallerEditLog
from shared.steps.updating_callers.record_callers import is_child_reference, manual_reason
from shared.steps.updating_callers.save_places import (
    NotSaved,
    Values,
    holds_value,
    labels,
    permit_caller,
    read_places,
    read_to_write,
    write_places,
)

#: Times a resource that somebody else is editing is read and written again in one delivery.
TRIES = 4

#: Texts by the address of the caller that holds them; they may hold signatures.
type Texts = dict[str, str]


@dataclass(slots=True, kw_only=True)
class CallerWriter:
    """A job whose callers in one resource are to be written."""

    work: StepContext
    log: CallerEditLog
    #: The copy's trigger URL by the id in the original's.
    urls: Mapping[str, str] = field(repr=False)
    #: Those that are not settled yet.
    records: list[CallerRecord]

    async def prepare(self, standing: Mapping[str, CallerContent], texts: Texts) -> Texts:
        """Note what is to be changed; return the texts with this job's URL in them.

        `standing` is what stands there now, by address. Keeps of a caller in which nothing is to be
        changed what has become of it. Raises as `StepContext.permit_write` does.
        """
        texts, kept = dict(texts), list[CallerRecord]()
        for record in self.records:
            value = standing.get(record.caller.address)
            if value is None:
                kept.append(replace(record, state=CallerState.NOT_NEEDED))
                continue
            text = texts[record.caller.address]
            record, texts[record.caller.address] = await self._rewrite(record, value, text)
            kept.append(record)
        # Of what is to be written the log tells.
        settled = [record for record in kept if record.state is not CallerState.WRITING]
        await self.work.callers.upsert(*settled)
        self.records = [record for record in kept if record not in settled]
        return texts

    async def _rewrite(
        self, record: CallerRecord, value: CallerContent, text: str
    ) -> tuple[CallerRecord, str]:
        """Return how far the change of a caller is, and the text that is to stand there."""
        work, job = self.work, self.work.job
        is_json = work.services.callers[record.caller.kind].is_json
        flow_ids = {job.original_id: job.copy_id} if is_child_reference(job, record.caller) else {}
        rewritten = caller_edit.replace_references(
            text, is_json=is_json, urls=self.urls, flow_ids=flow_ids
        )
        has_copy = caller_edit.contains_reference(
            value.text, is_json=is_json, urls={job.copy_url_id} - {""}, flow_ids={job.copy_id}
        )
        if rewritten.text != text:
            await work.check_write_allowed()
            if await manual_reason(work.services, job, record.caller):
                return replace(record, state=CallerState.MANUAL), text
            await self.log.append(record, value, rewritten.edits, is_first=not has_copy)
            return replace(record, state=CallerState.WRITING), rewritten.text
        if has_copy and self.log.edits(record):
            # A delivery that died wrote the value; what hangs on it may be missing.
            await permit_caller(work, record.caller)
            return replace(record, state=CallerState.WRITING), text
        if rewritten.not_replaced:
            record = replace(record, caller=replace(record.caller, manual=FILLED_IN))
            return replace(record, state=CallerState.MANUAL), text
        return replace(record, state=CallerState.NOT_NEEDED), text

    async def is_free(self) -> bool:
        """Say whether its row is held and nobody has ordered anything else of it."""
        try:
            await self.work.held.renew()
        except CmkflowError:
            return False
        return self.work.job.requested is None

    async def updated(self) -> None:
        """Keep that what was written is there."""
        done = [replace(record, state=CallerState.UPDATED) for record in self.records]
        await self.work.callers.upsert(*done)


async def write_callers(
    resource: LeasedResource, first: CallerWriter, others: Sequence[CallerWriter] = ()
) -> list[CallerWriter]:
    """Write the callers of some jobs in one resource, and read them back; returns the other jobs.

    They are rewritten for one job after the other, as if each had written by itself: so each can be
    undone by itself. The first is this delivery's own: raises `JobBlocked` if the content is
    refused, or does not stay. Another one with which something is wrong is left out: its own
    delivery finds what it is.
    """
    work, tries, values = first.work, 0, list[tuple[Caller, CallerContent]]()
    while tries < TRIES:
        callers = _callers(first, *others)
        if not callers:
            return []
        kind = work.services.callers[callers[0].kind]
        standing = await read_to_write(work, kind, callers)
        texts = {address: value.text for address, value in standing.items()}
        texts = await first.prepare(standing, texts)
        others, texts = await _prepared(others, standing, texts)
        free = [other for other in others if await other.is_free()]
        if len(free) < len(others):
            others = free
            continue
        values = [
            (caller, replace(standing[caller.address], text=texts[caller.address]))
            for caller in _callers(first, *others)
        ]
        if not values:
            return []
        try:
            await write_places(work, resource, kind, values, standing)
        except Conflict:
            tries += 1
            continue
        except JobBlocked as err:
            if isinstance(err, NotSaved) or not others:
                raise
            others = []  # whose URL is refused each finds by itself
            continue
        tries += 1
        if isinstance(kind, WritesWholeResource) or await _is_seen(work, kind, values):
            await first.updated()
            return await _updated(others)
    await wait_until_visible(work, f"The new URL of {labels(values)}")
    raise JobBlocked(
        f"{labels(values)} does not keep the new URL: something else writes it.",
        instruction="Find out what resets this value and change it there, then retry.",
        code=Reason.CALLER_WRITE_LOST,
    )


def _callers(*movers: CallerWriter) -> list[Caller]:
    """Return each place once: several jobs may have their URLs in it."""
    found = {one.caller.address: one.caller for mover in movers for one in mover.records}
    return [*found.values()]


async def _prepared(
    others: Sequence[CallerWriter], standing: Mapping[str, CallerContent], texts: Texts
) -> tuple[list[CallerWriter], Texts]:
    """Return the other jobs that go on, and the texts with their URLs in them."""
    stay = []
    for other in others:
        with suppress(CmkflowError, caller_edit.EditConflict):
            texts = await other.prepare(standing, texts)
            stay.append(other)
    return stay, texts


async def _updated(others: Sequence[CallerWriter]) -> list[CallerWriter]:
    """Keep what was written for other jobs; what is not kept, their own deliveries see."""
    done = []
    for other in others:
        with suppress(CmkflowError):
            await other.updated()
            done.append(other)
    return done


async def _is_seen(work: StepContext, kind: CallerKind, values: Values) -> bool:
    callers = [caller for caller, _ in values]
    async for _ in poll(work):
        now = await read_places(kind, callers)
        if all(
            one.address in now and holds_value(kind, now[one.address], value)
            for one, value in values
        ):
            return True
    return False
