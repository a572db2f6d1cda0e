"""The base class of caller kinds in Azure resources that are read and replaced as a whole.

Azure has no ETag for them, so a resource is compared before a write and after it.
"""

import json
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import ClassVar, override

from shared.callers.search import (
    SearchedCallers,
    UnreadableCallers,
    build_manual_caller_error,
    find_callers_in_text,
    get_id,
)
from shared.domain.callers.caller import Caller, CallerContent
from shared.domain.callers.unchanged_content import hash_texts
from shared.domain.definitions.json_values import as_mapping, mapping_at, text_at
from shared.domain.environment import Environment
from shared.domain.permissions import RequiredPermissions
from shared.errors import Conflict
from shared.ports import ResourceReader, ResourceWriter

_HIDDEN = (
    "It has values that Azure does not return, and a write by the app would remove them. Change "
    "the URL where the resource is deployed from."
)
#: The members of a resource that Azure sets.
_SET_BY_AZURE = frozenset({"id", "name", "type", "etag", "systemData"})


class WholeResourceCallers(SearchedCallers):
    """The base class of caller kinds for one type of Azure resource.

    A caller's address is a resource id. The content is the resource without the members that Azure
    sets.
    """

    is_json = True
    #: The next use reads the new value. The period without calls covers uses in progress.
    old_value_lifetime = timedelta(0)
    required_permissions: RequiredPermissions
    #: The resource type, in the singular and for people.
    noun: ClassVar[str]
    #: The members of `properties` that Azure sets.
    properties_set_by_azure: ClassVar[frozenset[str]] = frozenset()
    #: The members of `properties` that hold URLs. Azure returns them as they were written.
    parts: ClassVar[tuple[str, ...]]

    def __init__(self, resources: ResourceReader, resource_writer: ResourceWriter) -> None:
        self._reader = resources
        self._writer = resource_writer

    def find_unreadable_parts(self, properties: Mapping[str, object]) -> Iterator[str]:  # noqa: ARG002 -- none by default
        """Yield the parts that Azure does not return, which a write would remove."""
        yield from ()

    @override
    async def find_callers(
        self, environments: Sequence[Environment], unreadable: UnreadableCallers
    ) -> AsyncGenerator[Caller]:
        needs = self.required_permissions
        found, locks = await unreadable.list_resources_with_locks(
            self._reader, needs.resource_type, needs.api_version, f"{self.noun}s"
        )
        for resource in unreadable.search.list_remaining_places(found, get_id):
            hidden = [*self.find_unreadable_parts(mapping_at(resource, "properties"))]
            for part in hidden:
                unreadable.record_unsearched(
                    f"{part} of the {self.noun} {text_at(resource, 'name')}"
                )
            reason = _HIDDEN if hidden else locks.explain_lock_removal(get_id(resource))
            label = f"{self.noun} {text_at(resource, 'name')}"
            place = self.build_place(get_id(resource), label, reason)
            for caller in find_callers_in_text(self._format_content(resource), place):
                yield caller

    async def read(self, caller: Caller) -> CallerContent:
        text = self._format_content(await self._get_resource(caller))
        return CallerContent(text=text, etag=hash_texts(text))

    async def write(self, caller: Caller, value: CallerContent) -> None:
        before = await self._get_resource(caller)
        text = self._format_content(before)
        if text == value.text:
            return
        if value.etag not in {"", hash_texts(text)}:
            raise Conflict(f"The {caller.label} was changed")
        if any(self.find_unreadable_parts(mapping_at(before, "properties"))):  # since the search
            raise build_manual_caller_error(caller, _HIDDEN)
        wanted = as_mapping(order_names_like(before, json.loads(value.text)))
        version = self.required_permissions.api_version
        await self._writer.put(caller.address, version, wanted, etag="*")
        if self._list_part_values(await self._get_resource(caller)) != self._list_part_values(
            wanted
        ):
            raise Conflict(f"The {caller.label} was changed by somebody else")

    async def _get_resource(self, caller: Caller) -> Mapping[str, object]:
        return await self._reader.get(caller.address, self.required_permissions.api_version)

    def _format_content(self, resource: Mapping[str, object]) -> str:
        """Return what a write sends, as JSON with sorted names.

        Azure may change the order.
        """
        content = {key: value for key, value in resource.items() if key not in _SET_BY_AZURE}
        content["properties"] = {
            key: value
            for key, value in mapping_at(resource, "properties").items()
            if key not in self.properties_set_by_azure
        }
        if identity := mapping_at(resource, "identity"):
            content["identity"] = _build_written_identity(identity)
        return json.dumps(content, sort_keys=True)

    def _list_part_values(self, resource: Mapping[str, object]) -> list[object]:
        properties = mapping_at(resource, "properties")
        return [properties.get(part) or None for part in self.parts]


def _build_written_identity(identity: Mapping[str, object]) -> Mapping[str, object]:
    assigned = mapping_at(identity, "userAssignedIdentities")
    chosen: dict[str, object] = {"type": identity.get("type")}
    return chosen | ({"userAssignedIdentities": {one: {} for one in assigned}} if assigned else {})


def order_names_like(before: object, wanted: object) -> object:
    """Return `wanted` with the names of each object in the order of `before`.

    Texts of callers have sorted names, and a write must not store that order.
    """
    if isinstance(before, list) and isinstance(wanted, list) and len(before) == len(wanted):
        return [order_names_like(*pair) for pair in zip(before, wanted, strict=True)]
    if not (isinstance(before, dict) and isinstance(wanted, dict)):
        return wanted
    names = dict.fromkeys((*before, *wanted))
    return {
        name: order_names_like(before.get(name), wanted[name]) for name in names if name in wanted
    }
