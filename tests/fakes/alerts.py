"""What people were told."""

from dataclasses import dataclass, field

from shared.domain.alert import Alert


@dataclass(slots=True)
class FakeNotices:
    """Keeps every notice."""

    told: list[Alert] = field(default_factory=list)

    async def send(self, notice: Alert) -> None:
        """Keep it."""
        self.told.append(notice)
