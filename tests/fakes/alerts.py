"""Fake of the port `AlertSender`."""

from dataclasses import dataclass, field

from shared.domain.alert import Alert


@dataclass(slots=True)
class FakeNotices:
    """Implements `AlertSender`: keeps every alert for the test."""

    told: list[Alert] = field(default_factory=list)

    async def send(self, notice: Alert) -> None:
        self.told.append(notice)
