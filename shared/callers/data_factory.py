"""Read and write the parts of data factories as callers, such as pipelines.

Only a person changes triggers, and anything in a factory with a Git repository. See
platform.md#data-factory.
"""

from collections.abc import Mapping, Sequence

from shared.callers.published_parts import PublishedPart, PublishedPartCallers
from shared.callers.search import UnreadableCallers, get_id
from shared.domain.definitions.json_values import mapping_at, text_at
from shared.domain.permissions import RequiredPermissions
from shared.ports import ResourceReader, ResourceWriter
from shared.read_only_locks import ReadOnlyLocks

_FACTORIES = "Microsoft.DataFactory/factories"
_VERSION = "2018-06-01"
_GLOBAL_PARAMETERS = "globalParameters"
#: Collections of a factory → what an item is called.
_NOUNS = {
    "datasets": "dataset",
    _GLOBAL_PARAMETERS: "global parameters",
    "linkedservices": "linked service",
    "pipelines": "pipeline",
    "triggers": "trigger",
}


class DataFactoryCallers(PublishedPartCallers):
    """The caller kind of Data Factory.

    A caller's address is the id of a part of a factory. Its content is the part's `properties` as
    JSON.
    """

    kind = "data_factory"
    owner = "data factory"
    owners = "data factories"
    owner_type = _FACTORIES
    owner_version = _VERSION
    repository = "repoConfiguration"
    #: Granted by infra/modules/caller-group.bicep.
    required_permissions = RequiredPermissions(
        role="Data Factory",
        role_purpose="Finds and replaces trigger URLs in pipelines, linked services, "
        "datasets and global parameters of Data Factory. Deletes nothing.",
        fix="Add its resource group to CMK_CALLER_RESOURCE_GROUP_IDS and deploy again. Check "
        "secure parameters of pipelines yourself: Azure never returns their values.",
        resource_type=_FACTORIES,
        api_version=_VERSION,
        actions=(
            f"{_FACTORIES}/read",
            f"{_FACTORIES}/datasets/read",
            f"{_FACTORIES}/datasets/write",
            f"{_FACTORIES}/globalParameters/read",
            f"{_FACTORIES}/globalParameters/write",
            f"{_FACTORIES}/linkedServices/read",
            f"{_FACTORIES}/linkedServices/write",
            f"{_FACTORIES}/pipelines/read",
            f"{_FACTORIES}/pipelines/write",
            f"{_FACTORIES}/triggers/read",
        ),
    )

    def __init__(self, resources: ResourceReader, resource_writer: ResourceWriter) -> None:
        super().__init__(resources)
        self._writer = resource_writer

    async def list_parts(self, owner: Mapping[str, object]) -> Sequence[PublishedPart]:
        return [
            _build_part(part)
            for collection in _NOUNS
            for part in await self._reader.list_children(get_id(owner), collection, _VERSION)
        ]

    async def read_part(self, address: str) -> PublishedPart:
        return _build_part(await self._reader.get(address, _VERSION))

    async def read_owner(self, address: str) -> Mapping[str, object]:
        return await self._reader.get("/".join(address.split("/")[:-2]), _VERSION)

    async def write_part(self, part: PublishedPart, properties: Mapping[str, object]) -> None:
        body = {"properties": properties}
        await self._writer.put(part.address, _VERSION, body, etag=part.etag or "*")

    async def read_locks(self, unreadable: UnreadableCallers) -> ReadOnlyLocks:
        return await unreadable.read_locks(self._reader, self.owners)


def _build_part(part: Mapping[str, object]) -> PublishedPart:
    address = get_id(part)
    collection = address.rpartition("/")[0].rpartition("/")[2].lower()
    is_global = collection == _GLOBAL_PARAMETERS.lower()
    noun = next((noun for one, noun in _NOUNS.items() if one.lower() == collection), "part")
    return PublishedPart(
        address=address,
        collection=collection,
        # A factory has one object with all global parameters.
        title=noun if is_global else f"{noun} {text_at(part, 'name')}",
        properties=mapping_at(part, "properties"),
        # A write of global parameters checks no ETag.
        etag="" if is_global else text_at(part, "etag") or "",
    )
