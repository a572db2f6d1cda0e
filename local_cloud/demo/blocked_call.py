"""Play the scene in which another company's firewall denies a copy's call.

The app cannot read this firewall, so the copy passes the verification. Then a run of the copy fails
with the documented error. The app notifies people, and retires the original only after a later run
has succeeded.
"""

from typing import Any

from local_cloud.demo.azure import build_courier_firewall
from local_cloud.demo.call_log import FORESEEN
from local_cloud.demo.definitions import build_flow_id
from local_cloud.demo.scenario_context import ScenarioContext
from local_cloud.demo.tenant import CUSTOMER_CARE

type Json = dict[str, Any]

_COURIER = build_flow_id(CUSTOMER_CARE.name, "courier")
#: Longer than any demo: the original is not retired before its run has ended.
_LONG = 3_600
REFUSED = "outbound_call_blocked"
_RUNNING = "flow_run_in_progress"


class BlockedCallScene:
    def __init__(self, stage: ScenarioContext) -> None:
        self._stage = stage
        self._original_run = ""
        self._is_shown = False
        self._is_opened = False

    async def begin(self) -> None:
        """Start an hour-long run of the original.

        The app cannot retire the original before the run ends.
        """
        where = f"/environments/{CUSTOMER_CARE.id}/flows/{_COURIER}"
        await self._stage.platform.call_control("PATCH", where, {"runSeconds": _LONG})
        self._original_run = (await self._run_flow(_COURIER))["name"]

    async def take_next_action(self, identity: str) -> None:
        """Take the scene's next action, depending on the reason code of the flow's job."""
        job = self._stage.find_job(CUSTOMER_CARE, _COURIER)
        if job.get("reason_code") == _RUNNING and not self._is_shown:
            self._is_shown = True
            await self._show_blocked_call(job)
        if job.get("reason_code") != REFUSED:
            return
        if not self._is_opened:
            self._is_opened = True
            await self._open_firewall(job)
        # Again, where a list of runs does not show the last one yet.
        await self._stage.app.post(f"remediations/{identity}/retry", {"flow_ids": [_COURIER]})

    async def _show_blocked_call(self, job: Json) -> None:
        stage = self._stage
        run = await self._run_flow(job["copy_id"])
        stage.note(f"A copy calls a courier whose firewall refuses it: its run {run['status']}.")
        await stage.platform.cancel_run(CUSTOMER_CARE.id, _COURIER, self._original_run)

    async def _open_firewall(self, job: Json) -> None:
        stage = self._stage
        stage.note(f"Order a courier is not retired: {job['message'].partition(': ')[2]}")
        opened = build_courier_firewall("LogicApps", "PowerPlatformPlex")
        await stage.platform.call_control(
            "POST", "/azure/seed", {"networkSecurityGroups": [opened]}
        )
        run = await self._run_flow(job["copy_id"])
        stage.note(f"The courier lets PowerPlatformPlex in: the next run {run['status']}.")

    async def _run_flow(self, flow: str) -> Json:
        where = f"/environments/{CUSTOMER_CARE.id}/flows/{flow}/run"
        run: Json = await self._stage.platform.call_control("POST", where, {"by": FORESEEN})
        return run
