"""Run the demo's traffic: systems call flows, people start flows, and connectors send events.

Like a real system, each system of the demo reads its URL from its store before each call. It never
repeats a call, so that no loss is hidden. call_log.py counts the losses.
"""

import asyncio
import json
import uuid
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp

from local_cloud.demo.call_log import LoggedCall, TrafficCallLog
from local_cloud.demo.platform import Platform
from local_cloud.demo.systems import ExternalSystem

USER_AGENT = "demo-traffic"
_AUDIENCE = "https://service.flow.microsoft.com/"
_LEDGER_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StartedByHand:
    environment: str
    flow: str
    every: float = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RepeatedEvent:
    environment: str
    operation: str
    every: float = 2.0


class Traffic:
    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._tasks: list[asyncio.Task[None]] = []
        self._is_over = asyncio.Event()
        self.account = TrafficCallLog()

    def start(
        self,
        systems: Sequence[ExternalSystem],
        by_hand: Sequence[StartedByHand],
        events: Sequence[RepeatedEvent],
    ) -> None:
        work: list[Coroutine[Any, Any, None]] = [
            *(self._repeat_until_over(each.every, self._call_repeatedly, each) for each in systems),
            *(self._repeat_until_over(each.every, self._start_by_hand, each) for each in by_hand),
            *(self._repeat_until_over(each.every, self._send_events, each) for each in events),
            self._repeat_until_over(_LEDGER_SECONDS, self._read_ledger, None),
        ]
        self._tasks = [asyncio.create_task(each) for each in work]

    async def stop(self) -> None:
        """Stop the traffic after the calls in progress, then read the platform's call history."""
        self._is_over.set()
        await asyncio.gather(*self._tasks)
        await self._read_ledger(None)

    async def abandon(self) -> None:
        """Stop the traffic at once, without waiting for calls in progress."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def read_held_url(self, system: ExternalSystem) -> str:
        """Return the text that a system currently stores, which contains its URL."""
        return await system.holder.read(self._platform)

    async def _repeat_until_over(self, seconds: float, act: Any, argument: Any) -> None:
        while not self._is_over.is_set():
            await act(argument)
            try:
                async with asyncio.timeout(seconds):
                    await self._is_over.wait()
            except TimeoutError:
                continue

    async def _call_repeatedly(self, system: ExternalSystem) -> None:
        call = LoggedCall(tracking_id=str(uuid.uuid4()), caller=system.name)
        held = await self.read_held_url(system)
        self.account.record_held_url(system.name, held)
        url = str(json.loads(held)["url"]) if system.is_json else held
        headers = {"User-Agent": USER_AGENT, "x-ms-client-tracking-id": call.tracking_id}
        if system.has_token:
            headers["Authorization"] = f"Bearer {await self._platform.request_token(_AUDIENCE)}"
        number = len(self.account.calls) + 1
        self.account.record_call(call)
        try:
            status, _ = await self._platform.call_outside(
                "POST",
                url.replace("{number}", str(number)),
                headers=headers,
                body={"number": number},
            )
            call.status = status
        except (aiohttp.ClientError, TimeoutError) as error:
            call.problem = type(error).__name__  # its text may hold the URL
        call.is_over = True

    async def _start_by_hand(self, started: StartedByHand) -> None:
        path = f"/environments/{started.environment}/flows/{started.flow}/run"
        run = await self._platform.call_control("POST", path, {"by": USER_AGENT})
        self.account.record_manual_run(run)

    async def _send_events(self, event: RepeatedEvent) -> None:
        path = f"/environments/{event.environment}/events"
        answer = await self._platform.call_control("POST", path, {"operationId": event.operation})
        self.account.record_event(event.operation, len(answer["started"]))

    async def _read_ledger(self, _: None) -> None:
        over = self.account.list_ended_calls()
        answer = await self._platform.call_control(
            "GET", "/ledger", since=str(self.account.ledger_next)
        )
        self.account.record_entries(answer["entries"], answer["next"], over)
