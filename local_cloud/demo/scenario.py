"""Play the demo's scenario: people and the platform act, and the app reacts.

Each act waits for an observation, not for a time. If nothing changes for too long, the scenario
ends with an error that names the missing observation.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from local_cloud.demo import before_key
from local_cloud.demo.azure import KEY, KEY_VAULT, POLICY_SYSTEM_ID
from local_cloud.demo.blocked_call import REFUSED, BlockedCallScene
from local_cloud.demo.declared_caller import MANUAL, DeclaredCallerScene
from local_cloud.demo.definitions import build_flow_id
from local_cloud.demo.deletions import DeletionScene
from local_cloud.demo.display_text import format_ends
from local_cloud.demo.firewalls import Firewalls
from local_cloud.demo.platform_requests import REMEDIATING
from local_cloud.demo.received_notifications import LOST_ANSWER, has_plan_notification
from local_cloud.demo.scenario_context import NamedEnvironment, ScenarioContext
from local_cloud.demo.tenant import CUSTOMER_CARE, OLD_APP, OPERATIONS
from local_cloud.demo.unknown_caller import UnknownCallerScene
from shared.domain.jobs.environment_states import ENVIRONMENT_STATES
from shared.domain.jobs.flow_states import FLOW_STATES

#: Flows that the administrator excludes from the first remediation. The search for flows after
#: the rotation of the key finds them.
_LATER = sorted(build_flow_id(OPERATIONS.name, slug) for slug in ("old-host", "alerts", "keyword"))
_OLD_APP_FLOW = build_flow_id(OPERATIONS.name, "old-app")
_FEEDBACK = build_flow_id(CUSTOMER_CARE.name, "feedback")


class DemoScenario:
    """The acts of the demo, in order."""

    def __init__(self, stage: ScenarioContext, imported: Sequence[NamedEnvironment] = ()) -> None:
        self._stage = stage
        self._imported = imported
        self._deletions = DeletionScene(stage)
        self._firewalls = Firewalls(stage)
        self._blocked_call = BlockedCallScene(stage)
        self._unknown_caller = UnknownCallerScene(stage)
        self._declared_caller = DeclaredCallerScene(stage)
        self._is_app_published = False

    @property
    def acts(self) -> dict[str, Callable[[], Awaitable[None]]]:
        acts: dict[str, Callable[[], Awaitable[None]]] = {
            "Before the key: assess Operations, prepare flows that then need no copy": self.prepare,
            "An administrator links Operations to the policy: the key is applied": self.link,
            "Operations: plan, approve, copy, verify, update callers, retire": self.remediate,
            "The key is rotated: check the key, search for flows, remediate the rest": self.rotate,
            "Customer care: a dry run, then a remediation, started manually": self.start_manually,
            "One flow of Customer care is rolled back": self.roll_back,
            "After retirement: two originals are deleted": self.wait_for_deletions,
        }
        if self._imported:
            acts["Exported flows: link their environments and remediate them"] = self.import_flows
        return acts

    async def play(self) -> None:
        """Play all acts. Raises `ScenarioError` if an act does not complete."""
        progress = self._stage.progress
        progress.steps = tuple(self.acts)
        for act in self.acts.values():
            await act()
            progress.done += 1

    async def prepare(self) -> None:
        await before_key.assess(self._stage)
        await before_key.prepare(self._stage)

    async def link(self) -> None:
        """Link *Operations* to the policy, and wait until the app has noticed this."""
        stage = self._stage
        await stage.app.put(f"environments/{OPERATIONS.id}", {"excluded_flows": _LATER})
        stage.note("Three flows of Operations are excluded: the app does not change them.")
        await stage.platform.link(OPERATIONS.id, POLICY_SYSTEM_ID)
        stage.note("The key is applied: Operations is being linked to the policy cmk-europe.")
        await stage.wait_until(
            lambda: stage.watcher.find_remediation("policy_event", OPERATIONS.id),
            "the app notices that Operations is linked",
        )
        stage.note("The app has detected the link. It waits while the platform moves flows.")

    async def remediate(self) -> None:
        await self._firewalls.refresh_service_tags()
        await self._unknown_caller.begin()
        await self._stage.platform.call_control("POST", "/faults", LOST_ANSWER)
        await self._deletions.schedule(await self._follow_remediation("policy_event", OPERATIONS))
        await self._firewalls.change_service_tags()

    async def rotate(self) -> None:
        """Rotate the key.

        The app gets the event over Service Bus and remediates the remaining flows.
        """
        stage = self._stage
        await stage.app.put(f"environments/{OPERATIONS.id}", {"excluded_flows": []})
        stage.note("The three flows are no longer excluded: the app can remediate them.")
        await stage.platform.rotate_key(KEY_VAULT, KEY)
        stage.note(f"The key {KEY} is rotated. The app checks it and searches for flows.")
        await self._follow_remediation("key_event", OPERATIONS)

    async def start_manually(self) -> None:
        stage = self._stage
        stage.note("The key was applied to Customer care long ago. A dry run is started.")
        await stage.wait_for_plan(
            await stage.start_remediation("dry_run", CUSTOMER_CARE), CUSTOMER_CARE
        )
        stage.note("The dry run shows every write that the real run would make. It made none.")
        await stage.app.put(f"environments/{CUSTOMER_CARE.id}", {"approval_policy": "automatic"})
        await self._blocked_call.begin()
        await self._declared_caller.begin()
        await stage.start_remediation("apply", CUSTOMER_CARE)
        stage.note("The remediation starts with approval policy automatic: it needs no approval.")
        await self._follow_remediation("api_request", CUSTOMER_CARE)

    async def roll_back(self) -> None:
        stage = self._stage
        detail = await stage.wait_until(
            lambda: stage.watcher.find_remediation("api_request", CUSTOMER_CARE.id),
            "the remediation by hand",
        )
        where = f"remediations/{detail['remediation']['id']}/rollback"
        await stage.app.post(where, {"flow_ids": [_FEEDBACK]})
        stage.note("The rollback of Take feedback is requested.")
        await stage.wait_until(
            lambda: stage.find_job(CUSTOMER_CARE, _FEEDBACK).get("state") == "rolled_back",
            "the rollback of Take feedback",
        )
        stage.note(
            "Take feedback: the original is on, its caller has the old URL, the copy is off."
        )

    async def wait_for_deletions(self) -> None:
        await self._deletions.wait_for_deletions()

    async def import_flows(self) -> None:
        stage = self._stage
        for environment in self._imported:
            settings = {"approval_policy": "automatic", "max_flows": 10_000}
            await stage.app.put(f"environments/{environment.id}", settings)
            await stage.platform.link(environment.id, POLICY_SYSTEM_ID)
        stage.note(f"{len(self._imported)} environments of exported flows are linked.")
        for environment in self._imported:
            await self._follow_remediation("policy_event", environment)

    async def _follow_remediation(self, origin: str, environment: NamedEnvironment) -> str:
        """Approve and follow a remediation to its end, and return its id.

        `origin` is what started it.
        """
        stage = self._stage
        detail = await stage.wait_until(
            lambda: stage.watcher.find_remediation(origin, environment.id),
            f"a remediation of {environment.title} after {origin}",
        )
        identity = str(detail["remediation"]["id"])
        job = await stage.wait_for_plan(identity, environment)
        is_measured = environment is OPERATIONS and origin == "policy_event"
        if is_measured:
            await stage.meter.mark("Operations: wait for the migration, discover, plan")
            await self._wait_for_plan_notification()
        if job["state"] == "awaiting_approval":
            await stage.approve(identity)
        await stage.wait_until(
            lambda: self._is_over(identity, environment),
            f"every flow job of {environment.title} comes to an end",
            meanwhile=lambda: self._take_actions(identity, environment),
        )
        own = stage.watcher.get_remediation(identity)["flow_jobs"]
        if is_measured:
            await stage.meter.mark(REMEDIATING)
            stage.meter.flows = len(own)
        words = format_ends(job["state"] for job in own)
        stage.note(f"{environment.title} is complete: {words}.")
        return identity

    async def _wait_for_plan_notification(self) -> None:
        received: list[Any] = []

        async def read_messages() -> None:
            received[:] = await self._stage.platform.call_control("GET", "/received-messages")

        await self._stage.wait_until(
            lambda: has_plan_notification(received),
            "the notification of the plan in all channels, and the repeated one",
            meanwhile=read_messages,
        )
        self._stage.note("All three channels have the notification that a plan awaits approval.")

    async def _take_actions(self, identity: str, environment: NamedEnvironment) -> None:
        if environment is CUSTOMER_CARE:
            await self._blocked_call.take_next_action(identity)
            await self._declared_caller.confirm_if_notified()
        if environment is OPERATIONS:
            await self._unknown_caller.stop_script_if_named()
            await self._firewalls.fix_or_ignore_issues(identity)
            await self._publish_app_if_required(identity)

    async def _publish_app_if_required(self, identity: str) -> None:
        stage = self._stage
        job = stage.find_job(OPERATIONS, _OLD_APP_FLOW)
        if job.get("reason_code") != MANUAL or self._is_app_published:
            return
        self._is_app_published = True
        where = f"/environments/{OPERATIONS.id}/canvasApps/{OLD_APP}"
        await stage.platform.call_control("PATCH", where, {"flows": [job["copy_id"]]})
        await stage.app.post(f"remediations/{identity}/retry", {"flow_ids": [_OLD_APP_FLOW]})
        stage.note("No API can change a canvas app: the maker of Requests adds the copy to it.")

    def _is_over(self, identity: str, environment: NamedEnvironment) -> bool:
        state = self._stage.watcher.get_environment_job(identity, environment.id)["state"]
        if not ENVIRONMENT_STATES[state].is_inactive:
            return False
        if environment is OPERATIONS and self._firewalls.needs_fixes:
            return False
        jobs = self._stage.list_jobs(environment)
        return all(
            FLOW_STATES[job["state"]].is_inactive and job["reason_code"] not in {MANUAL, REFUSED}
            for job in jobs
        )
