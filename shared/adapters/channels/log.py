"""Notifies people through the log: one line per cause, which an alert finds by its fields."""

from shared.domain.plans.notification import Notification
from shared.log_fields import product_log

log = product_log(__name__)


class LogNotificationChannel:
    """The log; it takes everything."""

    name = "log"

    async def send(self, notification: Notification) -> None:
        """Write the line."""
        waiting = notification.pending_action
        log.warning(
            "%s. %s %s",
            waiting.title,
            waiting.reason,
            waiting.instruction,
            extra={
                "cause": str(waiting.cause),
                "code": waiting.code,
                "count": waiting.count,
                "environment": waiting.environment_id,
                "remediation": waiting.remediation_id,
                "correlation": notification.correlation_id,
            },
        )
