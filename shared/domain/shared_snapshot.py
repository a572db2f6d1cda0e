"""Define a shared snapshot: an answer of the platform that one job reads and stores for the
others.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.domain.leases import Lease

#: Topics whose answers only save requests. Each is also a folder of the archive.
NETWORK_SNAPSHOTS, MICROSOFT_KEY_LISTS = "network-snapshots", "microsoft-key-lists"


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedSnapshot:
    """The row of a shared snapshot: where the answer is stored, and which reader reads it again."""

    #: The question, which is also the folder of its answers in the archive.
    topic: str
    #: What the question is about, and the format in which the answer is stored.
    id: str
    #: When reading it started; None: there is no answer yet.
    read_at: datetime | None = None
    #: Its name in the archive.
    archive_name: str = ""
    #: How long reading it took.
    took: timedelta = timedelta(0)
    #: Until when other jobs may wait for the invocation that reads it again.
    refresh_expected_until: datetime | None = None
    #: When a reading of many pages started that is not complete; None: there is none.
    goes_on_since: datetime | None = None
    #: Which reader reads anew, where more than one may continue the same reading.
    reader: str = ""

    def is_newer_than(self, began: datetime, ended: datetime | None = None) -> bool:
        """Return whether the reading of the answer started at `began` or later.

        If `ended` is given, the reading must also have ended at `ended` or later.
        """
        if self.read_at is None or self.read_at < began:
            return False
        return ended is None or self.read_at + self.took >= ended

    @property
    def lease(self) -> Lease[str]:
        """Return the lease of the reader that is reading the answer again."""
        return Lease(holder=self.reader, until=self.refresh_expected_until)
