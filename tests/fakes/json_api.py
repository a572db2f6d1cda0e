"""Fake of the port `JsonApi`: documents by path."""

import builtins
from collections.abc import Mapping, Sequence

from shared.errors import NotFound, PlatformError
from tests.fakes.hidden_values import merge_patch
from tests.fakes.test_world import World


class FakeJsonApi:
    """The documents of one service in a world."""

    def __init__(self, world: World, service: str) -> None:
        """Act on the documents of `service`, such as `dev.azure.com`."""
        self._world = world
        self._service = service

    async def read_scopes(self) -> Sequence[str]:
        """Return the organizations or repositories that have documents or reject the app."""
        rejecting = self._world.rejecting_scopes.get(self._service, set())
        return sorted({*map(_find_scope, self._documents), *rejecting})

    async def list(
        self, path: str, query: Mapping[str, str] | None = None, *, member: str = ""
    ) -> builtins.list[Mapping[str, object]]:
        """Return the documents directly below a path without other members than `query`'s."""
        if _find_scope(path) in self._world.rejecting_scopes.get(self._service, ()):
            raise PlatformError("no access", code="Http401", status=401)
        start = f"{path}/"
        found = [
            document
            for name, document in self._documents.items()
            if name.startswith(start) and "/" not in name.removeprefix(start)
        ]
        wanted = (query or {}).items()
        return [
            one for one in found if all(one.get(name, value) == value for name, value in wanted)
        ]

    async def get(self, path: str) -> Mapping[str, object]:
        """Return a document; raise `NotFound`."""
        try:
            return self._documents[self._find(path)]
        except KeyError:
            raise NotFound(f"there is nothing at {path}") from None

    async def put(self, path: str, body: Mapping[str, object]) -> None:
        """Replace a document; raise `NotFound`."""
        await self.get(path)
        with self._world.writing(None, "write document", path):
            self._documents[self._find(path)] = dict(body)

    async def patch(self, path: str, body: Mapping[str, object]) -> None:
        """Change members of a document, or of its `config`; raise `NotFound`."""
        document, is_config, _ = path.partition("/config")
        change = {"config": dict(body)} if is_config else body
        before = await self.get(document)
        with self._world.writing(None, "write document", document):
            self._documents[document] = merge_patch(before, change)

    @property
    def _documents(self) -> dict[str, Mapping[str, object]]:
        return self._world.json_documents.setdefault(self._service, {})

    def _find(self, path: str) -> str:
        """Return the path at which a document is listed: a variable group is in a project."""
        scope, _, rest = path.partition("/")
        listed = (
            one for one in self._documents if one.startswith(f"{scope}/") and one.endswith(rest)
        )
        return path if path in self._documents else next(listed, path)


def _find_scope(path: str) -> str:
    """Return the organization of a path of Azure DevOps, or the repository of one of GitHub."""
    parts = path.split("/")
    return "/".join(parts[1:3]) if parts[0] == "repos" else parts[0]
