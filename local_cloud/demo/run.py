"""Run the demo once: start everything, play the scenario, and check the results."""

import asyncio
import base64
import fcntl
import json
import os
import secrets
import shutil
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self

from azure.servicebus.aio import ServiceBusClient

from local_cloud.collector import read_spans_file
from local_cloud.demo.app_client import App
from local_cloud.demo.definitions import build_flow_id
from local_cloud.demo.flow_folder import ImportedFlows, read_folders
from local_cloud.demo.flow_results import (
    DemoResult,
    ResultCollector,
    find_differences,
    find_flows_left_off,
    find_unexplained_ends,
)
from local_cloud.demo.flow_trace import build_flow_trace
from local_cloud.demo.operator_sign_in import sign_in_operator
from local_cloud.demo.platform import Platform
from local_cloud.demo.platform_requests import RequestMeter
from local_cloud.demo.received_notifications import find_missing_notifications, list_notifications
from local_cloud.demo.scenario import DemoScenario
from local_cloud.demo.scenario_context import NamedEnvironment, ScenarioContext, ScenarioError
from local_cloud.demo.systems import SYSTEMS, ExternalSystem
from local_cloud.demo.tenant import (
    ENVIRONMENTS,
    OPERATIONS,
    SIGN_IN_CLIENT_ID,
    build_app_settings,
    build_demo_tenant,
)
from local_cloud.demo.traffic import USER_AGENT, RepeatedEvent, StartedByHand, Traffic
from local_cloud.demo.unknown_caller import list_unknown_callers
from local_cloud.demo.watcher import Watcher
from local_cloud.stack import Stack, StackError, StackOptions
from local_cloud.tenant.core.profiles import Profile
from shared.domain.jobs.flow_states import FlowJobState

type Json = dict[str, Any]

EXPECTED_ENDS = Path(__file__).with_name("expected_ends.json")
_BY_HAND = ("send-parcel", "resend-order", "visitors")
_EVENTS = ("WebhookKeywordTrigger", "WebhookAtMentionTrigger", "OnNewChannelMessage")
_KEY_EVENTS = "key-events"
#: Part of the log line of a delivery that delayed its job.
_WAITS = f"-> {FlowJobState.WAITING} | "


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    #: The folder for state, logs and reports. It is emptied first.
    folder: Path
    #: The profile of the tenant: documented or adversarial.
    profile: Profile = Profile.DOCUMENTED
    #: Files or folders of exported flows to remediate beside the demo's own.
    flows: tuple[Path, ...] = ()
    #: Whether the platform keeps each of these flows on Microsoft's key, whatever it contains.
    hold_all: bool = False
    #: Whether people sign in, as in a deployment. Otherwise, the function key gives all rights.
    signs_in: bool = False


class DemoRun:
    """One run of the demo. Entering its block starts all processes; `play` plays the scenario."""

    stack: Stack
    platform: Platform
    app: App
    traffic: Traffic
    watcher: Watcher
    imported: ImportedFlows
    _lock_folder: IO[bytes]

    def __init__(self, options: DemoOptions) -> None:
        self._options = options
        self._closing = AsyncExitStack()

    async def __aenter__(self) -> Self:
        folder = self._options.folder
        self._lock = await asyncio.to_thread(_lock_folder, folder)
        try:
            return await self._start_stack(folder)
        except BaseException:
            self._lock.close()
            raise

    async def _start_stack(self, folder: Path) -> Self:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
        self.imported = await asyncio.to_thread(
            read_folders, self._options.flows, hold_all=self._options.hold_all
        )
        seed = self.imported.add_to(build_demo_tenant(self._options.profile))
        archive_key = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
        settings = build_app_settings() | {"CMK_ARCHIVE_KEY": archive_key}
        async with AsyncExitStack() as closing:
            self.stack = await closing.enter_async_context(
                Stack(
                    StackOptions(
                        folder=folder,
                        seed=seed,
                        settings=settings,
                        sign_in_client_id=SIGN_IN_CLIENT_ID if self._options.signs_in else "",
                    )
                )
            )
            self.platform = await closing.enter_async_context(Platform(self.stack.tenant))
            await sign_in_operator(self.platform, self.stack.tenant)
            await self.stack.start_app()
            self._closing = closing.pop_all()
        self.app = App(self.platform.session, lambda: self.stack.app)
        self.traffic = Traffic(self.platform)
        places: tuple[NamedEnvironment, ...] = (*ENVIRONMENTS, *self.imported.environments)
        names = {place.id: place.title for place in places}
        self.watcher = Watcher(self.app, self.platform, self.traffic, names)
        self._stage = ScenarioContext(self.platform, self.app, self.watcher)
        self._collector = ResultCollector(self.platform, self.app, names)
        return self

    async def __aexit__(self, *_: object) -> None:
        try:
            await self.traffic.abandon()
            await self._closing.aclose()
        finally:
            self._lock.close()

    @property
    def meter(self) -> RequestMeter:
        return self._stage.meter

    def start_traffic(self) -> None:
        self.traffic.start(
            SYSTEMS,
            [
                StartedByHand(environment=OPERATIONS.id, flow=build_flow_id(OPERATIONS.name, slug))
                for slug in _BY_HAND
            ],
            [RepeatedEvent(environment=OPERATIONS.id, operation=name) for name in _EVENTS],
        )

    async def play(self) -> DemoResult:
        """Play the scenario to its end. The result contains all failures."""
        await self._collector.remember_flows()
        held = {system.name: await self.traffic.read_held_url(system) for system in SYSTEMS}
        self.start_traffic()
        outcome = DemoResult()
        try:
            await DemoScenario(self._stage, self.imported.environments).play()
        except (ScenarioError, TimeoutError) as error:
            outcome.failures.append(str(error) or "the app did not answer")
        await self.traffic.stop()
        await self.meter.mark("everything else")
        await self._collect_results(outcome, held)
        return outcome

    async def _collect_results(self, outcome: DemoResult, held: dict[str, str]) -> None:
        progress = self.watcher.progress
        await self.watcher.refresh_state()
        outcome.flows = await self._collector.read_results(progress.jobs)
        outcome.remediations = self.watcher.remediations
        outcome.callers = await self._collector.count_changed_callers(progress.jobs)
        for system in SYSTEMS:
            is_changed = await self.traffic.read_held_url(system) != held[system.name]
            outcome.callers[system.holder.kind] += is_changed
        outcome.gaps = _list_firewall_issues(self.watcher.remediations, progress.jobs)
        outcome.deletions = _list_deletions(self.watcher.remediations)
        outcome.unknown_callers = list_unknown_callers(self.watcher.remediations)
        outcome.recheck_at = await self._read_recheck_time()
        outcome.trace = build_flow_trace(
            await asyncio.to_thread(read_spans_file, self.stack.spans_file),
            _list_retired_originals(progress.jobs),
        )
        received = await self.platform.call_control("GET", "/received-messages")
        log = await self._read_log()
        outcome.waits = log.count(_WAITS)
        outcome.messages = list_notifications(received, log)
        outcome.failures += find_missing_notifications(received, outcome.messages)
        outcome.failures += await self._read_failures(outcome, held)

    async def _read_failures(self, outcome: DemoResult, held: dict[str, str]) -> list[str]:
        account = self.traffic.account
        expected = json.loads(await asyncio.to_thread(EXPECTED_ENDS.read_text))
        found = find_flows_left_off(outcome.flows)
        found += [f"lost: {loss}" for loss in account.list_losses(USER_AGENT)]
        imported = {environment.title for environment in self.imported.environments}
        found += find_differences(
            [f for f in outcome.flows if f.environment not in imported], expected
        )
        found += find_unexplained_ends([f for f in outcome.flows if f.environment in imported])
        found += [f"{path}: {why}" for path, why in self.imported.refused]
        found += await self._collector.find_lost_ownership(self.watcher.progress.jobs)
        found += [
            f"{one['flow']}: deleted, but {one['runs']} runs are archived"
            for one in outcome.deletions
            if one["state"] == "deleted" and not one["runs"]
        ]
        if not outcome.unknown_callers:
            found.append("the unknown caller of an original is not named")
        if not account.calls:
            found.append("no outside system called a flow")
        if account.by_hand["Succeeded"] != account.by_hand.total():
            found.append(f"runs that people started: {dict(account.by_hand)}")
        if account.count_processed_twice():
            found.append(f"{account.count_processed_twice()} events were processed twice")
        if not outcome.recheck_at:
            found.append("no key check is scheduled after the rotation of the key")
        for system in SYSTEMS:
            is_back = await self.traffic.read_held_url(system) == held[system.name]
            if _is_rolled_back(system, outcome) and not is_back:
                found.append(f"{system.name}: its value is not what it was before")
        found += await self.read_crashes()
        return found

    async def read_crashes(self) -> list[str]:
        health = await self.app.get("health")
        found = [
            f"{number} dead-letter messages: {queue}"
            for queue, number in health["dead_letters"].items()
            if number
        ]
        if health["poison_messages"]:
            found.append(f"{health['poison_messages']} poison messages")
        lines = (await self._read_log()).splitlines()
        return found + [text for line in lines if (text := find_log_error(line))]

    async def _read_log(self) -> str:
        return await asyncio.to_thread(self.stack.locate_log("app").read_text)

    async def _read_recheck_time(self) -> str:
        client = ServiceBusClient.from_connection_string(self.stack.service_bus)
        async with client, client.get_queue_receiver(_KEY_EVENTS) as receiver:
            waiting = await receiver.peek_messages(max_message_count=10)
        times = [one.scheduled_enqueue_time_utc for one in waiting]
        return max((f"{at:%Y-%m-%d %H:%M} UTC" for at in times if at), default="")


def _lock_folder(folder: Path) -> IO[bytes]:
    """Lock the folder against other demos. Raises `StackError` if another demo has locked it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    file = folder.with_name(f"{folder.name}.lock").open("a+b")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.seek(0)
        process = file.read().decode()
        file.close()
        raise StackError(
            f"process {process} is already running in {folder}. Stop it (Ctrl-C in its terminal, "
            f"or kill {process}), or use another folder (python -m local_cloud … --folder FOLDER)"
        ) from error
    file.truncate(0)
    file.write(str(os.getpid()).encode())
    file.flush()
    return file


def _is_rolled_back(system: ExternalSystem, outcome: DemoResult) -> bool:
    titles = {
        flow.title
        for environment in ENVIRONMENTS
        if environment.name == system.environment
        for flow in environment.flows
        if flow.slug == system.flow
    }
    return any(end.title in titles and end.state == "rolled_back" for end in outcome.flows)


def _list_deletions(remediations: list[Json]) -> list[Json]:
    return [
        {
            "flow": one["display_name"],
            "state": one["state"],
            "is_on_microsoft_key_list": one["is_on_microsoft_key_list"],
            "runs": sum(a["runs"] for a in detail["run_archives"] if a["job_id"] == one["job_id"]),
        }
        for detail in remediations
        for one in detail["deletions"]
    ]


def _list_retired_originals(jobs: dict[tuple[str, str], Json]) -> dict[str, str]:
    return {
        original: job["display_name"]
        for (_, original), job in jobs.items()
        if job["state"] == FlowJobState.RETIRED
    }


def _list_firewall_issues(
    remediations: list[Json], jobs: dict[tuple[str, str], Json]
) -> list[Json]:
    open_texts = [
        job["message"] for job in jobs.values() if job["reason_code"] == "firewall_denies"
    ]
    found: dict[str, Json] = {}
    for detail in remediations:
        for job in detail["environment_jobs"]:
            for gap in job["firewall_issues"]:
                stands = any(gap["firewall_name"] in text for text in open_texts)
                found[gap["name"]] = gap | {"stands": stands}
    return list(found.values())


def find_log_error(line: str) -> str:
    """Return the error in a log line of the app or its host, or an empty text."""
    try:
        record: Json = json.loads(line)
    except ValueError:
        return ""  # a process that was killed had not finished its line
    is_host = record["logger"].startswith("host") and record["level"] in ("ERROR", "CRITICAL")
    is_error = record["message"] == "internal error"
    return f"app log: {record['message'][:300]}" if is_host or is_error else ""
