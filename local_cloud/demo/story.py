"""The story that the demo plays: what administrators and the platform do, and what then happens.

It waits for what it expects to see and never for a time; what takes too long ends it, and says
what was waited for.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from local_cloud.demo.app_client import App, AppRefusal
from local_cloud.demo.azure import KEY, KEY_VAULT, POLICY_SYSTEM_ID, PRICING_SITE, REGIONS
from local_cloud.demo.definitions import flow_id
from local_cloud.demo.platform import Platform
from local_cloud.demo.progress import FINISHED
from local_cloud.demo.tenant import CUSTOMER_CARE, OLD_APP, OPERATIONS
from local_cloud.demo.watcher import Watcher

type Json = dict[str, Any]

#: Flows that the administrator keeps out of the first remediation; the sweep after the key's
#: rotation finds them.
_LATER = sorted(flow_id(OPERATIONS.name, slug) for slug in ("old-host", "alerts", "keyword"))
APPROVER = "change board"
#: How long nothing may change while something is waited for.
_PATIENCE = 120.0
#: The least time between two looks, and how much longer than a look it is.
_PAUSE, _PAUSES = 0.5, 3
_OPEN = frozenset({"waiting_for_migration", "discovering", "planned"})
_OVER = frozenset({"finished", "blocked", "failed", "cancelled"})
#: Flows whose firewalls are settled while the demo runs.
_PRICING = flow_id(OPERATIONS.name, "pricing")
_LABELS_GROUP = "nsg-labels"
_OLD_APP_FLOW = flow_id(OPERATIONS.name, "old-app")
#: Why a job waits for a person who changes a caller.
_BY_HAND = "manual_caller"
_FEEDBACK = flow_id(CUSTOMER_CARE.name, "feedback")


class StoryError(Exception):
    """What was expected did not happen; the text says what."""


class Place(Protocol):
    """An environment that the story speaks of."""

    @property
    def id(self) -> str:
        """The environment's id."""

    @property
    def title(self) -> str:
        """What it is called."""


class Story:
    """The acts of the demo, in order."""

    def __init__(
        self, platform: Platform, app: App, watcher: Watcher, imported: Sequence[Place] = ()
    ) -> None:
        """Act through `platform` and `app`, look through `watcher`.

        `imported` are environments of exported flows, remediated after all others.
        """
        self._platform = platform
        self._app = app
        self._watcher = watcher
        self._progress = watcher.progress
        self._imported = imported
        self._is_pricing_open = False
        self._is_app_published = False
        self._waived: set[str] = set()

    @property
    def acts(self) -> dict[str, Callable[[], Awaitable[None]]]:
        """The acts by title."""
        acts: dict[str, Callable[[], Awaitable[None]]] = {
            "An administrator opts Operations in and links it to the policy": self.link,
            "Operations: plan, approve, copy, prove, re-point callers, retire": self.remediate,
            "The key is rotated: verify, sweep, remediate the rest": self.rotate,
            "Customer care: a dry run, then the real one, by hand": self.order,
            "One flow of Customer care is rolled back": self.roll_back,
        }
        if self._imported:
            acts["Exported flows: link their environments and remediate them"] = self.import_flows
        return acts

    async def play(self) -> None:
        """Play all acts; StoryError if one does not come to its end."""
        self._progress.steps = tuple(self.acts)
        for act in self.acts.values():
            await act()
            self._progress.done += 1

    async def link(self) -> None:
        """Mode `approve`, then the link: nothing tells the app, it has to notice."""
        settings = {"mode": "approve", "excluded_flows": _LATER}
        await self._app.put(f"environments/{OPERATIONS.id}", settings)
        await self._platform.link(OPERATIONS.id, POLICY_SYSTEM_ID)
        self._progress.note("Operations is being linked to the policy cmk-europe.")
        await self._until(
            lambda: self._watcher.find("policy_event", OPERATIONS.id),
            "the app notices that Operations is linked",
        )
        self._progress.note("The app has noticed the link and waits for the migration's end.")

    async def remediate(self) -> None:
        """The remediation that the link started."""
        await self._run("policy_event", OPERATIONS)

    async def rotate(self) -> None:
        """A new version of the key; its event arrives over Service Bus."""
        await self._app.put(f"environments/{OPERATIONS.id}", {"excluded_flows": []})
        self._progress.note("The flows that were kept out before are let in.")
        await self._platform.rotate_key(KEY_VAULT, KEY)
        self._progress.note(f"The key {KEY} has a new version.")
        await self._run("key_event", OPERATIONS)

    async def order(self) -> None:
        """A remediation started by hand, as a dry run first."""
        dry = await self._order("dry-run")
        await self._planned(dry, CUSTOMER_CARE)
        self._progress.note("The dry run shows every write that the real run would make.")
        await self._app.put(f"environments/{CUSTOMER_CARE.id}", {"mode": "auto"})
        await self._order("apply")
        await self._run("order", CUSTOMER_CARE)

    async def roll_back(self) -> None:
        """Undo one flow: original on, callers back, copy off."""
        detail = await self._until(
            lambda: self._watcher.find("order", CUSTOMER_CARE.id), "the remediation by hand"
        )
        where = f"remediations/{detail['remediation']['id']}/roll-back"
        await self._app.post(where, {"flows": [_FEEDBACK]})
        self._progress.note("Take feedback is being rolled back.")
        await self._until(
            lambda: self._job(CUSTOMER_CARE, _FEEDBACK).get("state") == "rolled_back",
            "the rollback of Take feedback",
        )
        self._progress.note("Its original is on, its caller has the old URL again.")

    async def import_flows(self) -> None:
        """Environments of exported flows, all at once and without asking."""
        for environment in self._imported:
            settings = {"mode": "auto", "limit": 10_000}
            await self._app.put(f"environments/{environment.id}", settings)
            await self._platform.link(environment.id, POLICY_SYSTEM_ID)
        self._progress.note(f"{len(self._imported)} environments of exported flows are linked.")
        for environment in self._imported:
            await self._run("policy_event", environment)
            self._progress.note(f"{environment.title} has come to its end.")

    async def _order(self, mode: str) -> str:
        body = {"mode": mode, "environments": [CUSTOMER_CARE.id]}
        started = await self._app.post("remediations", body, key=f"demo-{mode}")
        self._progress.note(f"POST /api/remediations: {mode} for Customer care.")
        return str(started["id"])

    async def _run(self, origin: str, environment: Place) -> None:
        """Follow a remediation: approve its plan, settle firewalls, wait for every job's end."""
        detail = await self._until(
            lambda: self._watcher.find(origin, environment.id),
            f"a remediation of {environment.title} after {origin}",
        )
        identity = str(detail["remediation"]["id"])
        job = await self._planned(identity, environment)
        if job["state"] == "awaiting_approval":
            await self._approve(identity)
        await self._until(
            lambda: self._is_over(identity, environment),
            f"every flow job of {environment.title} comes to an end",
            meanwhile=lambda: self._settle(identity, environment),
        )

    async def _planned(self, identity: str, environment: Place) -> Json:
        def planned() -> Json | None:
            job = self._watcher.environment_job(identity, environment.id)
            return None if job["state"] in _OPEN else job

        job = await self._until(planned, f"the plan for {environment.title}")
        counts = ", ".join(f"{number} {name}" for name, number in (job["counts"] or {}).items())
        self._progress.note(f"Plan for {environment.title}: {counts}.")
        return job

    async def _approve(self, identity: str) -> None:
        plans = await self._app.get(f"remediations/{identity}/plan")
        versions = [plan["version"] for plan in plans["items"] if plan["awaiting"]]
        if not versions:
            return
        try:
            order = {"versions": versions, "by": APPROVER}
            await self._app.post(f"remediations/{identity}/approve", order)
        except AppRefusal as refusal:
            if refusal.status != 409:
                raise  # 409: an answer was lost on the way, and the plan is approved already
        self._progress.note(f"The plan is approved: version {', '.join(versions)}.")

    async def _settle(self, identity: str, environment: Place) -> None:
        """Do what only people can do in *Operations* while the app works there."""
        if environment is OPERATIONS:
            await self._settle_firewalls(identity)
            await self._settle_app(identity)

    async def _settle_app(self, identity: str) -> None:
        """The maker points the canvas app at the copy once the app asks for it."""
        job = self._job(OPERATIONS, _OLD_APP_FLOW)
        if job.get("code") != _BY_HAND or self._is_app_published:
            return
        self._is_app_published = True
        where = f"/environments/{OPERATIONS.id}/canvasApps/{OLD_APP}"
        await self._platform.control("PATCH", where, {"flows": [job["copy_id"]]})
        await self._app.post(f"remediations/{identity}/retry", {"flows": [_OLD_APP_FLOW]})
        self._progress.note("The maker of the app Requests has put the copy in and published it.")

    async def _settle_firewalls(self, identity: str) -> None:
        """Open one firewall, waive one gap by its name; a third one stays as it is."""
        pricing = self._job(OPERATIONS, _PRICING)
        if pricing.get("code") == "network_gap" and not self._is_pricing_open:
            self._is_pricing_open = True
            tags = [f"PowerPlatformPlex.{region}" for region in REGIONS]
            await self._platform.let_in(PRICING_SITE, tags)
            await self._app.post(f"remediations/{identity}/retry", {"flows": [_PRICING]})
            self._progress.note("The firewall of contoso-pricing is opened for PowerPlatformPlex.")
        for finding in self._watcher.environment_job(identity, OPERATIONS.id)["network"]:
            name = finding["name"]
            if _LABELS_GROUP in name.lower() and name not in self._waived:
                self._waived.add(name)
                reason = "Flows reach the printers over a private link."
                where = f"environments/{OPERATIONS.id}/waivers"
                await self._app.post(where, {"gap": name, "reason": reason})
                self._progress.note(f"The gap of {_LABELS_GROUP} is waived by name.")

    def _is_over(self, identity: str, environment: Place) -> bool:
        if self._watcher.environment_job(identity, environment.id)["state"] not in _OVER:
            return False
        jobs = [job for (where, _), job in self._progress.jobs.items() if where == environment.id]
        return all(job["state"] in FINISHED and job["code"] != _BY_HAND for job in jobs)

    def _job(self, environment: Place, flow: str) -> Json:
        return self._progress.jobs.get((environment.id, flow), {})

    async def _until[T](
        self,
        observe: Callable[[], T | None],
        what: str,
        *,
        meanwhile: Callable[[], Awaitable[None]] | None = None,
    ) -> T:
        """Look until the observation is true; StoryError if for too long nothing changes."""
        picture: object = None
        changed = time.monotonic()
        while True:
            began = time.monotonic()
            await self._watcher.look()
            if found := observe():
                return found
            if meanwhile:
                await meanwhile()
            if (now := self._watcher.picture()) != picture:
                picture, changed = now, began
            elif began - changed > _PATIENCE:
                raise StoryError(f"nothing changed for {_PATIENCE:.0f} s: not seen: {what}")
            await asyncio.sleep(max(_PAUSE, _PAUSES * (time.monotonic() - began)))
