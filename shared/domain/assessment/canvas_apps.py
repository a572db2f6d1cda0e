"""Add canvas apps as callers, from the apps that an assessment reads anyway."""

from collections.abc import Sequence
from dataclasses import replace

from shared.domain.assessment.assessment import AssessedCaller, AssessedFlow
from shared.domain.assessment.snapshots import NoAnswer
from shared.domain.definitions.trigger_kinds import TriggerCategory
from shared.domain.power_apps import CanvasApp

_APPS = (
    "Only the app's maker can change it: the platform has no API that makes an app call another "
    "flow."
)
_RUN_BY_APPS = frozenset({TriggerCategory.POWER_APPS_V1, TriggerCategory.POWER_APPS_V2})


def add_canvas_app_callers(
    flows: Sequence[AssessedFlow], apps: Sequence[CanvasApp] | NoAnswer
) -> list[AssessedFlow]:
    """Return the flows with the canvas apps that call them added as callers.

    If the apps could not be read, add the reason to each flow that apps can start.
    """
    if isinstance(apps, NoAnswer):
        why = f"The apps that call it could not be read: {apps.message}."
        return [
            replace(flow, callers_unknown_reason=f"{flow.callers_unknown_reason} {why}".strip())
            if flow.category in _RUN_BY_APPS
            else flow
            for flow in flows
        ]
    return [
        replace(
            flow,
            callers=(
                *flow.callers,
                *(
                    AssessedCaller(
                        kind="canvas_app", label=f"app {one.display_name}", manual_reason=_APPS
                    )
                    for one in apps
                    if one.flow_ids & {flow.workflow_id, flow.flow_name}
                ),
            ),
        )
        for flow in flows
    ]
