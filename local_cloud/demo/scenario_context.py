"""Provide what every act needs: wait for observations, start, approve, show a line."""

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
    """An expected observation was not made; the text names the observation."""


class NamedEnvironment(Protocol):
    """An environment with its name."""

    @property
    def id(self) -> str:
        """The environment's id."""

    @property
    def title(self) -> str:
        """The environment's name."""


class ScenarioContext:
    """The tenant, the app, and the watcher of both."""

    def __init__(self, platform: Platform, app: App, watcher: Watcher) -> None:
        """Act with `platform` and `app`, and observe with `watcher`."""
        self.platform = platform
        self.app = app
        self.watcher = watcher
        self.meter = RequestMeter(platform)
        #: What is told as soon as it is seen, whichever act is being played.
        self.observers: list[Callable[[], None]] = []

    @property
    def progress(self) -> DemoProgress:
        """The state that the view shows."""
        return self.watcher.progress

    def note(self, text: str) -> None:
        """Show a line about the current step."""
        self.progress.note(text)

    def find_job(self, environment: NamedEnvironment, flow: str) -> Json:
        """Return the last observed flow job of an original, or an empty document."""
        return self.progress.jobs.get((environment.id, flow), {})

    def list_jobs(self, environment: NamedEnvironment) -> list[Json]:
        """Return the last observed flow jobs of an environment."""
        return [job for (where, _), job in self.progress.jobs.items() if where == environment.id]

    async def start_remediation(
        self, mode: str, environment: NamedEnvironment, flows: Sequence[str] = ()
    ) -> str:
        """Start a remediation and return its id.

        A repeated request starts no second remediation.
        """
        body = {"mode": mode, "environment_ids": [environment.id], "flow_ids": list(flows)}
        key = f"demo-{mode}-{environment.title}-{len(flows)}".replace(" ", "-")
        started = await self.app.post("remediations", body, key=key)
        return str(started["id"])

    async def wait_for_plan(self, identity: str, environment: NamedEnvironment) -> Json:
        """Wait for the plan of an environment, and show its actions."""

        def find_planned_job() -> Json | None:
            job = self.watcher.get_environment_job(identity, environment.id)
            shows = ENVIRONMENT_STATES[job["state"]].remediation_state
            return None if shows is RemediationState.PLANNING else job

        job = await self.wait_until(find_planned_job, f"the plan for {environment.title}")
        self.note(
            f"Plan for {environment.title}: {format_plan(job['planned_action_counts'] or {})}."
        )
        return job

    async def approve(self, identity: str, except_flows: Sequence[str] = ()) -> None:
        """Approve the plan that awaits approval, by the version that was shown."""
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

    async def wait_until[T](
        self,
        observe: Callable[[], T | None],
        what: str,
        *,
        meanwhile: Callable[[], Awaitable[None]] | None = None,
    ) -> T:
        """Observe until the condition is true.

        Raises `ScenarioError` if nothing changes for too long.
        """
        picture: object = None
        changed = time.monotonic()
        while True:
            began = time.monotonic()
            await self.watcher.read_state()
            for tell in self.observers:
                tell()
            if found := observe():
                return found
            if meanwhile:
                await meanwhile()
            if (now := self.watcher.summarize_state()) != picture:
                picture, changed = now, began
            elif began - changed > _PATIENCE:
                raise ScenarioError(f"nothing changed for {_PATIENCE:.0f} s: not seen: {what}")
            await asyncio.sleep(max(_PAUSE, _PAUSES * (time.monotonic() - began)))
