"""Write notifications to the log, one line each, with fields for alert rules."""

from shared.domain.plans.notification import Notification
from shared.log_fields import product_log

log = product_log(__name__)


class LogNotificationChannel:
    """The log as a notification channel."""

    name = "log"

    async def send(self, notification: Notification) -> None:
        """Write the line."""
        waiting = notification.pending_action
        log.warning(
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
