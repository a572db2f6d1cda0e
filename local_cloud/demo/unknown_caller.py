"""A system that nobody knows holds the URL of a flow: a script on a machine of another company.

It continues to call the original after all known callers have the copy's URL. The app is permitted
to read who calls, and names it; then its owner stops the script.
"""

from typing import Any

from local_cloud.demo.definitions import flow_id
from local_cloud.demo.scenario_context import ScenarioContext
from local_cloud.demo.tenant import OPERATIONS

type Json = dict[str, Any]

_FLOW = flow_id(OPERATIONS.name, "stock")
_HEADERS = {"User-Agent": "curl/8.5.0", "X-Forwarded-For": "203.0.113.7"}
_NAMED = "Unknown caller, "


class UnknownCallerScene:
    """What the unknown system and its owner do while the app remediates the flow."""

    def __init__(self, stage: ScenarioContext) -> None:
        """Nothing happens before `permit`."""
        self._stage = stage
        self._url = ""
        self._is_stopped = False

    async def permit(self) -> None:
        """An approver permits the app to read who calls originals."""
        await self._stage.app.put(f"environments/{OPERATIONS.id}", {"observe_callers": True})
        where = f"/environments/{OPERATIONS.id}/flows/{_FLOW}"
        self._url = (await self._stage.platform.control("GET", where))["triggerUrl"]

    async def settle(self) -> None:
        """Call once more, unless the app has named the caller."""
        if self._is_stopped:
            return
        job = self._stage.job(OPERATIONS, _FLOW)
        message = str(job.get("message", ""))
        if _NAMED in message:
            self._is_stopped = True
            who = message[message.index(_NAMED) :].partition(". ")[0]
            self._stage.note(f"{job['display_name']} is still called. {who}. Its owner stops it.")
            return
        await self._stage.platform.outside("POST", self._url, headers=_HEADERS, body={"number": 0})


def list_unknown_callers(remediations: list[Json]) -> list[Json]:
    """Return each unknown caller that the app has named, with the flow that it called."""
    return [
        {"flow": original["display_name"]}
        | {name: caller[name] for name in ("label", "claims", "call_count")}
        for detail in remediations
        for original in detail["observed_callers"]
        for caller in original["callers"]
        if not caller["is_known"] and caller["claims"]
    ]
