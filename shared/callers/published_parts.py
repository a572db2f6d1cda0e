"""The base class of the caller kinds of Data Factory and Synapse.

Both run pipelines with linked services, datasets and triggers, which are published from a Git
repository or changed live.
"""

import json
from abc import abstractmethod
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import timedelta
from typing import ClassVar, override

from shared.callers.search import (
    SearchedCallers,
    UnreadableCallers,
    build_manual_caller_error,
    find_callers_in_text,
    get_id,
)
from shared.callers.whole_resource import order_names_like
from shared.domain.callers.caller import Caller, CallerContent
from shared.domain.callers.unchanged_content import hash_texts
from shared.domain.definitions.json_values import as_mapping, mapping_at, text_at
from shared.domain.environment import Environment
from shared.domain.permissions import RequiredPermissions
from shared.errors import Conflict
from shared.ports import ResourceReader
from shared.read_only_locks import ReadOnlyLocks

_STARTED = "Azure rejects a change of a started trigger. Stop it, change the URL, and start it."
_MASKED = (
    "It has secure values, which Azure does not return: a write by the app would remove them. "
    "Change the URL yourself."
)
#: Members of a pipeline's properties that Azure changes at each write (platform.md#data-factory).
_SET_BY_AZURE = frozenset({"lastPublishTime"})


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedPart:
    """A part of a factory or workspace, such as a pipeline or a dataset."""

    #: Address of its caller.
    address: str
    #: In lower case, such as `pipelines`.
    collection: str
    #: For people, such as `pipeline nightly`.
    title: str
    properties: Mapping[str, object] = field(repr=False)
    #: Empty: a write has no condition.
    etag: str

    @property
    def content(self) -> CallerContent:
        """Return the properties as JSON with sorted names, because Azure may change the order.

        Omits what Azure sets at each write.
        """
        kept = {name: one for name, one in self.properties.items() if name not in _SET_BY_AZURE}
        text = json.dumps(kept, sort_keys=True)
        return CallerContent(text=text, etag=self.etag or hash_texts(text))

    def find_secure_parameters(self) -> Iterator[str]:
        """Yield the names of secure parameters with a default value, which is hidden."""
        for name, parameter in mapping_at(self.properties, "parameters").items():
            if "defaultValue" in as_mapping(parameter) and any(_find_masked_values(parameter)):
                yield name


class PublishedPartCallers(SearchedCallers):
    """The base class of caller kinds for the parts of factories or workspaces."""

    is_json = True
    #: The next run reads the new value. The period without calls covers runs in progress.
    old_value_lifetime = timedelta(0)
    required_permissions: RequiredPermissions
    #: What has the parts, for people, in the singular and in the plural.
    owner: ClassVar[str]
    owners: ClassVar[str]
    owner_type: ClassVar[str]
    owner_version: ClassVar[str]
    #: The property of an owner with its Git repository.
    repository: ClassVar[str]

    def __init__(self, resources: ResourceReader) -> None:
        self._reader = resources

    @abstractmethod
    async def list_parts(self, owner: Mapping[str, object]) -> Sequence[PublishedPart]:
        """Return all parts of a factory or workspace. Raises `NotFound` if it does not exist."""

    @abstractmethod
    async def read_part(self, address: str) -> PublishedPart:
        """Return the part at an address. Raises `NotFound` if it does not exist."""

    @abstractmethod
    async def read_owner(self, address: str) -> Mapping[str, object]:
        """Return the factory or workspace that a part is in.

        Raises `NotFound` if it does not exist.
        """

    @abstractmethod
    async def write_part(self, part: PublishedPart, properties: Mapping[str, object]) -> None:
        """Replace the properties of a part.

        Raises `Conflict` if it no longer has `part.etag`. An empty ETag is not checked.
        """

    async def read_locks(self, unreadable: UnreadableCallers) -> ReadOnlyLocks:  # noqa: ARG002
        """Return the read-only locks that may apply to a part; none by default."""
        return ReadOnlyLocks({})

    @override
    async def find_callers(
        self, environments: Sequence[Environment], unreadable: UnreadableCallers
    ) -> AsyncGenerator[Caller]:
        listing = self._reader.list(self.owner_type, self.owner_version)
        found = await unreadable.list_readable(listing, self.owners)
        locks = await self.read_locks(unreadable) if found else ReadOnlyLocks({})
        readings = unreadable.read_readable_places(
            found, get_id, self.list_parts, self._format_owner_label
        )
        async with aclosing(readings):
            async for owner, parts in readings:
                for part in parts:
                    label = f"{part.title} of the {self._format_owner_label(owner)}"
                    for name in part.find_secure_parameters():
                        unreadable.record_unsearched(f"secure parameter {name} of the {label}")
                    reason = self._find_manual_reason(owner, part) or locks.explain_lock_removal(
                        part.address
                    )
                    place = self.build_place(part.address, label, reason)
                    for caller in find_callers_in_text(part.content.text, place):
                        yield caller

    async def read(self, caller: Caller) -> CallerContent:
        return (await self.read_part(caller.address)).content

    async def write(self, caller: Caller, value: CallerContent) -> None:
        """Replace the properties of a part if they are unchanged since the read.

        A part without an ETag is read back.
        """
        before = await self.read_part(caller.address)
        if before.content.text == value.text:
            return
        if value.etag not in {"", before.content.etag}:
            raise Conflict(f"The {caller.label} was changed")
        owner = await self.read_owner(caller.address)
        if reason := self._find_manual_reason(owner, before):
            raise build_manual_caller_error(caller, reason)
        wanted = {**before.properties, **json.loads(value.text)}
        properties = order_names_like(before.properties, wanted)
        await self.write_part(before, as_mapping(properties))
        if not before.etag and (await self.read(caller)).text != value.text:
            raise Conflict(f"The {caller.label} was changed by somebody else")

    def _format_owner_label(self, owner: Mapping[str, object]) -> str:
        return f"{self.owner} {text_at(owner, 'name')}"

    def _find_manual_reason(self, owner: Mapping[str, object], part: PublishedPart) -> str:
        repository = mapping_at(owner, "properties", self.repository)
        names = ("accountName", "projectName", "repositoryName")
        if name := "/".join(found for one in names if (found := text_at(repository, one))):
            branch = text_at(repository, "collaborationBranch") or "the collaboration branch"
            return (
                f"The {self.owner} is published from the Git repository {name}, and its next "
                f"publish would overwrite a change by the app. Change the URL in {branch} and "
                "publish."
            )
        if part.collection == "triggers":
            return _STARTED
        return _MASKED if any(_find_masked_values(part.properties)) else ""


def _find_masked_values(value: object) -> Iterator[Mapping[str, object]]:
    """Yield every object whose value Azure does not return."""
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
