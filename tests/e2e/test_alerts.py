"""Test the alerts of infra/ in the local cloud.

The app runs on Microsoft's Functions worker. A KQL engine runs the queries of the alerts on the log
lines of the Functions host. docs/notifications.md quotes the lines that raise an alert, and this
test checks them.
"""

import asyncio
import base64
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from azure.servicebus import ServiceBusMessage, ServiceBusSubQueue
from azure.servicebus.aio import ServiceBusClient

from local_cloud.demo.app_client import App
from local_cloud.stack import Stack, StackOptions
from tests.e2e.log_reader import LogReader
from tests.e2e.test_deployment_under_way import read_tenant_state
from tests.functional.wire.wire_scenario import WIDE, build_cache_secret_url
from tests.functional.wire.wire_seed import (
    OPERATOR_CLIENT,
    SUBSCRIPTION,
    build_flow_seed,
    build_orders_seed,
    build_tenant_seed,
)
from tests.local_cloud.tenant.tenant_world import (
    APP_CLIENT,
    DAILY,
    ENVIRONMENT,
    TENANT_ID,
    build_definition,
)
from tests.telemetry import Telemetry, read_log_alerts, read_metric_alerts

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

PAGE = Path(__file__).parents[2] / "docs/notifications.md"
NIGHTLY = "f0000000-0000-4000-8000-0000000000d1"
NEVER = "0 0 0 1 1 *"
SETTINGS = {
    "CMK_TENANT_ID": TENANT_ID,
    "CMK_SUBSCRIPTION_IDS": SUBSCRIPTION,
    "CMK_CLIENT_ID": APP_CLIENT,
    # Nobody signs the operator in, so that a flow that others call is blocked.
    "CMK_SERVICE_ACCOUNT_CLIENT_ID": OPERATOR_CLIENT,
    "CMK_SERVICE_ACCOUNT_TOKEN_CACHE_SECRET": build_cache_secret_url(),
    "CMK_ARCHIVE_KEY": base64.urlsafe_b64encode(bytes(32)).decode(),
    "CMK_ALLOW_SELF_APPROVAL": "true",
    "CMK_NOTIFICATION_GROUPING_PERIOD": "PT1S",
    "CMK_WAIT_POLL_INTERVAL": "PT1S",
    "CMK_READ_LAG": "PT0S",
    # Timers run when the test says so, but for the one that notifies people.
    "CMK_POLICY_LINK_POLL_SCHEDULE": NEVER,
    "CMK_DAILY_CHECK_SCHEDULE": NEVER,
    "CMK_DELETION_SCHEDULE": NEVER,
    "CMK_DUE_MESSAGES_SCHEDULE": "* * * * * *",
    # The test counts the writes of one flow job.
    "AzureFunctionsJobHost__extensions__serviceBus__maxConcurrentCalls": "1",
} | {f"CMK_{name.upper()}": str(calls) for name, calls in WIDE.items()}
#: As Dataverse wraps a refusal of the flow service.
REFUSAL = {
    "route": "dataverse.patch_workflow",
    "times": None,
    "status": 400,
    "code": "0x80060467",
    "message": 'Flow client error returned with status code "Forbidden" and details "'
    + json.dumps({"error": {"code": "MissingAdequateQuotaPolicy", "message": "No licence."}})
    + '".',
}
#: Long enough to inject a refusal during a write.
SLOW_WRITES = {
    "route": "dataverse.patch_workflow",
    "times": None,
    "kind": "delay",
    "delay": 8.0,
}
#: Alerts of which notifications.md quotes a line, in this order, and where.
QUOTED = ("both-off", "flow-blocked", "plan-waits")
BEGIN, END = "<!-- lines of tests/e2e/test_alerts.py -->\n```text\n", "\n```\n<!-- until here -->"
OUTAGE = {"route": "*.list_environments", "times": None, "status": 503}
#: What differs from run to run.
VARIES = (
    (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "ID"),
    (r'"(correlation|trace)": "[^"]+"', r'"\1": "ID"'),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", "TIME"),
)


class Cloud:
    """A running local cloud with the app, and the log lines that Application Insights would
    receive.
    """

    def __init__(self, stack: Stack, session: aiohttp.ClientSession) -> None:
        self.stack = stack
        self.app = App(session, lambda: stack.app)
        self._session = session
        self._log = LogReader(stack.locate_log("app"))
        self._lines: list[dict[str, Any]] = []

    @property
    def lines(self) -> list[dict[str, Any]]:
        new = self._log.read_new_lines()
        self._lines += [json.loads(line) for line in new if line.startswith("{")]
        return self._lines

    @property
    def raised_alerts(self) -> set[str]:
        """Return the names of the alerts on log lines that are raised now."""
        return Telemetry(self.lines).list_raised_alerts()

    def find_lines(self, alert: str) -> list[str]:
        return Telemetry(self.lines).find_messages(read_log_alerts()[alert].asks)

    async def wait_until(self, is_so: Callable[[], bool]) -> None:
        """Wait until a condition is met, for at most two minutes."""
        async with asyncio.timeout(120):
            while not await asyncio.to_thread(is_so):  # noqa: ASYNC110  # another process
                await asyncio.sleep(0.2)

    async def wait_until_original_is_being_turned_off(self) -> None:
        """Wait until the tenant has received the first write of a cutover."""
        count = await self._count_writes()
        async with asyncio.timeout(120):
            while not any("-> cutting_over" in one["message"] for one in self.lines):
                before, count = count, await self._count_writes()
                await asyncio.sleep(0.2)
            while await self._count_writes() == before:  # noqa: ASYNC110  # another process
                await asyncio.sleep(0.05)

    async def _count_writes(self) -> int:
        calls = await read_tenant_state(self.stack, self._session, "calls")
        return int(calls["routes"].get(REFUSAL["route"], 0))

    async def replace_faults(self, *faults: dict[str, Any]) -> None:
        """Inject these faults into the platform, and remove all earlier ones."""
        url = f"{self.stack.tenant.control}/faults"
        async with self._session.delete(url):
            pass
        async with self._session.post(url, json=list(faults)) as answer:
            answer.raise_for_status()

    async def run_timer(self, name: str) -> None:
        """Run a timer now, and wait until the run has ended."""
        before = self._count_ends(name)
        url = f"{self.stack.app.url}/admin/functions/{name}"
        headers = {"x-functions-key": self.stack.app.key}
        async with self._session.post(url, json={}, headers=headers):
            pass
        await self.wait_until(lambda: self._count_ends(name) > before)

    def _count_ends(self, name: str) -> int:
        ends = ("function succeeded", "function failed")
        return sum(one["message"] in ends and one["function"] == name for one in self.lines)


async def test_each_alert_is_raised_by_its_cause_only(tmp_path: Path) -> None:
    daily = build_flow_seed(NIGHTLY, "Nightly report", build_definition(DAILY), heldBack=True)
    seed = build_tenant_seed(build_orders_seed(), daily)
    options = StackOptions(folder=tmp_path, seed=seed, settings=SETTINGS)
    async with Stack(options) as stack, aiohttp.ClientSession() as session:
        await stack.start_app()
        cloud = Cloud(stack, session)
        await _leave_off_and_block(cloud, await _start_and_plan(cloud))
        await _run_daily_check(cloud)
        await _fail_timer(cloud)
        await _move_to_poison_queue(cloud)

    lines = [_replace_varying_parts(cloud.find_lines(one)[0]) for one in QUOTED]
    page = PAGE.read_text()
    before, begin, rest = page.partition(BEGIN)
    quoted, end, after = rest.partition(END)
    if os.environ.get("ALERT_LINES_WRITE"):
        quoted = "\n".join(lines)
        PAGE.write_text(f"{before}{begin}{quoted}{end}{after}")
    assert quoted.splitlines() == lines, "With ALERT_LINES_WRITE=1 this test puts them there."


async def _start_and_plan(cloud: Cloud) -> str:
    """Start a remediation and return its id. Check that only its plan raises an alert."""
    await cloud.app.put(f"environments/{ENVIRONMENT}", {"approval_policy": "required"})
    order = {"mode": "apply", "environment_ids": [ENVIRONMENT]}
    ordered = await cloud.app.post("remediations", order)
    await cloud.wait_until(lambda: "plan-waits" in cloud.raised_alerts)

    assert cloud.raised_alerts == {"plan-waits", "no-daily-check"}
    return str(ordered["id"])


async def _leave_off_and_block(cloud: Cloud, remediation: str) -> None:
    """Approve the plan, and make the platform reject every start of a flow.

    Check that the alerts `both-off` and `flow-blocked` are raised.
    """
    path = f"remediations/{remediation}"
    plans = await cloud.app.get(f"{path}/plan")
    await cloud.replace_faults(SLOW_WRITES)
    versions = [plan["version"] for plan in plans["items"]]
    await cloud.app.post(f"{path}/approve", {"versions": versions, "approved_by": "Approver"})
    await cloud.wait_until_original_is_being_turned_off()
    await cloud.replace_faults(REFUSAL)
    await cloud.wait_until(lambda: {"both-off", "flow-blocked"} <= cloud.raised_alerts)

    assert cloud.raised_alerts == {
        "plan-waits",
        "no-daily-check",
        "both-off",
        "flow-blocked",
        "errors",
    }


async def _run_daily_check(cloud: Cloud) -> None:
    """Run the first daily check, and check that it ends the alert that there was none."""
    await cloud.run_timer("run_daily_check")

    assert "no-daily-check" not in cloud.raised_alerts


async def _fail_timer(cloud: Cloud) -> None:
    """Run a timer that fails twice and then succeeds.

    Check that only the second failure raises an alert, which the success ends.
    """
    raised = []
    for fault in ([OUTAGE], [OUTAGE], []):
        await cloud.replace_faults(REFUSAL, *fault)
        await cloud.run_timer("poll_environments")
        raised.append("failing" in cloud.raised_alerts)

    assert raised == [False, True, False]


async def _move_to_poison_queue(cloud: Cloud) -> None:
    """Let the app move a message to the poison queue, and dead-letter it there. Check that each
    raises its alert.
    """
    alerts = read_metric_alerts()
    parked, dead = alerts["poison-messages"], alerts["dead-letters"]
    client = ServiceBusClient.from_connection_string(cloud.stack.service_bus)
    async with client:
        assert not parked.is_raised_by(await _count_messages(client, parked.queue))
        async with client.get_queue_sender("key-events") as sender:
            await sender.send_messages(ServiceBusMessage(b"no event"))
        await cloud.wait_until(
            lambda: any("message moved to poison queue" in one["message"] for one in cloud.lines)
        )
        assert parked.is_raised_by(await _count_messages(client, parked.queue))

        assert not dead.is_raised_by(
            await _count_messages(client, parked.queue, ServiceBusSubQueue.DEAD_LETTER)
        )
        async with client.get_queue_receiver(parked.queue, max_wait_time=10) as receiver:
            (message,) = await receiver.receive_messages(max_message_count=1)
            await receiver.dead_letter_message(message)
        assert dead.is_raised_by(
            await _count_messages(client, parked.queue, ServiceBusSubQueue.DEAD_LETTER)
        )
    assert (parked.asks, dead.asks) == ("ActiveMessages", "DeadletteredMessages")


async def _count_messages(
    client: ServiceBusClient, queue: str, sub_queue: ServiceBusSubQueue | None = None
) -> int:
    async with client.get_queue_receiver(queue, sub_queue=sub_queue) as receiver:
        return len(await receiver.peek_messages(max_message_count=10))


def _replace_varying_parts(message: str) -> str:
    for pattern, name in VARIES:
        message = re.sub(pattern, name, message)
    return message
