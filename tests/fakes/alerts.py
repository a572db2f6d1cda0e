"""What people were told."""

from dataclasses import dataclass, field

from shared.domain.alert import Notice


@dataclass(slots=True)
class NoticesTwin:
    """Keeps every notice."""

    told: list[Notice] = field(default_factory=list)

    async def tell(self, notice: Notice) -> None:
        """Keep it."""
        self.told.append(notice)
