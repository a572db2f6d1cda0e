"""Fake of the port `Archive`."""

from shared.errors import Conflict, NotFound


class MemoryArchive:
    def __init__(self) -> None:
        self.contents: dict[str, bytes] = {}
        #: Names that a retention policy keeps.
        self.kept: set[str] = set()

    async def put(self, name: str, content: bytes) -> str:
        self.contents.setdefault(name, content)
        return f"memory:{name}"

    async def list_names(self, folder: str = "") -> list[str]:
        return sorted(name for name in self.contents if name.startswith(folder))

    async def delete(self, name: str) -> None:
        if name in self.kept:
            raise Conflict(f"a policy keeps {name}")
        self.contents.pop(name, None)

    async def get(self, name: str) -> bytes:
        try:
            return self.contents[name]
        except KeyError:
            raise NotFound(f"nothing is kept under {name}") from None
