"""Send alerts to the log as lines of level ERROR, which an alert rule finds by their code."""

from shared.domain.alert import Alert
from shared.log_fields import get_product_log

log = get_product_log(__name__)


class LogAlertSender:
    """The log as an alert sender."""

    async def send(self, notice: Alert) -> None:
        """Write a line about the alert to the log."""
        row = "/".join(notice.row)
        text = f"{notice.message} {notice.fix}".strip()
        log.error(
            "action required",
            extra={"reason_code": notice.reason_code, "row": row, "text": text},
        )
