"""Read canvas apps as callers. Only an app's maker can change which flow it calls.

An app names its flows by id. It is not documented whether that is the flow service's name or the
Dataverse id, so both are searched for. See platform.md#canvas-apps.
"""

import json
from collections.abc import AsyncGenerator, Collection, Sequence
from datetime import timedelta

from shared.callers.search import SearchedCallers, UnreadableCallers, get_environment_id
from shared.domain.callers.caller import Caller, CallerContent
from shared.domain.callers.caller_edit import CHILD_REFERENCE
from shared.domain.environment import Environment
from shared.domain.permissions import IN_POWER_PLATFORM
from shared.domain.power_apps import CanvasApp
from shared.errors import InvalidInput, JobBlocked, NotFound, PlatformError
from shared.ports import CanvasApps
from shared.reason import Reason

KIND = "canvas_app"
BY_ITS_MAKER = (
    "Ask its maker to open the app in Power Apps Studio, remove the original, add its copy, the "
    "flow of the same name that ends in (CMK), and publish the app."
)

#: How it uses the original again.
_REVERT = (
    "Ask its maker to open the app in Power Apps Studio, remove the copy, add the original again, "
    "and publish the app."
)


class CanvasAppCallers(SearchedCallers):
    """The caller kind of canvas apps. A caller's address is `environment/app`."""

    kind = KIND
    #: The content is written in the format of a definition's child flow calls.
    is_json = True
    old_value_lifetime = timedelta(0)
    is_environment_only = True
    is_assessed_separately = True
    required_permissions = IN_POWER_PLATFORM

    def __init__(self, canvas_apps: CanvasApps) -> None:
        self._apps = canvas_apps

    async def find_callers(
        self, environments: Sequence[Environment], unreadable: UnreadableCallers
    ) -> AsyncGenerator[Caller]:
        for environment in unreadable.search.list_remaining_places(
            environments, get_environment_id
        ):
            try:
                apps = await self._apps.list_with_flows(environment.id)
            except PlatformError as err:
                unreadable.record_place(f"canvas apps of {environment.display_name}", err)
                continue
            except NotFound:
                unreadable.record_unsearched(
                    f"canvas apps of {environment.display_name} (no such list)"
                )
                continue
            for app in apps:
                if app.unknown_reason:
                    unreadable.record_unsearched(app.unknown_reason)
                yield _build_caller(environment.id, app)

    async def read(self, caller: Caller) -> CallerContent:
        """Return the ids of the flows that the app uses.

        Raises `NotFound` if the app does not exist, and `JobBlocked` if its flows cannot be read.
        """
        home, _, name = caller.address.partition("/")
        try:
            app = await self._apps.get(home, name)
        except InvalidInput as err:
            raise JobBlocked(
                f"The flows that the {caller.label} uses cannot be read: {err}",
                fix=f"{BY_ITS_MAKER} Then retry.",
                code=Reason.MANUAL_CALLER,
            ) from err
        return CallerContent(text=_format_flow_references(app.flow_ids))

    async def write(self, caller: Caller, value: CallerContent) -> None:  # noqa: ARG002 -- nothing is written
        raise JobBlocked(
            f"The app cannot change the {caller.label}: the platform has no API for that.",
            fix=f"{BY_ITS_MAKER} Then retry.",
            code=Reason.MANUAL_CALLER,
        )


def _build_caller(home: str, app: CanvasApp) -> Caller:
    owner = f" of {app.owner}" if app.owner else ""
    return Caller(
        kind=KIND,
        address=f"{home}/{app.name}",
        label=f"canvas app {app.display_name}{owner}",
        resource_id=f"{KIND}/{home}/{app.name}",
        environment_id=home,
        child_flow_ids=app.flow_ids,
        manual_reason=BY_ITS_MAKER,
        revert_reason=_REVERT,
    )


def _format_flow_references(flow_ids: Collection[str]) -> str:
    return json.dumps([{CHILD_REFERENCE: one} for one in sorted(flow_ids)])
