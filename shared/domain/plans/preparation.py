"""What can be done before a key is applied, so that a flow moves by itself and needs no copy.

The document's first choice for a Power Apps (V1) flow outside a solution is V2. Adding it to a
solution takes it out of the category too (platform.md#move-into-solution) and changes neither the
flow nor an app: so that is done for all, and the conversion only where a flow is named. The action
*List flows as Admin (V1)* has to be changed, before or after the key, and so only where a flow is
named.
"""

from collections.abc import Mapping
from dataclasses import replace

from shared.domain.conversions.conversion import ConversionKind
from shared.domain.conversions.preview import ConversionPreview
from shared.domain.jobs.flow_job import MigrationMethod
from shared.domain.plans.microsoft_key_reason import MicrosoftKeyReason
from shared.domain.plans.plan_item import NotMigratedReason, PlanItem, PlannedAction

RECONNECT_APPS = (
    "Afterwards have the makers of the apps that run it take the flow out of the app and add it "
    "again: the inputs of V2 are named otherwise."
)


def plan_preparation(item: PlanItem, *, is_named: bool) -> PlanItem:
    """Return the item with what can be done with its flow before a key is applied."""
    if ConversionKind.LIST_FLOWS_ACTION in item.edits:
        return plan_edit(item) if is_named else require_explicit_selection(item)
    if ConversionKind.POWER_APPS_TRIGGER in item.edits:
        return plan_edit(item) if is_named else _added(item)
    why = next(reason for reason in MicrosoftKeyReason if reason in item.reasons)
    unprepared = why.category.unprepared
    return replace(
        item,
        action=PlannedAction.NO_CHANGE,
        explanation=unprepared,
        left=NotMigratedReason.KEY_NOT_APPLIED,
    )


def plan_edit(item: PlanItem) -> PlanItem:
    """Return the item as an edit of the flow's definition."""
    is_trigger = ConversionKind.POWER_APPS_TRIGGER in item.edits
    action = PlannedAction.CONVERT_TRIGGER if is_trigger else PlannedAction.EDIT_ACTION
    instruction = RECONNECT_APPS if is_trigger else ""
    return _alone(
        replace(
            item, action=action, pattern=MigrationMethod.EDIT_DEFINITION, instruction=instruction
        )
    )


def require_explicit_selection(item: PlanItem) -> PlanItem:
    """Return the item blocked until somebody asks for the edit of its action by name."""
    return replace(
        item,
        action=PlannedAction.NEEDS_CHANGES,
        instruction=(
            "Look at the proposal; then order the same again for this flow by its id, to have the "
            f"app make that change (--flow {item.workflow_id}), or make it yourself."
        ),
    )


def with_proposal(item: PlanItem, proposal: ConversionPreview) -> PlanItem:
    """Return the item with what a conversion would change; blocked where it was to be made."""
    if not proposal.obstacles:
        return replace(item, proposal=proposal.diff)
    text = "\n".join(("It cannot be converted surely.", *proposal.obstacles))
    item = replace(item, proposal=text)
    if item.action not in {PlannedAction.CONVERT_TRIGGER, PlannedAction.EDIT_ACTION}:
        return item
    instruction = "Change it to V2 in the designer, and what reads the answer with it."
    if item.action is PlannedAction.CONVERT_TRIGGER:
        instruction = (
            "Change the trigger to V2 in the designer; or run again without naming the flow: then "
            "it is added to a solution."
        )
    return replace(
        item,
        action=PlannedAction.NEEDS_CHANGES,
        explanation=text.replace("\n", " "),
        instruction=instruction,
    )


def describe_changes(item: PlanItem) -> tuple[str, ...]:
    """Return in words what is written where no copy is made."""
    title, writes = item.display_name, []
    if not item.in_solution:
        writes.append(f"add {title} to a solution, which the app cannot undo")
    if item.action is not PlannedAction.ADD_TO_SOLUTION:
        writes += [_EDITS[edit].format(title=title) for edit in item.edits]
    return tuple(writes)


_EDITS: Mapping[ConversionKind, str] = {
    ConversionKind.POWER_APPS_TRIGGER: "change the trigger of {title} from Power Apps (V1) to V2",
    ConversionKind.LIST_FLOWS_ACTION: (
        "change the action List flows as Admin of {title} from V1 to V2"
    ),
}


def _added(item: PlanItem) -> PlanItem:
    return _alone(
        replace(item, action=PlannedAction.ADD_TO_SOLUTION, pattern=MigrationMethod.ADD_TO_SOLUTION)
    )


def _alone(item: PlanItem) -> PlanItem:
    """Without a copy no relative has to be waited for."""
    return replace(item, children=(), parents=())
