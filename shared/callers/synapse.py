"""Read and write the parts of Synapse workspaces as callers, such as pipelines.

Only a person changes triggers, and anything in a workspace with a Git repository. See
platform.md#synapse.
"""

from collections.abc import Mapping, Sequence

from shared.callers.published_parts import PublishedPart, PublishedPartCallers
from shared.callers.search import convert_long_outages
from shared.domain.definitions.json_values import mapping_at, text_at
from shared.domain.permissions import RequiredPermissions
from shared.errors import NotFound, PlatformError
from shared.ports import ResourceReader, SynapseArtifacts

_WORKSPACES = "Microsoft.Synapse/workspaces"
_VERSION = "2021-06-01"
_ACTIONS = (
    f"{_WORKSPACES}/artifacts/read",
    f"{_WORKSPACES}/datasets/write",
    f"{_WORKSPACES}/linkedServices/write",
    f"{_WORKSPACES}/notebooks/write",
    f"{_WORKSPACES}/pipelines/write",
)
#: Collections of a workspace → what an item is called.
_NOUNS = {
    "datasets": "dataset",
    "linkedservices": "linked service",
    "notebooks": "notebook",
    "pipelines": "pipeline",
    "triggers": "trigger",
}


class SynapseCallers(PublishedPartCallers):
    """The caller kind of Synapse. A caller's address is `workspace/collection/name`.

    A caller's content is the `properties` of a part, as JSON. Locks and policies of Resource
    Manager do not apply, because the workspace itself receives the writes.
    """

    kind = "synapse"
    owner = "Synapse workspace"
    owners = "Synapse workspaces"
    owner_type = _WORKSPACES
    owner_version = _VERSION
    repository = "workspaceRepositoryConfiguration"
    required_permissions = RequiredPermissions(
        fix="Give the app's identity the role Synapse Artifact Publisher in the workspace (Manage "
        "› Access control), and let the workspace's network accept the app. Check secure "
        "parameters of pipelines yourself: Azure never returns their values.",
    )

    def __init__(self, resources: ResourceReader, synapse_artifacts: SynapseArtifacts) -> None:
        super().__init__(resources)
        self._artifacts = synapse_artifacts

    async def read_scopes(self) -> Sequence[str]:
        found = await self._reader.list(_WORKSPACES, _VERSION)
        return [text_at(workspace, "name") or "" for workspace in found]

    async def require_searchable_scope(self, scope: str) -> None:
        """Raise `PlatformError` if the app may not search or write a workspace.

        The error names the missing actions.
        """
        if denied := await self._artifacts.find_denied_actions(scope, _ACTIONS):
            text = f"No role of the app's own identity permits {', '.join(denied)}."
            raise PlatformError(text, code="Unauthorized", status=403)

    async def list_parts(self, owner: Mapping[str, object]) -> Sequence[PublishedPart]:
        workspace = text_at(owner, "name") or ""
        parts: list[PublishedPart] = []
        with convert_long_outages():
            for collection in _NOUNS:
                found = await self._artifacts.list(workspace, collection)
                parts += [_build_part(workspace, collection, part) for part in found]
        return parts

    async def read_part(self, address: str) -> PublishedPart:
        workspace, collection, name = address.split("/", 2)
        part = await self._artifacts.read(workspace, collection, name)
        return _build_part(workspace, collection, part)

    async def read_owner(self, address: str) -> Mapping[str, object]:
        name = address.partition("/")[0]
        for workspace in await self._reader.list(_WORKSPACES, _VERSION):
            if (text_at(workspace, "name") or "").lower() == name.lower():
                return workspace
        raise NotFound(f"The Synapse workspace {name} no longer exists")

    async def write_part(self, part: PublishedPart, properties: Mapping[str, object]) -> None:
        workspace, collection, name = part.address.split("/", 2)
        etag = part.etag or "*"
        await self._artifacts.write(workspace, collection, name, properties, etag=etag)


def _build_part(workspace: str, collection: str, part: Mapping[str, object]) -> PublishedPart:
    name = text_at(part, "name") or ""
    return PublishedPart(
        address=f"{workspace}/{collection}/{name}",
        collection=collection,
        title=f"{_NOUNS[collection]} {name}",
        properties=mapping_at(part, "properties"),
        etag=text_at(part, "etag") or "",
    )
