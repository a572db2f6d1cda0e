"""Build the Deletions page: which originals are deleted when, and what people have to do."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from functions.dashboard.page_actions import PageAction, build_page_action
from functions.dashboard.page_layout import PageContext, render_page
from functions.dashboard.titles import compute_natural_sort_key
from shared.domain.jobs.deletion import Deletion, describe_consequences
from shared.domain.jobs.deletion_states import DeletionState
from shared.domain.jobs.deletion_text import NEXT_STEPS, WHY_DELETE, describe_deletion_result
from shared.domain.plans.pending_actions import format_count
from shared.domain.principal import Principal
from shared.errors import UnreadableRow
from shared.use_cases.list_deletions import DeletionGroup, RetiredOriginal, TenantDeletions

_HERE = "/api/dashboard/deletions"
#: Look and icon of each state.
_LOOKS = {
    DeletionState.BLOCKED: ("person", ""),
    DeletionState.DELETING: ("work", ""),
    DeletionState.ARCHIVING: ("work", ""),
    DeletionState.SCHEDULED: ("work", "clock"),
    DeletionState.DELETED: ("done", ""),
    DeletionState.CANCELLED: ("over", ""),
}
#: Number of names in a text, and of flows in a request.
_NAMED = 8
_IN_REQUEST = 1_000
#: A longer list is folded.
_MOST_UNFOLDED = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletionChoice:
    """The filter that the reader chose, and the part of the deletions that the page shows."""

    #: The filter, as parameters of the page.
    parameters: Mapping[str, str]
    start: int
    limit: int

    def build_url(self, path: str = _HERE, **more: str | int) -> str:
        """Return the URL of a page or export with this filter, changed by `more`. An empty text
        removes a condition.
        """
        merged = {**self.parameters, **more}
        query = urlencode({name: value for name, value in merged.items() if value != ""})
        return f"{path}?{query}" if query else path


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletionLine:
    """An original that is to be deleted, as the Deletions page shows it."""

    deletion: Deletion
    look: str
    shape: str
    #: Why it waits, or its result.
    text: str
    next_step: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupCard:
    """Deletions that one person scheduled for the same time, as a card of the page."""

    group: DeletionGroup
    environments: str
    states: tuple[tuple[str, str, str], ...]
    lines: tuple[DeletionLine, ...]
    #: What happens next, if it is the same for all lines and none has a result; else empty.
    next_step: str
    cancel: PageAction | None
    is_open: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class UndeletedOriginals:
    """The retired originals in the chosen environment for which no deletion is scheduled."""

    total: int
    on_page: tuple[RetiredOriginal, ...]
    #: Why the reader may not schedule deletions in spite of their roles, by remediation.
    not_permitted: Mapping[str, str]
    unreadable_rows: tuple[UnreadableRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class UndeletedGroup:
    """Retired originals of one remediation for which no deletion is scheduled."""

    remediation_id: str
    originals: tuple[RetiredOriginal, ...]
    schedule: PageAction
    #: From when the deletion of all of them can be scheduled.
    earliest_delete_at: datetime


def build_deletions_page(
    view: PageContext,
    choice: DeletionChoice,
    found: TenantDeletions,
    undeleted: UndeletedOriginals | None = None,
) -> str:
    """Return the page of deletions. With `undeleted`, it lists the retired originals without a
    deletion instead.
    """
    total = sum(len(group.deletions) for group in found.groups)
    environments = {*found.names, *(found.undeleted_counts or ())}
    if asked := choice.parameters.get("environment", ""):
        environments.add(asked)
    return render_page(
        "deletions",
        view,
        section="Deletions",
        here=_HERE,
        choice=choice,
        title=_format_page_title(found),
        why=WHY_DELETE,
        cards=list(_build_group_cards(choice, found, view.principal)) if undeleted is None else [],
        total=total,
        on_page=min(choice.limit, max(total - choice.start, 0)),
        parts=[
            (_LOOKS[state][0], number, str(state), choice.build_url(state=state), _LOOKS[state][1])
            for state in DeletionState
            if (number := found.states.get(state, 0))
        ],
        states=tuple(DeletionState),
        environments=sorted(
            ((one, found.names.get(one, one)) for one in environments),
            key=lambda one: compute_natural_sort_key(one[1]),
        ),
        names=found.names,
        undeleted_counts=found.undeleted_counts,
        undeleted=undeleted,
        undeleted_groups=list(_build_undeleted_groups(undeleted, view.principal))
        if undeleted
        else [],
        unreadable_rows={
            row.row: row
            for row in (*found.unreadable_rows, *(undeleted.unreadable_rows if undeleted else ()))
        }.values(),
    )


def _format_page_title(found: TenantDeletions) -> str:
    states = found.states
    if blocked := states.get(DeletionState.BLOCKED, 0):
        return f"{format_count(blocked, 'deletion')} blocked"
    due = states.get(DeletionState.ARCHIVING, 0) + states.get(DeletionState.DELETING, 0)
    if due:
        return f"{format_count(due, 'original')} {'is' if due == 1 else 'are'} being deleted"
    if scheduled := states.get(DeletionState.SCHEDULED, 0):
        dates = [
            group.delete_at for group in found.groups if DeletionState.SCHEDULED in group.states
        ]
        first = f", from {min(dates):%-d %B %Y}" if dates else ""
        noun = "original" if scheduled == 1 else "originals"
        return f"{scheduled:,} {noun} will be deleted{first}"
    return "No deletion is scheduled"


def _build_group_cards(
    choice: DeletionChoice, found: TenantDeletions, principal: Principal
) -> Iterator[GroupCard]:
    position = 0
    for group in found.groups:
        first = max(choice.start - position, 0)
        last = choice.start + choice.limit - position
        position += len(group.deletions)
        if last <= 0:
            return
        deletions = group.deletions[first:last]
        if deletions:
            lines = tuple(map(_build_deletion_line, deletions))
            is_short = len(found.groups) == 1 and len(lines) <= _MOST_UNFOLDED
            names = {
                found.names.get(one.environment_id, one.environment_id) for one in group.deletions
            }
            yield GroupCard(
                group=group,
                environments=", ".join(sorted(names, key=compute_natural_sort_key)),
                states=tuple(
                    (_LOOKS[state][0], f"{number:,} {state}", _LOOKS[state][1])
                    for state, number in group.states.items()
                ),
                lines=lines,
                next_step=NEXT_STEPS[DeletionState.SCHEDULED]
                if {one.state for one in deletions} == {DeletionState.SCHEDULED}
                else "",
                cancel=_build_cancel_action(group, principal),
                is_open=DeletionState.BLOCKED in group.states or is_short,
            )


def _build_deletion_line(one: Deletion) -> DeletionLine:
    look, shape = _LOOKS[one.state]
    return DeletionLine(
        deletion=one,
        look=look,
        shape=shape,
        text=describe_deletion_result(
            one.message,
            one.notes,
            restorable_until=one.restorable_until,
            is_on_microsoft_key_list=one.is_on_microsoft_key_list,
        ),
        next_step=one.fix or NEXT_STEPS[one.state],
    )


def _build_cancel_action(group: DeletionGroup, principal: Principal) -> PageAction | None:
    kept = [one for one in group.deletions if one.state_properties.can_be_cancelled][:_IN_REQUEST]
    if not kept:
        return None
    return build_page_action(
        "remediations/{id}/deletions/cancel",
        f"Cancel {format_count(len(kept), 'deletion')}",
        principal,
        identity=group.remediation_id,
        fields=(("flow_ids[,]", ",".join(one.original_id for one in kept)),),
        does=[
            f"Kept: {_format_names([one.display_name for one in kept])}.",
            "The originals stay off. Their deletion can be scheduled again.",
        ],
    )


def _build_undeleted_groups(
    undeleted: UndeletedOriginals, principal: Principal
) -> Iterator[UndeletedGroup]:
    by_remediation: dict[str, list[RetiredOriginal]] = {}
    for one in undeleted.on_page:
        by_remediation.setdefault(one.job.remediation_id, []).append(one)
    for identity, found in by_remediation.items():
        names = _format_names([one.job.display_name for one in found])
        first = max(one.earliest_delete_at for one in found)
        consequences = dict.fromkeys(
            text for one in found for text in describe_consequences(one.job)
        )
        yield UndeletedGroup(
            remediation_id=identity,
            originals=tuple(found),
            earliest_delete_at=first,
            schedule=build_page_action(
                "remediations/{id}/deletions",
                f"Schedule {format_count(len(found), 'deletion')}",
                principal,
                identity=identity,
                fields=(("flow_ids[,]", ",".join(one.job.original.id for one in found)),),
                unavailable_reason=undeleted.not_permitted.get(identity, ""),
                asks=("delete_at", f"Date (UTC), {first:%Y-%m-%d %H:%M} or later"),
                does=[f"Deleted on this date or later: {names}.", *consequences],
            ),
        )


def _format_names(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(sorted(names, key=compute_natural_sort_key)[:_NAMED]) + more
