"""Run the alerts of `infra/` with a KQL engine on log lines as the Functions host writes them."""

import io
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from azure_functions_runtime import invocation_id_cv

from local_cloud.functions_host.log_lines import JsonLines
from shared.adapters.channels.log import LogAlertSender, LogNotificationChannel
from shared.domain.alert import Alert
from shared.domain.plans.notification import Notification
from shared.domain.plans.pending_actions import PendingAction, PendingActionKind
from shared.logs.fields import get_product_log
from shared.logs.redaction import install_redaction
from shared.reason import Reason
from tests.telemetry import Telemetry, read_log_alerts

FORGED = 'Orders | {"reason_code": "both_off", "kind": "plan_awaiting_approval"}\n'
#: Alerts that are raised if nothing is logged.
SILENT = {"no-daily-check"}


def compute_past_time(**age: float) -> datetime:
    return datetime.now(UTC) - timedelta(**age)


class Host:
    def __init__(self, stream: io.StringIO) -> None:
        self._stream = stream

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._stream.getvalue().splitlines()]

    @property
    def fired(self) -> set[str]:
        return Telemetry(self.lines).list_raised_alerts() - SILENT


@contextmanager
def run_host(function: str) -> Iterator[Host]:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines({"i-1": function}))
    root, factory, level = logging.getLogger(), logging.getLogRecordFactory(), logging.root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    others = {one: list(one.filters) for one in root.handlers}
    install_redaction()
    token = invocation_id_cv.set("i-1")
    try:
        yield Host(stream)
    finally:
        invocation_id_cv.reset(token)
        logging.setLogRecordFactory(factory)
        root.setLevel(level)
        root.removeHandler(handler)
        for one, filters in others.items():
            one.filters[:] = filters


def format_run_line(function: str, *, minutes: int, succeeded: bool, trigger: str = "timer") -> Any:
    return {
        "time": compute_past_time(minutes=minutes).isoformat(),
        "level": "INFO" if succeeded else "ERROR",
        "logger": "host.worker",
        "message": "function succeeded" if succeeded else "function failed",
        "function": function,
        "trigger": trigger,
        "invocation_id": "i-2",
        "failure": "RuntimeError: no answer",
    }


def build_notification(cause: PendingActionKind, **more: Any) -> Notification:
    """Return a notification whose environment name looks like fields of a log line."""
    waiting = PendingAction(
        kind=cause,
        count=1,
        environment_name=FORGED,
        message=more.pop("reason", ""),
        fix="",
        next_command="",
        **more,
    )
    return Notification(
        id="1",
        correlation_id="1",
        pending_action=waiting,
        created_at=compute_past_time(),
        link="",
        link_title="Open",
    )


@pytest.mark.parametrize("cause", PendingActionKind)
async def test_notification_fires_only_the_alert_of_its_cause(
    cause: PendingActionKind,
) -> None:
    wanted = {
        PendingActionKind.PLAN_AWAITING_APPROVAL: {"plan-waits"},
        PendingActionKind.PLAN_EXPIRES_SOON: {"plan-waits"},
        PendingActionKind.FLOWS_BLOCKED: {"flow-blocked"},
        PendingActionKind.ENVIRONMENT_BLOCKED: {"flow-blocked"},
        # The only channel cannot report itself, and e-mail comes from alerts.
        PendingActionKind.CHANNEL_FAILING: {"errors"},
        PendingActionKind.WAKE_UP: {"errors"},
    }
    with run_host("send_notifications") as host:
        await LogNotificationChannel().send(build_notification(cause, reason=FORGED * 2_000))

        assert host.fired == wanted.get(cause, set())


async def test_both_off_log_line_fires_its_alert() -> None:
    for code, wanted in (
        (Reason.BOTH_OFF, {"both-off", "errors"}),
        (Reason.INTERNAL_ERROR, {"errors"}),
    ):
        with run_host("run_flow_job") as host:
            row = ("flowjobs", "e", "j")
            await LogAlertSender().send(
                Alert(
                    reason_code=code, row=row, message=FORGED * 2_000, raised_at=compute_past_time()
                )
            )

            assert host.fired == wanted


def test_text_in_a_log_line_of_a_library_fires_no_alert() -> None:
    with run_host("run_flow_job") as host:
        try:
            raise LookupError(FORGED)
        except LookupError:
            logging.getLogger("library").warning("no %s", FORGED, exc_info=True)

        assert host.fired == set()


def test_completed_daily_check_suppresses_its_alert_for_26_hours() -> None:
    (words,) = {"daily check completed"} & set(read_log_alerts()["no-daily-check"].asks.split("'"))
    with run_host("run_daily_check") as host:
        get_product_log("functions.timers").info(words, extra={"result": "3 environments"})
        (line,) = host.lines
    day_ago = line | {"time": compute_past_time(hours=25).isoformat()}
    older = line | {"time": compute_past_time(hours=27).isoformat()}

    assert Telemetry([day_ago]).list_raised_alerts() == set()
    assert Telemetry([older]).list_raised_alerts() == {"no-daily-check"}
    assert Telemetry([]).list_raised_alerts() == {"no-daily-check"}


@pytest.mark.parametrize(
    ("runs", "fires"),
    [
        ([True, False], False),
        ([False], False),
        ([False, False], True),
        ([True, False, False], True),
        ([False, False, True], False),
        ([False, False, True, False], False),
    ],
)
def test_two_consecutive_failures_fire_an_alert_and_one_failure_does_not(
    runs: list[bool], fires: bool
) -> None:
    lines = [
        format_run_line("poll", minutes=50 - number, succeeded=succeeded)
        for number, succeeded in enumerate(runs)
    ]
    lines += [format_run_line("sweep", minutes=1, succeeded=False)]
    api = [format_run_line("show", minutes=n, succeeded=False, trigger="http") for n in range(3)]

    assert Telemetry([*lines, *api]).list_raised_alerts() - SILENT == (
        {"failing"} if fires else set()
    )


def test_a_line_of_level_error_raises_an_alert() -> None:
    with run_host("show") as host:
        get_product_log("functions.endpoints").warning("a message is tried again")
        assert host.fired == set()

        get_product_log("functions.endpoints").error("internal error")
        assert host.fired == {"errors"}
