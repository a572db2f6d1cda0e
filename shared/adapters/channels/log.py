"""Write notifications and alerts to the log, one line each, with fields for alert rules."""

import logging

from shared.domain.alert import Alert
from shared.domain.plans.notification import Notification
from shared.domain.plans.pending_actions import PendingActionKind
from shared.logs.fields import get_product_log

log = get_product_log(__name__)

#: No other line reports these as an error, and no alert rule asks for them.
_ERRORS = frozenset({PendingActionKind.CHANNEL_FAILING, PendingActionKind.WAKE_UP})


class LogNotificationChannel:
    """The notification channel that writes to the app's log."""

    name = "log"

    async def send(self, notification: Notification) -> None:
        waiting = notification.pending_action
        log.log(
            logging.ERROR if waiting.kind in _ERRORS else logging.WARNING,
            "%s. %s %s",
            waiting.title,
            waiting.message,
            waiting.fix,
            extra={
                "kind": str(waiting.kind),
                "reason_code": waiting.reason_code,
                "count": waiting.count,
                "environment": waiting.environment_id,
                "remediation": waiting.remediation_id,
                "correlation": notification.correlation_id,
            },
        )


class LogAlertSender:
    """The alert sender that writes to the app's log."""

    async def send(self, notice: Alert) -> None:
        row = "/".join(notice.row)
        text = f"{notice.message} {notice.fix}".strip()
        log.error(
            "action required",
            extra={"reason_code": notice.reason_code, "row": row, "text": text},
        )
