"""Name the parts of Synapse workspaces with a URL. A person changes them.

The app may not publish to a workspace. See platform.md#synapse.
"""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from datetime import timedelta

from shared.callers.search import UnreadableCallers, callers_in
from shared.domain.callers.caller import Caller, CallerContent
from shared.domain.callers.search_position import CallerSearchPosition
from shared.domain.definitions.json_values import mapping_at, text_at
from shared.domain.environment import Environment
from shared.domain.permissions import RequiredPermissions
from shared.errors import JobBlocked, PlatformError
from shared.ports import ResourceReader, SynapseArtifacts
from shared.reason import Reason

_WORKSPACES = "Microsoft.Synapse/workspaces"
_VERSION = "2021-06-01"
#: Collections of a workspace → what an item is called.
_NOUNS = {
    "datasets": "dataset",
    "linkedservices": "linked service",
    "notebooks": "notebook",
    "pipelines": "pipeline",
    "triggers": "trigger",
}


class SynapseCallers:
    """Implements `CallerKind`. Addresses are `workspace/collection/name`."""

    kind = "synapse"
    is_json = True
    #: The next run reads the new value. The period without calls covers runs in progress.
    old_value_lifetime = timedelta(0)
    is_environment_only = False
    is_assessed_separately = False
    required_permissions = RequiredPermissions(
        fix="Give the app's identity the role Synapse Artifact User in the workspace (Manage › "
        "Access control), and let the workspace's network accept the app.",
    )

    def __init__(self, resources: ResourceReader, synapse_artifacts: SynapseArtifacts) -> None:
        """`resources` reads the configured subscriptions."""
        self._reader = resources
        self._artifacts = synapse_artifacts

    async def find(
        self,
        environments: Sequence[Environment],  # noqa: ARG002 -- workspaces are outside environments
        search: CallerSearchPosition | None = None,
    ) -> AsyncIterator[Caller]:
        """Yield every part of a workspace with a trigger URL."""
        search = search or CallerSearchPosition()
        unreadable = UnreadableCallers(search, self.required_permissions.fix)
        workspaces: Sequence[Mapping[str, object]] = []
        try:
            workspaces = await self._reader.list(_WORKSPACES, _VERSION)
        except PlatformError as err:
            unreadable.add("Synapse workspaces", err)
        readings = unreadable.read_readable(workspaces, _read_name, self._list_parts, _describe)
        async with aclosing(readings):
            async for workspace, parts in readings:
                for collection, part in parts:
                    caller = _build_caller(workspace, collection, part)
                    for one in callers_in(_format_content(part), caller):
                        yield one
        unreadable.raise_if_any()

    async def read(self, caller: Caller) -> CallerContent:
        """Return the properties as JSON. Raises `NotFound`."""
        workspace, collection, name = caller.address.split("/", 2)
        return CallerContent(
            text=_format_content(await self._artifacts.read(workspace, collection, name))
        )

    async def write(self, caller: Caller, value: CallerContent) -> None:  # noqa: ARG002
        """Raise `JobBlocked`: only a person changes a workspace."""
        raise JobBlocked(
            f"The app cannot change the {caller.label}.",
            fix=f"{caller.manual_reason} Then retry.",
            code=Reason.MANUAL_CALLER,
        )

    async def _list_parts(
        self, workspace: Mapping[str, object]
    ) -> Sequence[tuple[str, Mapping[str, object]]]:
        return [
            (collection, part)
            for collection in _NOUNS
            for part in await self._artifacts.list(_read_name(workspace), collection)
        ]


def _build_caller(
    workspace: Mapping[str, object], collection: str, part: Mapping[str, object]
) -> Caller:
    address = f"{_read_name(workspace)}/{collection}/{_read_name(part)}"
    return Caller(
        kind=SynapseCallers.kind,
        address=address,
        label=f"{_NOUNS[collection]} {_read_name(part)} of the {_describe(workspace)}",
        resource_id=f"{SynapseCallers.kind}/{address}".lower(),
        manual_reason=_say_where(workspace),
    )


def _say_where(workspace: Mapping[str, object]) -> str:
    repository = mapping_at(workspace, "properties", "workspaceRepositoryConfiguration")
    names = ("accountName", "projectName", "repositoryName")
    if name := "/".join(found for one in names if (found := text_at(repository, one))):
        branch = text_at(repository, "collaborationBranch") or "the collaboration branch"
        return f"Change the URL in {branch} of the Git repository {name}, and publish."
    return "Change the URL in Synapse Studio, and publish."


def _format_content(part: Mapping[str, object]) -> str:
    return json.dumps(mapping_at(part, "properties"), sort_keys=True)


def _describe(workspace: Mapping[str, object]) -> str:
    return f"Synapse workspace {_read_name(workspace)}"


def _read_name(resource: Mapping[str, object]) -> str:
    return text_at(resource, "name") or ""
