"""List the planned changes of a flow, and find out which of them its job has made."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from shared.domain.callers.caller_records import CallerRecord, CallerState
from shared.domain.callers.url_secret import format_url_secret
from shared.domain.display_names import build_copy_name, build_retired_name, shorten_with_suffix
from shared.domain.flow import FlowState
from shared.domain.jobs.flow_job import FlowJob, MigrationMethod
from shared.domain.jobs.unconfirmed_writes import FlowStateWrite
from shared.domain.plans.plan_item import PlanItem, PlannedCaller
from shared.domain.plans.preparation import describe_changes_without_copy

_UPDATED = frozenset({CallerState.UPDATED, CallerState.NOT_NEEDED, CallerState.CHANGED})


class ChangeEvidence(StrEnum):
    """What shows that a flow job has made a planned change."""

    COPIED = "copied"  #: the job has copied the flow
    GRANTED = "granted"  #: the job has recorded a grant
    REVOKED = "revoked"  #: no grant of the job is active any longer
    COPY_ON = "copy_on"  #: the job has read back that the copy is on
    ORIGINAL_OFF = "original_off"  #: the job has read back that the original is off
    CALLER_UPDATED = "caller_updated"  #: the caller's record
    COMPLETED = "completed"  #: the job has retired or prepared the flow


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedChange:
    """A write that a plan announces for a flow."""

    text: str
    evidence: ChangeEvidence
    #: Label of the caller that it updates.
    caller: str = ""


def list_planned_changes(item: PlanItem) -> tuple[PlannedChange, ...]:
    """Return the writes that a plan announces for a flow, in order."""
    return tuple(_iterate_planned_changes(item))


def describe_caller_update(caller: PlannedCaller) -> str:
    """Return in words how the app will change a caller."""
    if caller.is_to_refer_to_secret:
        return f"make the {caller.label} refer to the secret"
    return f"update {caller.label}" + (", unless it is copied first" if caller.is_copied else "")


def find_which_changes_were_made(
    item: PlanItem, job: FlowJob | None, callers: Iterable[CallerRecord]
) -> tuple[bool, ...]:
    """Return for each planned change of a flow whether the flow's rows show that it was made.

    `callers` are the records of the job. After a request for a rollback or a cancellation, all are
    False.
    """
    if job is None or not job.is_live or job.requested_command:
        return (False,) * len(item.planned_changes)
    pending = {one.caller.label for one in callers if one.state not in _UPDATED}
    updated = {one.caller.label for one in callers if one.state in _UPDATED} - pending
    evidence = _list_change_evidence(job)
    known = {one.text: one for one in _iterate_planned_changes(item)}
    made = []
    for text in item.planned_changes:
        change = known.get(text)  # None: another version of the app has planned it
        made.append(
            change is not None and (change.evidence in evidence or change.caller in updated)
        )
    return tuple(made)


def _list_change_evidence(job: FlowJob) -> set[ChangeEvidence]:
    found = {
        ChangeEvidence.COPIED: job.state_properties.has_complete_copy,
        ChangeEvidence.GRANTED: bool(job.grants.past),
        ChangeEvidence.REVOKED: bool(job.grants.past) and not job.has_grants_to_check,
        ChangeEvidence.COPY_ON: _has_confirmed(job.copy.last_write, FlowState.ON),
        ChangeEvidence.ORIGINAL_OFF: _has_confirmed(job.original.last_write, FlowState.OFF),
        ChangeEvidence.COMPLETED: job.has_succeeded,
    }
    return {one for one, is_found in found.items() if is_found}


def _has_confirmed(write: FlowStateWrite | None, state: FlowState) -> bool:
    return write is not None and write.state is state and write.is_confirmed


def _iterate_planned_changes(item: PlanItem) -> Iterator[PlannedChange]:
    if not item.action.is_work:
        return
    if not item.action.is_copy:
        for text in describe_changes_without_copy(item):
            yield PlannedChange(text=text, evidence=ChangeEvidence.COMPLETED)
        return
    title = item.display_name
    for text in _describe_copying(item, title):
        yield PlannedChange(text=text, evidence=ChangeEvidence.COPIED)
    if item.migration_method is MigrationMethod.UPDATE_CALLERS:
        yield from _describe_updating_callers(item, title)
    if item.migration_method is MigrationMethod.CUT_OVER:
        yield PlannedChange(text=f"turn {title} off", evidence=ChangeEvidence.ORIGINAL_OFF)
        yield PlannedChange(text="turn the copy on", evidence=ChangeEvidence.COPY_ON)
    for text in _describe_retiring(item, title):
        yield PlannedChange(text=text, evidence=ChangeEvidence.COMPLETED)


def _describe_copying(item: PlanItem, title: str) -> Iterator[str]:
    for label in item.embedded_connections:
        yield f"create a connection reference for the connection {label}, unless one is bound to it"
    yield f"create the flow {build_copy_name(title)}, off, for the original's owner"
    for solution in item.solutions:
        yield f"add the copy to the solution {solution}"
    if item.co_owner_count is None:
        yield f"share the copy as {title} is shared"
    elif item.co_owner_count:
        many = "s" if item.co_owner_count > 1 else ""
        yield f"share the copy with {item.co_owner_count} co-owner{many} of {title}"


def _describe_updating_callers(item: PlanItem, title: str) -> Iterator[PlannedChange]:
    if item.has_trigger_url:
        yield PlannedChange(
            text=(
                f"make the service account co-owner of {title} and of its copy, to read their URLs"
            ),
            evidence=ChangeEvidence.GRANTED,
        )
        yield PlannedChange(
            text="remove the service account as co-owner of both after each read",
            evidence=ChangeEvidence.REVOKED,
        )
    yield PlannedChange(text="turn the copy on", evidence=ChangeEvidence.COPIED)
    if item.url_secret:
        yield PlannedChange(
            text=f"store the copy's URL in the secret {format_url_secret(item.url_secret)}",
            evidence=ChangeEvidence.COMPLETED,
        )
    for caller in item.callers:
        if not caller.manual_reason:
            yield PlannedChange(
                text=describe_caller_update(caller),
                evidence=ChangeEvidence.COMPLETED
                if caller.is_copied
                else ChangeEvidence.CALLER_UPDATED,
                caller=caller.label,
            )
    yield PlannedChange(
        text="update callers that are found later", evidence=ChangeEvidence.COMPLETED
    )


def _describe_retiring(item: PlanItem, title: str) -> Iterator[str]:
    if item.migration_method is MigrationMethod.UPDATE_CALLERS:
        yield f"turn {title} off when it has received no calls for the no-call period"
    if item.in_solution and build_retired_name(title) != title:
        yield f"rename {title} to {build_retired_name(title)}"
    is_long = shorten_with_suffix(title) != title
    else_short = (
        f", or to {shorten_with_suffix(title)} if that is too long for Dataverse" if is_long else ""
    )
    yield f"rename the copy to {title}{else_short}"
