"""Play the scene of an unknown caller: a script of another company has the URL of a flow.

The script continues to call the original after all known callers have the copy's URL. The app may
read who calls, and names the script. Then the script's owner stops it.
"""

import asyncio
from contextlib import suppress
from http import HTTPStatus
from typing import Any

from local_cloud.demo.definitions import build_flow_id
from local_cloud.demo.scenario_context import ScenarioContext
from local_cloud.demo.tenant import OPERATIONS

type Json = dict[str, Any]

_FLOW = build_flow_id(OPERATIONS.name, "stock")
_HEADERS = {"User-Agent": "curl/8.5.0", "X-Forwarded-For": "203.0.113.7"}
_NAMED = "Unknown caller, "
#: Less than the demo's no-call period.
_SECONDS_BETWEEN_CALLS = 1


class UnknownCallerScene:
    def __init__(self, stage: ScenarioContext) -> None:
        self._stage = stage
        self._is_stopped = asyncio.Event()
        self._calls: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        await self._stage.app.put(f"environments/{OPERATIONS.id}", {"observe_callers": True})
        where = f"/environments/{OPERATIONS.id}/flows/{_FLOW}"
        url = (await self._stage.platform.call_control("GET", where))["triggerUrl"]
        self._calls = asyncio.create_task(self._call_repeatedly(url))

    async def stop_script_if_named(self) -> None:
        job = self._stage.find_job(OPERATIONS, _FLOW)
        message = str(job.get("message", ""))
        if self._calls is None or _NAMED not in message:
            return
        self._is_stopped.set()
        await self._calls
        self._calls = None
        who = message[message.index(_NAMED) :].partition(". ")[0]
        self._stage.note(f"{job['display_name']} is still called. {who}. Its owner stops it.")

    async def _call_repeatedly(self, url: str) -> None:
        while not self._is_stopped.is_set():
            status, _ = await self._stage.platform.call_outside(
                "POST", url, headers=_HEADERS, body={"number": 0}
            )
            if status >= HTTPStatus.BAD_REQUEST:
                return
            with suppress(TimeoutError):
                await asyncio.wait_for(self._is_stopped.wait(), _SECONDS_BETWEEN_CALLS)


def list_unknown_callers(remediations: list[Json]) -> list[Json]:
    """Return the unknown callers that the app has named, each with its flow."""
    return [
        {"flow": original["display_name"]}
        | {name: caller[name] for name in ("label", "claims", "call_count")}
        for detail in remediations
        for original in detail["observed_callers"]
        for caller in original["callers"]
        if not caller["is_known"] and caller["claims"]
    ]
