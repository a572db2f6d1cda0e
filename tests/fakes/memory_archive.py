"""Fake of the port `Archive`."""

from shared.errors import NotFound


class MemoryArchive:
    """Keeps definitions in memory."""

    def __init__(self) -> None:
        """Keep nothing yet."""
        self.contents: dict[str, bytes] = {}

    async def put(self, name: str, content: bytes) -> str:
        """Keep `content` under `name` unless it is there; return where it stands."""
        self.contents.setdefault(name, content)
        return f"memory:{name}"

    async def get(self, name: str) -> bytes:
        """Return what was kept; raises `NotFound`."""
        try:
            return self.contents[name]
        except KeyError:
            raise NotFound(f"nothing is kept under {name}") from None
