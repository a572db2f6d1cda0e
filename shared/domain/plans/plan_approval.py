"""Approvals of plans: which version was shown, and what of it still stands when work begins."""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from shared.domain.plans.display_text import ACTION_WORDS
from shared.domain.plans.plan_item import NotMigratedReason, PlanItem, PlannedAction
from shared.domain.plans.remediation import EnvironmentJob

#: Fields of an item that say nothing to whoever approves it.
_NOT_SHOWN = frozenset(
    {"environment_job_id", "is_complete", "left", "trigger_url_id", "was_run_checked"}
)
_LENGTH = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalDecision:
    """One approval of the plan of an environment."""

    number: int
    by: str
    #: Workflow ids and flow names that it leaves out, in small letters.
    excluded_from_approval: frozenset[str] = frozenset()


def plan_text(job: EnvironmentJob, items: Iterable[PlanItem]) -> str:
    """Return all that a plan shows, and nothing else, as JSON: the same text for the same plan.

    The environment is part of it: no two plans of a remediation have one text.
    """
    shown = {
        "environment": job.environment_id,
        "findings": sorted(job.findings),
        "network": sorted((asdict(gap) for gap in job.network), key=lambda gap: gap["name"]),
        "items": [
            {name: value for name, value in asdict(item).items() if name not in _NOT_SHOWN}
            for item in sorted(items, key=lambda item: item.workflow_id)
        ],
    }
    return json.dumps(shown, sort_keys=True)


def plan_version(job: EnvironmentJob, items: Iterable[PlanItem]) -> str:
    """Return the first 16 hex digits of the SHA-256 of the plan's text."""
    return version_of(plan_text(job, items))


def version_of(text: str) -> str:
    """Return the version of the plan that reads like this."""
    return hashlib.sha256(text.encode()).hexdigest()[:_LENGTH]


def approved_plan_name(environment_job_id: str, version: str) -> str:
    """Return the name under which the plan of a version is archived when it is approved."""
    return f"plans/{environment_job_id}/{version}.json"


def changes_since(approved: PlanItem, now: PlanItem) -> tuple[str, ...]:
    """Return in words what was not approved; empty: `now` asks for nothing more than `approved`.

    A caller that is gone and a job that goes on by another approval ask for less.
    """
    if now.action is PlannedAction.CONTINUE_EXISTING_JOB:
        return ()
    found = []
    if now.action is not approved.action:
        words = f"{ACTION_WORDS[now.action]}, not {ACTION_WORDS[approved.action]}"
        found.append(f"what is to be done: {words}")
    if now.digest != approved.digest:
        found.append("its definition was edited")
    if now.is_on != approved.is_on:
        found.append(f"it was turned {'on' if now.is_on else 'off'}")
    elif now.pattern is not approved.pattern:
        found.append("it starts in another way")
    if now.display_name != approved.display_name:
        found.append(f"it was called {approved.display_name}")
        return tuple(found)  # its name stands in every write
    known = {(caller.kind, caller.label) for caller in approved.callers}
    new = [caller.label for caller in now.callers if (caller.kind, caller.label) not in known]
    found += [f"a new caller: {label}" for label in new]
    writes = set(now.writes) - set(approved.writes) - {f"update {label}" for label in new}
    if now.action is approved.action and now.digest == approved.digest:
        found += [f"a new write: {write}" for write in now.writes if write in writes]
    return tuple(found)


def apply_approval(
    items: Sequence[PlanItem], found: Mapping[str, PlanItem], decision: ApprovalDecision
) -> list[PlanItem]:
    """Return the items on which this approval has yet to decide, with what it decided.

    `found` is the plan as it would be made now, by workflow id. What comes back without `changed`
    may go on. An approval that was interrupted decides on the rest as if it had not been.
    """
    concerned = [item for item in items if _concerns(item, decision)]
    left = add_parents(
        {item.workflow_id for item in concerned if _names(item) & decision.excluded_from_approval},
        {item.workflow_id: item.children for item in concerned},
    )
    titles = {item.workflow_id: item.display_name for item in items}
    results: dict[str, PlanItem] = {}
    for item in concerned:
        flow = item.workflow_id
        if item.decided == decision.number:
            results[flow] = item
        elif flow in left:
            below = [titles[child] for child in item.children if child in left]
            results[flow] = _left_out(item, below, decision)
        else:
            results[flow] = _decided(item, found.get(flow), decision)
    _hold_parents(results, left, titles)
    return [
        results[item.workflow_id] for item in concerned if results[item.workflow_id] is not item
    ]


def add_parents(flows: Collection[str], children: Mapping[str, Collection[str]]) -> set[str]:
    """Return flows and whatever runs one of them, however far up; `children` by workflow id."""
    found, above = set(flows), set(flows)
    while above:
        above = {flow for flow, below in children.items() if above & set(below)} - found
        found |= above
    return found


def exclude_unapproved(items: Iterable[PlanItem]) -> list[PlanItem]:
    """Return the items whose change nobody approved in time, left as they are."""
    text = "It had changed since it was approved, and nobody approved the change in time."
    changed = [item for item in items if item.changed and item.action.has_job]
    return [_left(item, text, NotMigratedReason.APPROVAL_EXPIRED) for item in changed]


def _concerns(item: PlanItem, decision: ApprovalDecision) -> bool:
    return item.decided == decision.number or item.awaits_approval


def _decided(item: PlanItem, now: PlanItem | None, decision: ApprovalDecision) -> PlanItem:
    item = replace(item, decided=decision.number, changed=())
    if now is None:
        return _left(item, "It is gone: deleted, or moved under the key by itself.", None)
    changed = changes_since(item, now)
    if changed or now.action is PlannedAction.CONTINUE_EXISTING_JOB:
        return replace(now, decided=decision.number, changed=changed)
    return item


def _left_out(item: PlanItem, below: Sequence[str], decision: ApprovalDecision) -> PlanItem:
    item = replace(item, decided=decision.number)
    if _names(item) & decision.excluded_from_approval:
        return _left(
            item,
            f"{decision.by} left it out of the approval.",
            NotMigratedReason.EXCLUDED_FROM_APPROVAL,
        )
    why = f"It runs {', '.join(below)}, which the approval left out."
    return _left(item, why, NotMigratedReason.EXCLUDED_FROM_APPROVAL)


def _hold_parents(
    results: dict[str, PlanItem], left: Collection[str], titles: Mapping[str, str]
) -> None:
    """A parent is written against its children's copies: it waits with a child that does not go."""
    stopped = {flow for flow, item in results.items() if flow not in left and not _goes(item)}
    while stopped:
        above = set()
        for flow, item in results.items():
            below = sorted(stopped & set(item.children))
            if below and _goes(item) and item.action.is_work:
                names = ", ".join(titles[child] for child in below)
                results[flow] = replace(item, changed=(f"it runs {names}, which has changed",))
                above.add(flow)
        stopped = above


def _left(item: PlanItem, why: str, left: NotMigratedReason | None) -> PlanItem:
    leave = PlannedAction.NO_CHANGE
    return replace(item, action=leave, explanation=why, left=left, writes=(), changed=())


def _goes(item: PlanItem) -> bool:
    return item.action.has_job and not item.changed


def _names(item: PlanItem) -> set[str]:
    return {item.workflow_id, item.flow_name.lower()}
