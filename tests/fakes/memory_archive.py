"""Fake of the port `Archive`."""

from shared.errors import NotFound


class MemoryArchive:
    """An archive in memory."""

    def __init__(self) -> None:
        """Start with an empty archive."""
        self.contents: dict[str, bytes] = {}

    async def put(self, name: str, content: bytes) -> str:
        """Store `content` under `name` unless the name exists; return its address."""
        self.contents.setdefault(name, content)
        return f"memory:{name}"

    async def list_names(self) -> list[str]:
        """Return the names of the files, in their order."""
        return sorted(self.contents)

    async def get(self, name: str) -> bytes:
        """Return the stored content; raise `NotFound` if it is missing."""
        try:
            return self.contents[name]
        except KeyError:
            raise NotFound(f"nothing is kept under {name}") from None
