"""What many jobs ask alike is read by one of them: where its answer is kept for the others."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Where the last answer to a question is kept, and whether somebody asks anew."""

    #: What is asked, as the folder of its answers in the archive is called.
    topic: str
    #: Of what it is asked, and in which shape it is kept.
    id: str
    #: When its reading began; None: there is none yet.
    began: datetime | None = None
    #: Its name in the archive.
    name: str = ""
    #: Until when a delivery that reads anew may be waited for.
    reading_until: datetime | None = None

    def is_since(self, moment: datetime) -> bool:
        """Say whether all of it was read from a moment on."""
        return self.began is not None and self.began >= moment

    def is_being_read(self, now: datetime) -> bool:
        """Say whether somebody reads anew, and has not died over it as far as anybody knows."""
        return self.reading_until is not None and self.reading_until > now
