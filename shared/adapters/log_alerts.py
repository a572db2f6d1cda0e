"""Notifies people through the log: one line of level ERROR, which an alert finds by its code."""

from shared.domain.alert import Alert
from shared.log_fields import product_log

log = product_log(__name__)


class LogAlertSender:
    """Notices as lines of the log."""

    async def send(self, notice: Alert) -> None:
        """Write the line."""
        row = "/".join(notice.row)
        log.error(
            "action required",
            extra={"code": notice.code, "row": row, "text": notice.message},
        )
