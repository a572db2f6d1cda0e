"""What every act of the scenario needs: wait for what must be seen, order, approve, and say so."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from local_cloud.demo.app_client import App, AppRefusal
from local_cloud.demo.display_text import format_plan
from local_cloud.demo.platform import Platform
from local_cloud.demo.platform_requests import RequestMeter
from local_cloud.demo.progress import DemoProgress
from local_cloud.demo.watcher import Watcher
from shared.domain.jobs.environment_states import ENVIRONMENT_STATES
from shared.domain.jobs.remediation_states import RemediationState

type Json = dict[str, Any]

APPROVER = "change board"
#: How long nothing may change while something is waited for.
_PATIENCE = 120.0
#: The least time between two looks, and how much longer than a look it is.
_PAUSE, _PAUSES = 0.5, 3


class ScenarioError(Exception):
    """What was expected did not happen; the text says what."""


class NamedEnvironment(Protocol):
    """An environment that the scenario speaks of."""

    @property
    def id(self) -> str:
        """The environment's id."""

    @property
    def title(self) -> str:
        """What it is called."""


class ScenarioContext:
    """The tenant, the app, and what is seen of both."""

    def __init__(self, platform: Platform, app: App, watcher: Watcher) -> None:
        """Act through `platform` and `app`, look through `watcher`."""
        self.platform = platform
        self.app = app
        self.watcher = watcher
        self.meter = RequestMeter(platform)
        #: What is told as soon as it is seen, whichever act is being played.
        self.observers: list[Callable[[], None]] = []

    @property
    def progress(self) -> DemoProgress:
        """The picture that is shown."""
        return self.watcher.progress

    def note(self, text: str) -> None:
        """Say what happens."""
        self.progress.note(text)

    def job(self, environment: NamedEnvironment, flow: str) -> Json:
        """The flow job of an original as it was seen last; empty: there is none yet."""
        return self.progress.jobs.get((environment.id, flow), {})

    def jobs(self, environment: NamedEnvironment) -> list[Json]:
        """All flow jobs of an environment."""
        return [job for (where, _), job in self.progress.jobs.items() if where == environment.id]

    async def order(
        self, mode: str, environment: NamedEnvironment, flows: Sequence[str] = ()
    ) -> str:
        """Start a remediation by hand; its id. Sent again, it is the same order."""
        body = {"mode": mode, "environment_ids": [environment.id], "flow_ids": list(flows)}
        key = f"demo-{mode}-{environment.title}-{len(flows)}".replace(" ", "-")
        started = await self.app.post("remediations", body, key=key)
        return str(started["id"])

    async def planned(self, identity: str, environment: NamedEnvironment) -> Json:
        """Wait for the plan of an environment, and say what it does."""

        def planned() -> Json | None:
            job = self.watcher.environment_job(identity, environment.id)
            shows = ENVIRONMENT_STATES[job["state"]].remediation_state
            return None if shows is RemediationState.PLANNING else job

        job = await self.until(planned, f"the plan for {environment.title}")
        self.note(
            f"Plan for {environment.title}: {format_plan(job['planned_action_counts'] or {})}."
        )
        return job

    async def approve(self, identity: str, except_flows: Sequence[str] = ()) -> None:
        """Approve what waits, by the version that was shown."""
        plans = await self.app.get(f"remediations/{identity}/plan")
        versions = [plan["version"] for plan in plans["items"] if plan["awaiting_flow_ids"]]
        if not versions:
            return
        try:
            order = {
                "versions": versions,
                "approved_by": APPROVER,
                "excluded_flow_ids": list(except_flows),
            }
            await self.app.post(f"remediations/{identity}/approve", order)
        except AppRefusal as refusal:
            if refusal.status != 409:
                raise  # 409: an answer was lost on the way, and the plan is approved already
        self.note(f"The {APPROVER} approves this version of the plan: {', '.join(versions)}.")

    async def until[T](
        self,
        observe: Callable[[], T | None],
        what: str,
        *,
        meanwhile: Callable[[], Awaitable[None]] | None = None,
    ) -> T:
        """Look until the observation is true; ScenarioError if for too long nothing changes."""
        picture: object = None
        changed = time.monotonic()
        while True:
            began = time.monotonic()
            await self.watcher.look()
            for tell in self.observers:
                tell()
            if found := observe():
                return found
            if meanwhile:
                await meanwhile()
            if (now := self.watcher.picture()) != picture:
                picture, changed = now, began
            elif began - changed > _PATIENCE:
                raise ScenarioError(f"nothing changed for {_PATIENCE:.0f} s: not seen: {what}")
            await asyncio.sleep(max(_PAUSE, _PAUSES * (time.monotonic() - began)))
