"""Write alerts to the log as lines of level ERROR, which an alert rule finds by their code."""

from shared.domain.alert import Alert
from shared.log_fields import get_product_log

log = get_product_log(__name__)


class LogAlertSender:
    """The alert sender that writes to the app's log."""

    async def send(self, notice: Alert) -> None:
        """Write a line about the alert to the log."""
        row = "/".join(notice.row)
        text = f"{notice.message} {notice.fix}".strip()
        log.error(
            "action required",
            extra={"reason_code": notice.reason_code, "row": row, "text": text},
        )
