"""Fake of the port `Archive`."""

from shared.errors import Conflict, NotFound


class MemoryArchive:
    """Implements `Archive` in memory."""

    def __init__(self) -> None:
        self.contents: dict[str, bytes] = {}
        #: Names that a retention policy keeps.
        self.kept: set[str] = set()

    async def put(self, name: str, content: bytes) -> str:
        """Store `content` under `name`, unless the name exists. Return the file's address."""
        self.contents.setdefault(name, content)
        return f"memory:{name}"

    async def list_names(self, folder: str = "") -> list[str]:
        """Return the names that begin with `folder`, in their order."""
        return sorted(name for name in self.contents if name.startswith(folder))

    async def delete(self, name: str) -> None:
        """Delete a file if it exists. Raises `Conflict` if a retention policy keeps it."""
        if name in self.kept:
            raise Conflict(f"a policy keeps {name}")
        self.contents.pop(name, None)

    async def get(self, name: str) -> bytes:
        """Return the content of a file. Raises `NotFound` if it is missing."""
        try:
            return self.contents[name]
        except KeyError:
            raise NotFound(f"nothing is kept under {name}") from None
