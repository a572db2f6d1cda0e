"""Canvas apps as callers of the flows that stay, from what an assessment reads of them anyway."""

from collections.abc import Sequence
from dataclasses import replace

from shared.domain.assessment.assessment import AssessedCaller, AssessedFlow
from shared.domain.assessment.snapshots import CanvasApp, NoAnswer
from shared.domain.definitions.trigger_kinds import TriggerCategory

_APPS = "An app is changed by its maker: no interface of the platform points it at another flow."
_RUN_BY_APPS = frozenset({TriggerCategory.POWER_APPS_V1, TriggerCategory.POWER_APPS_V2})


def add_canvas_app_callers(
    flows: Sequence[AssessedFlow], apps: Sequence[CanvasApp] | NoAnswer
) -> list[AssessedFlow]:
    """Return the flows with the apps that call them."""
    if isinstance(apps, NoAnswer):
        why = f"Apps that call it are not known: {apps.why}."
        return [
            replace(flow, callers_gap=f"{flow.callers_gap} {why}".strip())
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
                    AssessedCaller(kind="canvas_app", label=f"app {one.display_name}", manual=_APPS)
                    for one in apps
                    if one.flow_ids & {flow.workflow_id, flow.flow_name}
                ),
            ),
        )
        for flow in flows
    ]
