"""Tells people through the log: one structured line a cause, for the alerts of Azure Monitor."""

import logging

from shared.domain.plans.notification import Notification

log = logging.getLogger(__name__)


class LogChannel:
    """The log; it takes everything."""

    name = "log"

    async def send(self, notification: Notification) -> None:
        """Write the line."""
        waiting = notification.waiting
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
                "correlation": notification.correlation,
            },
        )
