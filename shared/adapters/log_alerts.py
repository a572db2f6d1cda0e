"""Notifies people through the log: one line of level ERROR, which an alert finds by its code."""

from shared.domain.alert import Notice
from shared.log_fields import product_log

log = product_log(__name__)


class LogNotices:
    """Notices as lines of the log."""

    async def tell(self, notice: Notice) -> None:
        """Write the line."""
        row = "/".join(notice.row)
        log.error(
            "a row needs a person: %s, %s: %s",
            notice.code,
            row,
            notice.cause,
            extra={"code": notice.code, "row": row},
        )
