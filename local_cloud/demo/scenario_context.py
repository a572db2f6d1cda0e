"""Provide what every act of the scenario needs, such as waiting for an observation."""

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
#: The longest time without a change while the scenario waits, in seconds.
_PATIENCE = 120.0
#: The shortest pause between two reads in seconds, and the pause as a multiple of a read.
_PAUSE, _PAUSES = 0.5, 3


class ScenarioError(Exception):
    """The scenario did not observe something that it requires. The text names it."""


class NamedEnvironment(Protocol):
    @property
    def id(self) -> str: ...

    @property
    def title(self) -> str: ...


class ScenarioContext:
    def __init__(self, platform: Platform, app: App, watcher: Watcher) -> None:
        self.platform = platform
        self.app = app
        self.watcher = watcher
        self.meter = RequestMeter(platform)
        #: Called after each read of the state, in every act, to show what is new.
        self.observers: list[Callable[[], None]] = []

    @property
    def progress(self) -> DemoProgress:
        return self.watcher.progress

    def note(self, text: str) -> None:
        """Show a line about what happens now."""
        self.progress.note(text)

    def find_job(self, environment: NamedEnvironment, flow: str) -> Json:
        return self.progress.jobs.get((environment.id, flow), {})

    def list_jobs(self, environment: NamedEnvironment) -> list[Json]:
        return [job for (where, _), job in self.progress.jobs.items() if where == environment.id]

    async def start_remediation(
        self, mode: str, environment: NamedEnvironment, flows: Sequence[str] = ()
    ) -> str:
        """Start a remediation and return its id.

        A repeated request starts nothing, and returns the id of the first remediation.
        """
        body = {"mode": mode, "environment_ids": [environment.id], "flow_ids": list(flows)}
        key = f"demo-{mode}-{environment.title}-{len(flows)}".replace(" ", "-")
        started = await self.app.post("remediations", body, key=key)
        return str(started["id"])

    async def wait_for_plan(self, identity: str, environment: NamedEnvironment) -> Json:
        """Wait until an environment has a plan, show it, and return the environment's job."""

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
        """Approve the plans of a remediation that await approval, without the flows `except_flows`.

        The approval names the current version of each plan.
        """
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
        """Call `observe` until its result is true, and return the result.

        `meanwhile` runs between calls. Raises `ScenarioError`, which names `what`, if nothing
        changes for too long.
        """
        picture: object = None
        changed = time.monotonic()
        while True:
            began = time.monotonic()
            await self.watcher.refresh_state()
            for observer in self.observers:
                observer()
            if found := observe():
                return found
            if meanwhile:
                await meanwhile()
            if (now := self.watcher.summarize_state()) != picture:
                picture, changed = now, began
            elif began - changed > _PATIENCE:
                raise ScenarioError(f"nothing changed for {_PATIENCE:.0f} s: not seen: {what}")
            await asyncio.sleep(max(_PAUSE, _PAUSES * (time.monotonic() - began)))
