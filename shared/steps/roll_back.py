"""Undo a job: original on and proven → callers back → copy quiet → copy off.

A family goes back whole: originals come on bottom-up, copies go off top-down.
"""

from dataclasses import replace
from datetime import timedelta
from typing import NoReturn

from shared.domain import caller_edit
from shared.domain.caller import CallerValue
from shared.domain.flow import FlowState
from shared.domain.job import FlowJob, JobState, Pattern, RollbackStage, moved, noted
from shared.domain.records import NO_EDITS, CallerRecord, CallerState
from shared.domain.relatives import in_the_way
from shared.domain.replay import replay_of, warning
from shared.domain.signatures import SignatureChanged, signatures_in
from shared.errors import Blocked, Conflict, NotFound, Waiting
from shared.ports import Condition
from shared.steps.copy_flow import COPY_SUFFIX, turn_copy
from shared.steps.hold_resource import hold_resource
from shared.steps.note_callers import copied_elsewhere, manual_caller_of_copy
from shared.steps.original import read_original, rename, turn_original
from shared.steps.restore_original import restore
from shared.steps.trigger_address import original_signatures
from shared.steps.update_callers import TRIES, permit_caller
from shared.steps.watch_quiet import RUN_HISTORY
from shared.steps.work import UNTIL_WOKEN, Work


async def roll_back(work: Work) -> FlowJob:
    """Do the next stage of the rollback; repeated until the job is rolled back."""
    stages = {
        None: _original_on,
        RollbackStage.ORIGINAL_ON: _original_on,
        RollbackStage.CALLERS_BACK: _callers_back,
        RollbackStage.COPY_QUIET: _copy_quiet,
        RollbackStage.COPY_OFF: _copy_off,
    }
    return await stages[work.job.rollback_stage](work)


async def _original_on(work: Work) -> FlowJob:
    """Bring the original back. Of a self-starting pair the copy goes off first."""
    if given_up := await restore(work):
        return given_up
    await _wait_for_children(work)
    job = work.job
    await _wait_for_called_by_url(work, in_circle=False)
    await _accept_replay(work)
    if job.pattern is Pattern.SWAP:
        await _turn_copy_off(work)
    if job.original_was_on:
        await turn_original(work, on=True)
    if job.in_solution and work.environment.dataverse_url:
        original = await read_original(work)
        if original.etag and not original.is_managed and original.name != job.display_name:
            await rename(work, job.original_id, job.display_name)
    return _next(work, RollbackStage.CALLERS_BACK, "The original is as it was.")


async def _accept_replay(work: Work) -> None:
    """Note what the original will replay; raises `Blocked` if nobody has accepted that.

    It may have been stopped since the order was given. A swap that failed has to bring the original
    back whatever comes of it: nobody ordered that.
    """
    job, now = work.job, work.services.now
    replay = replay_of(job)
    if replay is None:
        return
    if job.requested and not job.may_replay:
        raise Blocked(
            warning([replay], now),
            instruction='Order the rollback again with "replay": true (--replay-backlog).',
            code="replay",
        )
    await work.save(noted(job, f"Replays what is pending: {replay.text(now)}."))


async def _callers_back(work: Work) -> FlowJob:
    """Put back exactly what was changed at each caller; a conflict is for a person."""
    await _wait_for_called_by_url(work, in_circle=True)
    services = work.services
    records = await services.tables.callers.all(work.job.id)
    open_records = [record for record in records if record.edits != NO_EDITS]
    signatures: dict[str, str] | None = None
    for record in open_records:
        if record.state not in {CallerState.REVERTED, CallerState.UNNEEDED}:
            if signatures is None:
                signatures = await original_signatures(work) if work.job.has_trigger_url else {}
            await _revert(work, record, signatures)
    if open_records or work.job.cut_over_at:
        # From now on the copy, not the original, has to fall quiet.
        kinds = {record.caller.kind for record in open_records}
        stale = max((services.callers[kind].staleness for kind in kinds), default=timedelta(0))
        await work.save(replace(work.job, cut_over_at=services.now, quiet_for=stale or None))
    return _next(work, RollbackStage.COPY_QUIET, "Every caller is as it was.")


async def _copy_quiet(work: Work) -> FlowJob:
    """Wait until the copy is not called any more, as for an original before it is retired."""
    job = work.job
    if job.pattern is Pattern.CALLED and job.copy_flow_name:
        await _wait_until_copy_is_quiet(work)
        await _check_manual_callers(work)
    await _wait_for_parents(work)
    return _next(work, RollbackStage.COPY_OFF, "Nobody calls the copy any more.")


async def _wait_until_copy_is_quiet(work: Work) -> None:
    job, services = work.job, work.services
    try:
        runs = await services.flow_reports.runs(
            job.environment_id, job.copy_flow_name, since=services.now - RUN_HISTORY
        )
    except NotFound:
        return
    if any(run.is_going for run in runs):
        until = services.now + services.settings.wait_poll
        raise Waiting("A run of the copy is still going.", until=until)
    last = [run.started for run in runs] + ([job.cut_over_at] if job.cut_over_at else [])
    if not last:
        return  # nobody was ever told of it
    until = max(last) + max(services.settings.quiet_period, job.quiet_for or timedelta(0))
    if until > services.now:
        raise Waiting("The copy has to be quiet before it is turned off.", until=until)


async def _check_manual_callers(work: Work) -> None:
    """What a person pointed at the copy only a person can put back: a rarely used app would break.

    Raises `Blocked` with the caller.
    """
    caller = await manual_caller_of_copy(work.services, work.job)
    if caller:
        raise Blocked(
            f"The {caller.label} calls the copy of {work.job.display_name}.",
            instruction="Point it at the original again by hand, then retry.",
            code="manual_caller",
        )


async def _copy_off(work: Work) -> FlowJob:
    """Turn the copy off and give it the name it had as a copy."""
    row = await _turn_copy_off(work)
    if row:
        await rename(work, work.job.copy_id, work.job.display_name + COPY_SUFFIX)
    job = replace(work.job, requested=None, cut_over_at=None, rollback_stage=None)
    text = "Rolled back: the original works as before and the copy is off."
    return moved(job, JobState.ROLLED_BACK, text, now=work.services.now)


async def _turn_copy_off(work: Work) -> bool:
    try:
        row = await work.services.workflows.get(work.environment, work.job.copy_id)
    except NotFound:
        return False
    await turn_copy(work, row, FlowState.OFF)
    return True


async def _revert(work: Work, record: CallerRecord, signatures: dict[str, str]) -> None:
    other = await copied_elsewhere(work, record.caller)
    if other and other.id != work.job.id:
        raise Blocked(
            f"The {record.caller.label} was copied after it was pointed at this copy.",
            instruction=f"Roll {other.display_name} back first, then retry.",
            code="parent",
        )
    kind = work.services.callers[record.caller.kind]
    edits = caller_edit.from_json(record.edits)
    async with hold_resource(work, record.caller.resource):
        for _ in range(TRIES):
            try:
                value = await kind.read(record.caller)
            except NotFound:
                return await _reverted(work, record)
            known = {**signatures_in(value.text), **signatures}
            try:
                text = caller_edit.undo(value.text, edits, known)
            except (SignatureChanged, caller_edit.EditConflict) as err:
                raise Blocked(
                    f"{record.caller.label} cannot be put back by itself: {err}",
                    instruction="Put the original's trigger URL back by hand, then retry.",
                    code="caller",
                ) from err
            await permit_caller(work, record.caller)
            try:
                await kind.write(record.caller, CallerValue(text=text, etag=value.etag))
            except Conflict:
                continue
            if (await kind.read(record.caller)).text == text:
                return await _reverted(work, record)
    raise Blocked(
        f"{record.caller.label} does not keep its old value: something else writes it.",
        instruction="Find out what writes this value, put the original's URL back, then retry.",
        code="caller",
    )


async def _reverted(work: Work, record: CallerRecord) -> None:
    await work.services.tables.callers.upsert(replace(record, state=CallerState.REVERTED))


async def _wait_for_children(work: Work) -> None:
    """The original runs the originals of its children: they come on first."""
    for child in await work.related(work.job.children):
        if not child.has_original_back:
            _wait_for(work, child)


def _check_not_stuck(relative: FlowJob, *, code: str) -> None:
    """A relative that a person has to help is not waited for; its end wakes who is blocked by it.

    Raises `Blocked` if its rollback stands still.
    """
    stands_still = relative.state in {JobState.BLOCKED, JobState.FAILED}
    if stands_still and relative.reached is JobState.ROLLING_BACK:
        raise Blocked(
            f"The rollback of {relative.display_name}, which goes first, is {relative.state}.",
            instruction=f"Settle the job of {relative.display_name}; this one then goes on.",
            code=code,
        )


def _wait_for(work: Work, child: FlowJob) -> NoReturn:
    _check_not_stuck(child, code="child")
    if child.reached is JobState.ROLLING_BACK or child.requested:
        raise Waiting(
            f"The original of {child.display_name} comes back first.",
            until=work.services.now + UNTIL_WOKEN,
            code="child",
        )
    raise Blocked(
        f"The original of {child.display_name}, which it calls, is not on.",
        instruction=f"Roll {child.display_name} back too (or the whole remediation).",
        code="child",
    )


async def _wait_for_called_by_url(work: Work, *, in_circle: bool) -> None:
    """What the original calls by URL, itself or by a child, has to be back before it is called.

    In a circle all of them come on (`in_circle` is false) before a caller of any goes back.
    """
    job, found = work.job, {work.job.id}
    jobs = await _jobs_of_callers(work)
    while more := {one.id for one in jobs if one.id not in found and found & set(one.parent_ids)}:
        found |= more
    circle = set() if in_circle else (await work.ancestors()).keys()
    for called in jobs:
        if called.id in found - {job.id} - circle and not called.has_original_back:
            _wait_for(work, called)


async def _jobs_of_callers(work: Work) -> list[FlowJob]:
    """Return the jobs of this environment, and of those with an original that is called from afar.

    Those are few or none, and found without reading every job of the tenant.
    """
    job, table = work.job, work.services.tables.jobs
    abroad = await table.all(where=[Condition("abroad", "eq", "yes")])
    elsewhere = {one.environment_id for one in abroad} - {job.environment_id}
    here = [one for one in await table.all(job.environment_id) if one.policy_id == job.policy_id]
    return here + [one for home in sorted(elsewhere) for one in await table.all(home)]


async def _wait_for_parents(work: Work) -> None:
    """The copy of a parent calls this copy: it goes first."""
    parent = in_the_way(work.job, await work.ancestors(), _calls_no_more)
    if parent is None:
        return
    _check_not_stuck(parent, code="parent")
    if parent.state is JobState.ROLLING_BACK or parent.requested:
        raise Waiting(
            f"{parent.display_name} is rolled back first.",
            until=work.services.now + UNTIL_WOKEN,
            code="parent",
        )
    raise Blocked(
        f"The copy of {parent.display_name} calls this copy.",
        instruction=f"Roll {parent.display_name} back too (or the whole remediation).",
        code="parent",
    )


def _calls_no_more(parent: FlowJob) -> bool:
    settled = {JobState.ROLLED_BACK, JobState.CANCELLED, JobState.PLANNED}
    return parent.reached in settled and parent.state is not JobState.ROLLING_BACK


def _next(work: Work, stage: RollbackStage, text: str) -> FlowJob:
    job = replace(work.job, rollback_stage=stage)
    return moved(job, JobState.ROLLING_BACK, text, now=work.services.now)
