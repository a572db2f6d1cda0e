"""Fake of the port for notifications."""

from dataclasses import dataclass, field

from shared.domain.alert import Alert


@dataclass(slots=True)
class FakeNotices:
    """Records every alert that was sent."""

    told: list[Alert] = field(default_factory=list)

    async def send(self, notice: Alert) -> None:
        """Record the alert."""
        self.told.append(notice)
