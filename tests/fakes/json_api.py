"""Fake of the port `JsonApi`: documents of services outside Azure, by their paths."""

import builtins
from collections.abc import Mapping, Sequence

from shared.errors import NotFound, PlatformError
from shared.ports import JsonService
from tests.fakes.hidden_values import merge_patch
from tests.fakes.world import WorldFake


class FakeJsonApi(WorldFake):
    async def read_scopes(self, service: JsonService) -> Sequence[str]:
        return sorted(self._find_scopes(service))

    async def list(
        self,
        service: JsonService,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        member: str = "",
        arguments: Mapping[str, str] | None = None,
    ) -> builtins.list[Mapping[str, object]]:
        self._require_access(service, path)
        start = f"{path}/"
        found = [
            document
            for name, document in self._read_documents(service).items()
            if name.startswith(start) and "/" not in name.removeprefix(start)
        ]
        wanted = (query or {}).items()
        return [
            one for one in found if all(one.get(name, value) == value for name, value in wanted)
        ]

    async def get(
        self, service: JsonService, path: str, arguments: Mapping[str, str] | None = None
    ) -> Mapping[str, object]:
        named = "/".join((path, *(arguments or {}).values()))
        try:
            return self._read_documents(service)[self._find(service, named)]
        except KeyError:
            raise NotFound(f"there is nothing at {path}") from None

    async def put(self, service: JsonService, path: str, body: Mapping[str, object]) -> None:
        await self.get(service, path)
        with self._world.record_write(None, "write document", path):
            self._read_documents(service)[self._find(service, path)] = dict(body)

    async def patch(self, service: JsonService, path: str, body: Mapping[str, object]) -> None:
        document, is_config, _ = path.partition("/config")
        change = {"config": dict(body)} if is_config else body
        before = await self.get(service, document)
        with self._world.record_write(None, "write document", document):
            self._read_documents(service)[document] = merge_patch(before, change)

    def _read_documents(self, service: JsonService) -> dict[str, Mapping[str, object]]:
        return self._world.json_documents.setdefault(service.name, {})

    def _find_scopes(self, service: JsonService) -> set[str]:
        rejecting = self._world.rejecting_scopes.get(service.name, set())
        return rejecting | self._world.json_scopes.get(service.name, set())

    def _require_access(self, service: JsonService, path: str) -> None:
        for scope in self._world.rejecting_scopes.get(service.name, ()):
            if f"/{scope}/" in f"/{path}/":
                raise PlatformError("no access", code="Http401", status=401)

    def _find(self, service: JsonService, path: str) -> str:
        """Return the path at which a document is stored.

        For a variable group, this is the path in its project.
        """
        scope, _, rest = path.partition("/")
        documents = self._read_documents(service)
        listed = (one for one in documents if one.startswith(f"{scope}/") and one.endswith(rest))
        return path if path in documents else next(listed, path)
