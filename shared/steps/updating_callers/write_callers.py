"""Write all callers in one resource, with one request if possible, because an app restarts with
each write of its settings.

Each edit is recorded before it is made.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from shared.domain.callers import caller_edit
from shared.domain.callers.caller import FILLED_IN, Caller, CallerContent
from shared.domain.callers.caller_edit import CallerEdit, RewrittenText
from shared.domain.callers.caller_records import CallerRecord, CallerState
from shared.domain.callers.url_secret import is_url_secret_reference
from shared.domain.jobs.flow_job import FlowJob
from shared.domain.jobs.transitions import add_notes
from shared.errors import CmkflowError, Conflict, JobBlocked
from shared.ports import CallerKind, WritesWholeResource
from shared.reason import Reason
from shared.steps.flows.lease_resource import LeasedResource
from shared.steps.flows.read_back import iterate_read_attempts, wait_until_visible
from shared.steps.flows.read_trigger_url import read_trigger_url
from shared.steps.step_context import StepContext
from shared.steps.updating_callers.caller_edit_log import CallerEditLog
from shared.steps.updating_callers.record_callers import find_manual_reason, is_child_reference
from shared.steps.updating_callers.refer_to_secret import find_unresolved_references
from shared.steps.updating_callers.save_places import (
    ContentRejected,
    NotSaved,
    Values,
    format_caller_labels,
    holds_value,
    read_places,
    read_places_to_write,
    require_caller_write_allowed,
    write_places,
)

#: Attempts in one invocation if somebody else changes the resource between read and write.
CALLER_WRITE_ATTEMPTS = 4

#: Texts by caller address; they may hold signatures.
type Texts = dict[str, str]


@dataclass(slots=True, kw_only=True)
class CallerWriter:
    """The callers of one job in one resource, and what is written into them."""

    work: StepContext
    log: CallerEditLog
    #: The copy's trigger URL by the original's trigger URL id.
    urls: Mapping[str, str] = field(repr=False)
    #: Callers that are not completed.
    records: list[CallerRecord]
    #: By address, what callers hold instead of the copy's URL: a reference to its secret.
    references: Mapping[str, str] = field(default_factory=dict)
    #: Statuses of references that are not resolved, by address: these callers get the
    #: URL.
    unresolved: dict[str, str] = field(default_factory=dict)
    #: The formats that these callers get back with the URL, by address.
    old_formats: dict[str, str | None] = field(default_factory=dict)

    async def record_and_apply_edits(
        self, present: Mapping[str, CallerContent], texts: Texts
    ) -> Texts:
        """Record the job's edits, and return the texts with its URL.

        `present` is the current content by address. Stores the state of callers that are not
        changed. Raises the errors of `StepContext.require_write_allowed`.
        """
        texts, kept = dict(texts), list[CallerRecord]()
        for record in self.records:
            value = present.get(record.caller.address)
            if value is None:
                kept.append(replace(record, state=CallerState.NOT_NEEDED))
                continue
            text = texts[record.caller.address]
            record, texts[record.caller.address] = await self._rewrite_caller(record, value, text)
            kept.append(record)
        # The log has the callers that are being written.
        settled = [record for record in kept if record.state is not CallerState.WRITING]
        await self.work.callers.upsert(*settled)
        self.records = [record for record in kept if record not in settled]
        return texts

    async def _rewrite_caller(
        self, record: CallerRecord, value: CallerContent, text: str
    ) -> tuple[CallerRecord, str]:
        work, job = self.work, self.work.job
        is_json = work.services.callers[record.caller.kind].is_json
        flow_ids = {job.original.id: job.copy.id} if is_child_reference(job, record.caller) else {}
        rewritten = caller_edit.replace_references(
            text, is_json=is_json, urls=self.urls, flow_ids=flow_ids
        )
        edits = self.log.list_active_edits(record)
        is_secret_reference = caller_edit.is_secret_reference(value.text, edits)
        has_copy = is_secret_reference or caller_edit.contains_reference(
            value.text, is_json=is_json, urls={job.copy.url_id} - {""}, flow_ids={job.copy.id}
        )
        if is_secret_reference:
            rewritten = self._replace_unresolved_reference(record, rewritten, edits)
        elif rewritten.edits:
            rewritten = self._refer_to_secret(record, rewritten, value.text_format)
        if rewritten.text != text:
            await work.require_write_allowed()
            if await find_manual_reason(work.services, job, record.caller):
                return replace(record, state=CallerState.MANUAL), text
            await self.log.append(record, value, rewritten.edits, is_first=not has_copy)
            return replace(record, state=CallerState.WRITING), rewritten.text
        if has_copy and edits:
            # A crashed invocation wrote the value, but perhaps not what depends on it.
            await require_caller_write_allowed(work, record.caller)
            return replace(record, state=CallerState.WRITING), text
        if rewritten.not_replaced:
            record = replace(record, caller=replace(record.caller, manual_reason=FILLED_IN))
            return replace(record, state=CallerState.MANUAL), text
        if record.caller.is_created_if_missing and not has_copy:
            raise _build_other_content_error(record.caller, job)
        return replace(record, state=CallerState.NOT_NEEDED), text

    def _refer_to_secret(
        self, record: CallerRecord, rewritten: RewrittenText, old_format: str | None
    ) -> RewrittenText:
        reference = self.references.get(record.caller.address)
        if reference is None or record.caller.address in self.unresolved:
            return rewritten
        if rewritten.text != self.urls[self.work.job.original.url_id]:
            self._add_note_about_url(record, "It adds parameters to the URL")
            return rewritten
        return caller_edit.refer_to_secret(rewritten, reference, old_format)

    def _replace_unresolved_reference(
        self, record: CallerRecord, rewritten: RewrittenText, edits: Sequence[CallerEdit]
    ) -> RewrittenText:
        if record.caller.address not in self.unresolved:
            return rewritten
        address = record.caller.address
        self.old_formats[address] = caller_edit.find_format_before_reference(rewritten.text, edits)
        url = self.urls[self.work.job.original.url_id]
        return caller_edit.replace_secret_reference(rewritten.text, edits, url)

    async def may_continue(self) -> bool:
        """Return whether this invocation still leases the job's row, which has no new command."""
        try:
            await self.work.held.renew()
        except CmkflowError:
            return False
        return self.work.job.requested_command is None

    def add_notes_for_unresolved(self, statuses: Mapping[str, str]) -> None:
        """Add a note to the job about each unresolved reference. Its caller gets the URL."""
        self.unresolved |= statuses
        for record in self.records:
            if status := statuses.get(record.caller.address):
                self._add_note_about_url(record, f"Its reference is not resolved: {status}")

    def _add_note_about_url(self, record: CallerRecord, why: str) -> None:
        note = f"The {record.caller.label} holds the URL and not a reference to its secret. {why}."
        self.work.stage(add_notes(self.work.job, note))

    async def store_updated_callers(self) -> None:
        done = [replace(record, state=CallerState.UPDATED) for record in self.records]
        await self.work.callers.upsert(*done)


async def write_callers(
    resource: LeasedResource, first: CallerWriter, others: Sequence[CallerWriter] = ()
) -> list[CallerWriter]:
    """Write the callers of some jobs in one resource, and read them back.

    Return the other jobs that were written. The text is rewritten for one job after the other, as
    if each had written it alone, so that each can be reverted alone. The first job is that of this
    invocation: raises `JobBlocked` if its content is rejected or lost. Another job with an error is
    left out, and its own invocation reports the error.
    """
    work, tries, values = first.work, 0, list[tuple[Caller, CallerContent]]()
    while tries < CALLER_WRITE_ATTEMPTS:
        callers = _list_distinct_callers(first, *others)
        if not callers:
            return []
        kind = work.services.callers[callers[0].kind]
        present = await read_places_to_write(work, kind, callers)
        present |= await _read_content_of_new_places(first, present)
        texts = {address: value.text for address, value in present.items()}
        texts = await first.record_and_apply_edits(present, texts)
        others, texts = await _add_edits_of_other_jobs(others, present, texts)
        free = [other for other in others if await other.may_continue()]
        if len(free) < len(others):
            others = free
            continue
        values = [
            (
                caller,
                _build_caller_content(present[caller.address], texts, caller, (first, *others)),
            )
            for caller in _list_distinct_callers(first, *others)
        ]
        if not values:
            return []
        try:
            await write_places(work, resource, kind, values, present)
        except Conflict:
            tries += 1
            _use_urls_in_last_attempt(tries, values, (first, *others))
            continue
        except JobBlocked as err:
            if isinstance(err, ContentRejected) and _replace_references_with_urls_next(
                values, (first, *others), str(err.__cause__)
            ):
                continue
            if isinstance(err, NotSaved) or not others:
                raise
            others = []  # each job finds alone whether its URL is rejected
            continue
        tries += 1
        if await _check_written_callers(kind, values, (first, *others)):
            await first.store_updated_callers()
            return await _mark_callers_updated(others)
    await wait_until_visible(work, f"The new URL of {format_caller_labels(values)}")
    raise JobBlocked(
        f"Something else overwrites the new URL of the {format_caller_labels(values)}.",
        fix="Find out what resets this value and change it there, then retry.",
        code=Reason.CALLER_WRITE_LOST,
    )


def _build_caller_content(
    present: CallerContent, texts: Texts, caller: Caller, writers: Sequence[CallerWriter]
) -> CallerContent:
    """Return the content to write.

    A reference has no format. A URL that replaces a reference gets the old format.
    """
    text, text_format = texts[caller.address], present.text_format
    for writer in writers:
        text_format = writer.old_formats.get(caller.address) or text_format
    return replace(
        present, text=text, text_format=None if is_url_secret_reference(text) else text_format
    )


async def _read_content_of_new_places(
    writer: CallerWriter, present: Mapping[str, CallerContent]
) -> dict[str, CallerContent]:
    """Return the original's URL as the content of places that the app will create.

    After a rollback they contain that URL, so that a system that reads them calls the original.
    """
    work = writer.work
    missing = [
        record.caller.address
        for record in writer.records
        if record.caller.is_created_if_missing and record.caller.address not in present
    ]
    if not missing or not work.job.original.has_trigger_url:
        return {}
    url = await read_trigger_url(work, work.job.original.flow_name, work.job.original.trigger_name)
    return dict.fromkeys(missing, CallerContent(text=url))


def _build_other_content_error(caller: Caller, job: FlowJob) -> JobBlocked:
    return JobBlocked(
        f"The {caller.label} holds a value other than the URL of {job.display_name}.",
        fix="Write the original's URL into it, or declare the caller with another secret. Then "
        "retry.",
        code=Reason.MANUAL_CALLER,
    )


def _list_distinct_callers(*movers: CallerWriter) -> list[Caller]:
    found = {one.caller.address: one.caller for mover in movers for one in mover.records}
    return [*found.values()]


async def _add_edits_of_other_jobs(
    others: Sequence[CallerWriter], present: Mapping[str, CallerContent], texts: Texts
) -> tuple[list[CallerWriter], Texts]:
    remaining = []
    for other in others:
        with suppress(CmkflowError, caller_edit.EditConflict):
            texts = await other.record_and_apply_edits(present, texts)
            remaining.append(other)
    return remaining, texts


async def _mark_callers_updated(others: Sequence[CallerWriter]) -> list[CallerWriter]:
    done = []
    for other in others:
        with suppress(CmkflowError):
            await other.store_updated_callers()
            done.append(other)
    return done


async def _check_written_callers(
    kind: CallerKind, values: Values, writers: Sequence[CallerWriter]
) -> bool:
    """Return whether the callers use what was written.

    If a reference is not stored or not resolved, makes its caller get the URL in the next write.
    """
    work = writers[0].work
    if not isinstance(kind, WritesWholeResource) and not await _are_texts_visible(
        work, kind, values
    ):
        _replace_references_with_urls_next(values, writers, "not stored")
        return False
    unresolved = await find_unresolved_references(work, kind, values)
    for writer in writers:
        writer.add_notes_for_unresolved(unresolved)
    return not unresolved


def _use_urls_in_last_attempt(tries: int, values: Values, writers: Sequence[CallerWriter]) -> None:
    # Azure may accept a Key Vault reference and drop it later.
    if tries == CALLER_WRITE_ATTEMPTS - 1:
        _replace_references_with_urls_next(values, writers, "not stored")


def _replace_references_with_urls_next(
    values: Values, writers: Sequence[CallerWriter], status: str
) -> bool:
    """Make the callers that got a reference get the URL in the next write.

    Return whether there are any.
    """
    rejected = {
        caller.address: status for caller, value in values if is_url_secret_reference(value.text)
    }
    for writer in writers:
        writer.add_notes_for_unresolved(rejected)
    return bool(rejected)


async def _are_texts_visible(work: StepContext, kind: CallerKind, values: Values) -> bool:
    callers = [caller for caller, _ in values]
    async for _ in iterate_read_attempts(work):
        now = await read_places(kind, callers)
        if all(
            one.address in now and holds_value(kind, now[one.address], value)
            for one, value in values
        ):
            return True
    return False
