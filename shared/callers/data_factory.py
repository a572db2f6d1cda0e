"""Read and write pipelines, linked services, datasets and global parameters of Data Factory as
callers.

A factory with a Git repository, and a trigger, are changed by a person. See
platform.md#data-factory.
"""

import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import aclosing
from datetime import timedelta

from shared.callers.search import UnreadableCallers, callers_in
from shared.callers.whole_resource import order_like
from shared.domain.callers.caller import Caller, CallerContent
from shared.domain.callers.search_position import CallerSearchPosition
from shared.domain.callers.unchanged_content import value_digest
from shared.domain.definitions.json_values import as_mapping, mapping_at, text_at
from shared.domain.environment import Environment
from shared.domain.permissions import RequiredPermissions
from shared.errors import Conflict, JobBlocked, PlatformError
from shared.ports import ResourceReader, ResourceWriter
from shared.read_only_locks import ReadOnlyLocks, read_read_only_locks
from shared.reason import Reason

_FACTORIES = "Microsoft.DataFactory/factories"
_VERSION = "2018-06-01"
#: Collections of a factory, in lower case → what an item is called.
_NOUNS = {
    "datasets": "dataset",
    "globalparameters": "global parameters",
    "linkedservices": "linked service",
    "pipelines": "pipeline",
    "triggers": "trigger",
}
_COLLECTIONS = ("datasets", "globalParameters", "linkedservices", "pipelines", "triggers")
_STARTED = "Azure rejects a change of a started trigger. Stop it, change the URL, and start it."
_MASKED = (
    "It has secure values, which Azure does not return: a write by the app would remove them. "
    "Change the URL yourself."
)


class DataFactoryCallers:
    """Implements `CallerKind`. Addresses are resource ids; the content is `properties` as JSON."""

    kind = "data_factory"
    is_json = True
    #: The next run reads the new value. The period without calls covers runs in progress.
    old_value_lifetime = timedelta(0)
    is_environment_only = False
    is_assessed_separately = False
    #: Granted by infra/modules/caller-group.bicep.
    required_permissions = RequiredPermissions(
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
        """`resources` reads the configured subscriptions."""
        self._reader = resources
        self._writer = resource_writer

    async def find(
        self,
        environments: Sequence[Environment],  # noqa: ARG002 -- factories are outside environments
        search: CallerSearchPosition | None = None,
    ) -> AsyncIterator[Caller]:
        """Yield every part of a factory with a trigger URL."""
        search = search or CallerSearchPosition()
        unreadable = UnreadableCallers(search, self.required_permissions.fix)
        factories: Sequence[Mapping[str, object]] = []
        locks = ReadOnlyLocks({})
        try:
            factories = await self._reader.list(_FACTORIES, _VERSION)
            locks = await read_read_only_locks(self._reader) if factories else locks
        except PlatformError as err:
            unreadable.add("data factories", err)
        readings = unreadable.read_readable(factories, _read_id, self._list_parts, _name_factory)
        async with aclosing(readings):
            async for factory, parts in readings:
                for part in parts:
                    label = f"{_describe(part)} of the {_name_factory(factory)}"
                    for name in _find_secure_parameters(part):
                        unreadable.note(f"secure parameter {name} of the {label}")
                    reason = _find_manual_reason(factory, part) or locks.describe(_read_id(part))
                    place = _build_caller(_read_id(part), label, reason)
                    for caller in callers_in(_format_content(part), place):
                        yield caller
        unreadable.raise_if_any()

    async def read(self, caller: Caller) -> CallerContent:
        """Return the properties as JSON. Raises `NotFound`."""
        return _read_content(await self._reader.get(caller.address, _VERSION))

    async def write(self, caller: Caller, value: CallerContent) -> None:
        """Replace the properties if they are unchanged since the read.

        Raises `Conflict` and `NotFound`, and `JobBlocked` for what only a person can change. A
        write of global parameters has no ETag, so it is read back: after a `Conflict`, read again.
        """
        before = await self._reader.get(caller.address, _VERSION)
        now = _read_content(before)
        if now.text == value.text:
            return
        if value.etag not in {"", now.etag}:
            raise Conflict(f"The {caller.label} was changed")
        factory = await self._reader.get("/".join(caller.address.split("/")[:-2]), _VERSION)
        if reason := _find_manual_reason(factory, before):
            raise JobBlocked(
                f"The app cannot change the {caller.label}.",
                fix=f"{reason} Then retry.",
                code=Reason.MANUAL_CALLER,
            )
        properties = order_like(before.get("properties"), json.loads(value.text))
        body = {"properties": properties}
        etag = _read_etag(before)
        await self._writer.put(caller.address, _VERSION, body, etag=etag or "*")
        if not etag and (await self.read(caller)).text != value.text:
            raise Conflict(f"The {caller.label} was changed by somebody else")

    async def _list_parts(self, factory: Mapping[str, object]) -> Sequence[Mapping[str, object]]:
        return [
            part
            for collection in _COLLECTIONS
            for part in await self._reader.list_children(_read_id(factory), collection, _VERSION)
        ]


def _read_content(part: Mapping[str, object]) -> CallerContent:
    text = _format_content(part)
    return CallerContent(text=text, etag=_read_etag(part) or value_digest(text))


def _read_etag(part: Mapping[str, object]) -> str:
    """Return the ETag that a write checks; empty: none, which is so for global parameters."""
    is_checked = _read_collection(part) != "globalparameters"
    return (text_at(part, "etag") or "") if is_checked else ""


def _format_content(part: Mapping[str, object]) -> str:
    """Return the properties with sorted names: Azure may change the order."""
    return json.dumps(mapping_at(part, "properties"), sort_keys=True)


def _find_manual_reason(factory: Mapping[str, object], part: Mapping[str, object]) -> str:
    """Return what a person must do to change a part; empty: nothing."""
    if repository := mapping_at(factory, "properties", "repoConfiguration"):
        names = ("accountName", "projectName", "repositoryName")
        name = "/".join(found for one in names if (found := text_at(repository, one)))
        branch = text_at(repository, "collaborationBranch") or "the collaboration branch"
        return (
            f"The factory is published from the Git repository {name}, and its next publish would "
            f"overwrite a change by the app. Change the URL in {branch} and publish."
        )
    if _read_collection(part) == "triggers":
        return _STARTED
    return _MASKED if any(_find_masked(part.get("properties"))) else ""


def _find_masked(value: object) -> Iterator[Mapping[str, object]]:
    """Yield every object with a value that Azure does not return."""
    stack = [value]
    while stack:
        value = stack.pop()
        if isinstance(value, dict):
            is_secure = str(value.get("type")).lower() == "securestring"
            if "encryptedCredential" in value or (
                is_secure and value.keys() & {"value", "defaultValue"}
            ):
                yield value
            stack += value.values()
        elif isinstance(value, list):
            stack += value


def _find_secure_parameters(part: Mapping[str, object]) -> Iterator[str]:
    """Yield the secure parameters with a default value, which may be any text."""
    for name, parameter in mapping_at(part, "properties", "parameters").items():
        if "defaultValue" in as_mapping(parameter) and any(_find_masked(parameter)):
            yield name


def _build_caller(resource_id: str, label: str, manual_reason: str) -> Caller:
    return Caller(
        kind=DataFactoryCallers.kind,
        address=resource_id,
        label=label,
        resource_id=f"{DataFactoryCallers.kind}/{resource_id}".lower(),
        manual_reason=manual_reason,
    )


def _describe(part: Mapping[str, object]) -> str:
    """Return what a part is, for people: a factory has one object with all global parameters."""
    collection = _read_collection(part)
    noun = _NOUNS.get(collection, "part")
    return noun if collection == "globalparameters" else f"{noun} {text_at(part, 'name')}"


def _name_factory(factory: Mapping[str, object]) -> str:
    return f"data factory {text_at(factory, 'name')}"


def _read_collection(part: Mapping[str, object]) -> str:
    return _read_id(part).lower().rpartition("/")[0].rpartition("/")[2]


def _read_id(resource: Mapping[str, object]) -> str:
    return text_at(resource, "id") or ""
