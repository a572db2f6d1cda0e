"""What many jobs ask alike is read by one of them: where its answer is kept for the others."""

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedSnapshot:
    """Where the last answer to a question is kept, and whether somebody asks anew."""

    #: What is asked, as the folder of its answers in the archive is called.
    topic: str
    #: Of what it is asked, and in which shape it is kept.
    id: str
    #: When its reading began; None: there is none yet.
    read_at: datetime | None = None
    #: Its name in the archive.
    archive_name: str = ""
    #: How long that reading took.
    took: timedelta = timedelta(0)
    #: Until when a delivery that reads anew may be waited for.
    refresh_expected_until: datetime | None = None
    #: When a reading of many pages began that has not come to its end; None: there is none.
    goes_on_since: datetime | None = None
    #: Which reader reads anew, where more than one may continue the same reading.
    reader: str = ""

    def is_newer_than(self, began: datetime, ended: datetime | None = None) -> bool:
        """Return whether it was begun and, if that matters, ended at these moments or later."""
        if self.read_at is None or self.read_at < began:
            return False
        return ended is None or self.read_at + self.took >= ended

    def is_refreshing(self, now: datetime) -> bool:
        """Say whether somebody reads anew, and has not died over it as far as anybody knows."""
        return self.refresh_expected_until is not None and self.refresh_expected_until > now
