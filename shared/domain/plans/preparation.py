"""Plan changes before a key is applied, so that the platform moves a flow and it needs no copy.

For a Power Apps (V1) flow outside a solution, Microsoft recommends V2. The platform also moves such
a flow if it is added to a solution (platform.md#move-into-solution), which changes neither the flow
nor an app. So the plan adds all such flows to a solution, and converts only flows that the request
names. The action *List flows as Admin (V1)* has to be changed before or after the key is applied,
also only in named flows.
"""

from collections.abc import Mapping
from dataclasses import replace

from shared.domain.conversions.conversion import ConversionKind
from shared.domain.conversions.preview import ConversionPreview
from shared.domain.jobs.flow_job import MigrationMethod
from shared.domain.plans.microsoft_key_reason import MicrosoftKeyReason
from shared.domain.plans.plan_item import NotMigratedReason, PlanItem, PlannedAction

RECONNECT_APPS = (
    "Afterwards ask the makers of the canvas apps that run it to remove the flow from the app "
    "and add it again: the inputs of V2 have other names."
)


def with_planned_preparation(item: PlanItem, command: str, *, is_named: bool) -> PlanItem:
    """Return the item with the change that is possible before a key is applied, if there is one.

    `command` starts a remediation that names the flow.
    """
    if ConversionKind.LIST_FLOWS_ACTION in item.possible_conversions:
        return with_planned_edit(item) if is_named else mark_as_needing_changes(item, command)
    if ConversionKind.POWER_APPS_TRIGGER in item.possible_conversions:
        return with_planned_edit(item) if is_named else _with_planned_addition_to_solution(item)
    why = next(reason for reason in MicrosoftKeyReason if reason in item.microsoft_key_reasons)
    unprepared = why.category.unprepared
    return replace(
        item,
        action=PlannedAction.NO_CHANGE,
        message=unprepared,
        not_migrated_reason=NotMigratedReason.KEY_NOT_APPLIED,
    )


def with_planned_edit(item: PlanItem) -> PlanItem:
    """Return the item with an edit of the flow's definition as its planned action."""
    is_trigger = ConversionKind.POWER_APPS_TRIGGER in item.possible_conversions
    action = PlannedAction.CONVERT_TRIGGER if is_trigger else PlannedAction.EDIT_ACTION
    fix = RECONNECT_APPS if is_trigger else ""
    return _without_dependents(
        replace(item, action=action, migration_method=MigrationMethod.EDIT_DEFINITION, fix=fix)
    )


def mark_as_needing_changes(item: PlanItem, command: str) -> PlanItem:
    """Return the item as one that needs changes first.

    `command` starts a remediation that names the flow, so that the app makes the change.
    """
    return replace(
        item,
        action=PlannedAction.NEEDS_CHANGES,
        fix=(
            "Make the proposed change yourself, or let the app make it: start a new remediation "
            f"for this flow (`{command}`)."
        ),
    )


def with_conversion_preview(item: PlanItem, proposal: ConversionPreview) -> PlanItem:
    """Return the item with the preview of a conversion.

    If the conversion was planned and has obstacles, the item needs changes first.
    """
    if not proposal.obstacles:
        return replace(item, conversion_preview=proposal.diff)
    text = "\n".join(("The app cannot convert it safely.", *proposal.obstacles))
    item = replace(item, conversion_preview=text)
    if item.action not in {PlannedAction.CONVERT_TRIGGER, PlannedAction.EDIT_ACTION}:
        return item
    fix = "Change the action to V2 in the designer, and the actions that read its result."
    if item.action is PlannedAction.CONVERT_TRIGGER:
        fix = (
            "Change the trigger to V2 in the designer. Or start a remediation that does not name "
            "the flow, which adds it to a solution."
        )
    return replace(
        item,
        action=PlannedAction.NEEDS_CHANGES,
        message=text.replace("\n", " "),
        fix=fix,
    )


def describe_changes_without_copy(item: PlanItem) -> tuple[str, ...]:
    """Return a text for each planned change of a flow that gets no copy."""
    title, writes = item.display_name, []
    if not item.in_solution:
        writes.append(f"add {title} to a solution, which the app cannot revert")
    if item.action is not PlannedAction.ADD_TO_SOLUTION:
        writes += [_EDITS[edit].format(title=title) for edit in item.possible_conversions]
    return tuple(writes)


_EDITS: Mapping[ConversionKind, str] = {
    ConversionKind.POWER_APPS_TRIGGER: "change the trigger of {title} from Power Apps (V1) to V2",
    ConversionKind.LIST_FLOWS_ACTION: (
        "change the action List flows as Admin of {title} from V1 to V2"
    ),
}


def _with_planned_addition_to_solution(item: PlanItem) -> PlanItem:
    return _without_dependents(
        replace(
            item,
            action=PlannedAction.ADD_TO_SOLUTION,
            migration_method=MigrationMethod.ADD_TO_SOLUTION,
        )
    )


def _without_dependents(item: PlanItem) -> PlanItem:
    """Return the item without dependent flows. It gets no copy, so it need not wait for them."""
    return replace(item, children=(), parents=())
