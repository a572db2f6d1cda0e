"""Canvas apps as callers. No interface points an app at another flow: its maker does.

An app names the flows that it runs by their ids. Which ones its document tells; whether the flow
service's name of a flow or its Dataverse id stands there is not documented, so both are looked for.

See platform.md#canvas-apps.
"""

import json
from collections.abc import AsyncIterator, Collection, Sequence
from datetime import timedelta

from shared.callers.search import UnreadableCallers, environment_id
from shared.domain.assessment.snapshots import CanvasApp
from shared.domain.callers.caller import Caller, CallerContent
from shared.domain.callers.caller_edit import CHILD_REFERENCE
from shared.domain.callers.search_position import CallerSearchPosition
from shared.domain.environment import Environment
from shared.domain.permissions import IN_POWER_PLATFORM
from shared.errors import InvalidInput, JobBlocked, NotFound, PlatformError
from shared.ports import CanvasApps
from shared.reason import Reason

KIND = "canvas_app"
BY_ITS_MAKER = (
    "Its maker opens the app in Power Apps Studio, removes the old flow, adds its copy (the flow of"
    " the same name that ends in (CMK)), and publishes the app."
)


class CanvasAppCallers:
    """Implements `CallerKind`. Addresses are `environment/app`; nothing is ever written."""

    kind = KIND
    #: What an app holds is told in the words in which a flow's definition calls a child flow.
    is_json = True
    old_value_lifetime = timedelta(0)
    is_environment_only = True
    is_assessed_separately = True
    required_permissions = IN_POWER_PLATFORM

    def __init__(self, canvas_apps: CanvasApps) -> None:
        """`canvas_apps` are read in an administrator's view."""
        self._apps = canvas_apps

    async def find(
        self,
        environments: Sequence[Environment],
        search: CallerSearchPosition | None = None,
    ) -> AsyncIterator[Caller]:
        """Yield every app that uses any flow."""
        search = search or CallerSearchPosition()
        refusals = UnreadableCallers(search, self.required_permissions.fix)
        for environment in search.remaining(environments, environment_id):
            try:
                apps = await self._apps.list_with_flows(environment.id)
            except PlatformError as err:
                refusals.add(f"canvas apps of {environment.display_name}", err)
                continue
            except NotFound:
                refusals.note(f"canvas apps of {environment.display_name} (no such list)")
                continue
            for app in apps:
                if app.gap:
                    refusals.note(app.gap)
                yield _caller(environment.id, app)
        refusals.tell()

    async def read(self, caller: Caller) -> CallerContent:
        """Return the flows that the app uses; raises `NotFound`, `JobBlocked` if they do not
        show.
        """
        home, _, name = caller.address.partition("/")
        try:
            app = await self._apps.get(home, name)
        except InvalidInput as err:
            raise JobBlocked(
                f"Which flows the {caller.label} uses cannot be read: {err}",
                instruction=f"{BY_ITS_MAKER} Then retry.",
                code=Reason.MANUAL_CALLER,
            ) from err
        return CallerContent(text=_calls(app.flow_ids))

    async def write(self, caller: Caller, value: CallerContent) -> None:  # noqa: ARG002 -- nothing is written
        """Refuse: an app cannot be written. Raises `JobBlocked`."""
        raise JobBlocked(
            f"The {caller.label} cannot be pointed at another flow by the platform's interfaces.",
            instruction=f"{BY_ITS_MAKER} Then retry.",
            code=Reason.MANUAL_CALLER,
        )


def _caller(home: str, app: CanvasApp) -> Caller:
    owner = f" of {app.owner}" if app.owner else ""
    return Caller(
        kind=KIND,
        address=f"{home}/{app.name}",
        label=f"canvas app {app.display_name}{owner}",
        resource_id=f"{KIND}/{home}/{app.name}",
        environment_id=home,
        child_flow_ids=app.flow_ids,
        manual=BY_ITS_MAKER,
    )


def _calls(flow_ids: Collection[str]) -> str:
    return json.dumps([{CHILD_REFERENCE: one} for one in sorted(flow_ids)])
