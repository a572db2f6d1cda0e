"""Apply the decisions of approvers to plan items, and find what has changed since an approval."""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from operator import attrgetter
from typing import Any

from shared.domain.plans.display_text import ACTION_WORDS
from shared.domain.plans.plan_item import (
    NotMigratedReason,
    PlanItem,
    PlannedAction,
    PlannedCaller,
)
from shared.domain.plans.planned_changes import describe_caller_update
from shared.domain.plans.remediation import EnvironmentJob

#: Fields of an item that an approver does not see.
_NOT_SHOWN = frozenset(
    {
        "environment_job_id",
        "is_complete",
        "not_migrated_reason",
        "owner",  # its label is shown
        "trigger_url_id",
        "was_run_checked",
    }
)
_SHOWN = tuple(field.name for field in fields(PlanItem) if field.name not in _NOT_SHOWN)
_shown_values = attrgetter(*_SHOWN)
_LENGTH = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalDecision:
    """The decision of one approver on an environment's plan."""

    number: int
    approved_by: str
    #: Workflow ids and flow names that it excludes, in lower case.
    excluded_from_approval: frozenset[str] = frozenset()


def format_plan_text(job: EnvironmentJob, items: Iterable[PlanItem]) -> str:
    """Return everything that a plan shows, as JSON text. Equal plans have equal texts.

    The text contains the environment, so that no two plans of a remediation have the same text.
    """
    shown = {
        "environment": job.environment_id,
        "findings": sorted(job.findings),
        "firewall_issues": sorted(
            (asdict(gap) for gap in job.firewall_issues), key=lambda gap: gap["name"]
        ),
        "items": [
            _list_shown_values(item) for item in sorted(items, key=lambda item: item.workflow_id)
        ],
    }
    # `asdict` of a whole item would copy each of its values.
    return json.dumps(shown, sort_keys=True, default=_list_shown_members)


def _list_shown_members(value: Any) -> dict[str, object]:
    members = asdict(value)
    if isinstance(value, PlannedCaller):
        del members["reference_obstacle"], members["reader_evidence"]
        if value.by_value_reason is None:
            del members["by_value_reason"]
    return members


def _list_shown_values(item: PlanItem) -> dict[str, object]:
    """Return the members of an item that a plan shows.

    Members that earlier versions of the app did not have are left out while they are empty.
    """
    values = dict(zip(_SHOWN, _shown_values(item), strict=True))
    if item.owner:
        values["owner"] = item.owner.label
    for name in ("url_secret", "possible_url_secret", "url_secret_use"):
        if not values[name]:
            del values[name]
    return values


def compute_plan_version(text: str) -> str:
    """Return the version of a plan: the first 16 hex digits of the SHA-256 of its text."""
    return hashlib.sha256(text.encode()).hexdigest()[:_LENGTH]


def parse_awaiting_flows(text: str) -> frozenset[str]:
    """Return the workflow ids of the flows that await approval, from the text of a plan."""
    return frozenset(
        item["workflow_id"]
        for item in json.loads(text)["items"]
        if PlannedAction(item["action"]).is_work
        and (item["approval_number"] == 0 or item["changed_since_approval"])
    )


def build_approved_plan_name(environment_job_id: str, version: str) -> str:
    """Return the name of an approved plan in the archive."""
    return f"plans/{environment_job_id}/{version}.json"


def list_changes_since(approved: PlanItem, now: PlanItem) -> tuple[str, ...]:
    """Return which changes since the approval of an item need a new approval.

    A caller that no longer exists needs no approval. Neither does a flow job that another approval
    started.
    """
    if now.action is PlannedAction.CONTINUE_EXISTING_JOB:
        return ()
    found = []
    if now.action is not approved.action:
        words = f"{ACTION_WORDS[now.action]}, not {ACTION_WORDS[approved.action]}"
        found.append(f"planned action: {words}")
    if now.digest != approved.digest:
        found.append("its definition was edited")
    if now.is_on != approved.is_on:
        found.append(f"it was turned {'on' if now.is_on else 'off'}")
    elif now.migration_method is not approved.migration_method:
        found.append("its trigger changed")
    if now.display_name != approved.display_name:
        found.append(f"it was named {approved.display_name}")
        return tuple(found)  # every planned change contains its name
    known = {(caller.kind, caller.label) for caller in approved.callers}
    new = [caller for caller in now.callers if (caller.kind, caller.label) not in known]
    found += [f"a new caller: {caller.label}" for caller in new]
    writes = (
        set(now.planned_changes)
        - set(approved.planned_changes)
        - {describe_caller_update(caller) for caller in new}
    )
    if now.action is approved.action and now.digest == approved.digest:
        found += [
            f"a new planned change: {write}" for write in now.planned_changes if write in writes
        ]
    return tuple(found)


def apply_approval(
    items: Sequence[PlanItem], found: Mapping[str, PlanItem], decision: ApprovalDecision
) -> list[PlanItem]:
    """Return the items that this approval concerns, with its decision.

    `found` is the plan that the app would make now, by workflow id. Jobs may be started for items
    without `changed_since_approval`. If an earlier run was interrupted, only its remaining items
    are decided.
    """
    concerned = [
        item for item in items if item.approval_number == decision.number or item.awaits_approval
    ]
    left = add_parent_flows(
        {
            item.workflow_id
            for item in concerned
            if _list_flow_ids(item) & decision.excluded_from_approval
        },
        {item.workflow_id: item.children for item in concerned},
    )
    titles = {item.workflow_id: item.display_name for item in items}
    results: dict[str, PlanItem] = {}
    for item in concerned:
        flow = item.workflow_id
        if item.approval_number == decision.number:
            results[flow] = item
        elif flow in left:
            below = [titles[child] for child in item.children if child in left]
            results[flow] = _exclude_by_approver(item, below, decision)
        else:
            results[flow] = _with_decision(item, found.get(flow), decision)
    _set_parents_changed(results, left, titles)
    return [
        results[item.workflow_id] for item in concerned if results[item.workflow_id] is not item
    ]


def add_parent_flows(flows: Collection[str], children: Mapping[str, Collection[str]]) -> set[str]:
    """Return these flows and every flow that runs one of them, directly or through others.

    `children` contains the flows that each flow runs, by workflow id.
    """
    found, above = set(flows), set(flows)
    while above:
        above = {flow for flow, below in children.items() if above & set(below)} - found
        found |= above
    return found


def exclude_unapproved_items(items: Iterable[PlanItem]) -> list[PlanItem]:
    """Return the changed items as not included, because nobody approved the changes in time."""
    text = "It changed after it was approved, and nobody approved the change in time."
    changed = [item for item in items if item.changed_since_approval and item.action.is_work]
    return [_exclude_item(item, text, NotMigratedReason.APPROVAL_EXPIRED) for item in changed]


def _with_decision(item: PlanItem, now: PlanItem | None, decision: ApprovalDecision) -> PlanItem:
    item = replace(item, approval_number=decision.number, changed_since_approval=())
    if now is None:
        return _exclude_item(
            item,
            "It no longer stays on Microsoft's key: it was deleted, or the platform moved it.",
            None,
        )
    changed = list_changes_since(item, now)
    if changed or now.action is PlannedAction.CONTINUE_EXISTING_JOB:
        return replace(now, approval_number=decision.number, changed_since_approval=changed)
    return item


def _exclude_by_approver(
    item: PlanItem, below: Sequence[str], decision: ApprovalDecision
) -> PlanItem:
    item = replace(item, approval_number=decision.number)
    if _list_flow_ids(item) & decision.excluded_from_approval:
        return _exclude_item(
            item,
            f"{decision.approved_by} excluded it from the approval.",
            NotMigratedReason.EXCLUDED_FROM_APPROVAL,
        )
    why = f"It runs {', '.join(below)}, which the approval excluded."
    return _exclude_item(item, why, NotMigratedReason.EXCLUDED_FROM_APPROVAL)


def _set_parents_changed(
    results: dict[str, PlanItem], left: Collection[str], titles: Mapping[str, str]
) -> None:
    """Mark the parents of changed items as changed, because their copies run the children's
    copies.
    """
    stopped = {flow for flow, item in results.items() if flow not in left and not _can_start(item)}
    while stopped:
        above = set()
        for flow, item in results.items():
            below = sorted(stopped & set(item.children))
            if below and _can_start(item) and item.action.is_work:
                names = ", ".join(titles[child] for child in below)
                results[flow] = replace(
                    item, changed_since_approval=(f"it runs {names}, which has changed",)
                )
                above.add(flow)
        stopped = above


def _exclude_item(item: PlanItem, why: str, left: NotMigratedReason | None) -> PlanItem:
    leave = PlannedAction.NO_CHANGE
    return replace(
        item,
        action=leave,
        message=why,
        not_migrated_reason=left,
        planned_changes=(),
        changed_since_approval=(),
    )


def _can_start(item: PlanItem) -> bool:
    return item.action.has_job and not item.changed_since_approval


def _list_flow_ids(item: PlanItem) -> set[str]:
    return {item.workflow_id, item.flow_name.lower()}
