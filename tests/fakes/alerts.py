"""Fake of the port for notices to people."""

from dataclasses import dataclass, field

from shared.domain.alert import Alert


@dataclass(slots=True)
class FakeNotices:
    """A list of every notice that was sent."""

    told: list[Alert] = field(default_factory=list)

    async def send(self, notice: Alert) -> None:
        """Add the notice to the list."""
        self.told.append(notice)
