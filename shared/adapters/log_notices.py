"""Tells people through the log: one structured line of level ERROR, for an alert to find."""

import logging

from shared.domain.notice import Notice

log = logging.getLogger(__name__)


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
            extra={"code": notice.code, "row": row, "cause": notice.cause},
        )
