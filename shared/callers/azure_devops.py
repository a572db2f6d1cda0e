"""Read and write service hooks and variable groups of Azure DevOps as callers.

Azure DevOps has no ETag for them, so they are compared before a write and after it. See
platform.md#azure-devops.
"""

import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import timedelta
from typing import override
from urllib.parse import quote

from shared.callers.azure_devops_documents import (
    build_content,
    find_manual_reason,
    format_secret_names,
    get_content_member_name,
    select_written_members,
)
from shared.callers.json_service import JsonServiceCallers
from shared.callers.search import UnreadableCallers, build_manual_caller_error, find_callers_in_text
from shared.callers.whole_resource import order_names_like
from shared.domain.callers.caller import Caller, CallerContent
from shared.domain.definitions.json_values import text_at
from shared.domain.environment import Environment
from shared.domain.permissions import RequiredPermissions
from shared.errors import Conflict, NotFound, PlatformError
from shared.ports import JsonService

#: In the public cloud only (platform.md#azure-devops).
AZURE_DEVOPS = JsonService(
    name="Azure DevOps",
    url="https://dev.azure.com",
    headers={"Accept": "application/json;api-version=7.1"},
    scopes=lambda settings: settings.azure_devops_organizations,
    scope_pattern=r"[A-Za-z0-9][A-Za-z0-9-]{0,49}",
    scope_hint="Use the name of an organization, such as contoso.",
    audience="499b84ac-1321-427f-aa17-267ca6975798",
)
_HOOKS = "_apis/hooks/subscriptions"
_GROUPS = "_apis/distributedtask/variablegroups"
_PROJECTS = "_apis/projects"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    organization: str
    #: Id and name; empty: service hooks.
    project_id: str = ""
    project: str = ""

    @property
    def key(self) -> str:
        return f"{self.organization}/{self.project_id}"

    @property
    def label(self) -> str:
        organization = f"Azure DevOps organization {self.organization}"
        if not self.project_id:
            return f"service hooks of the {organization}"
        return f"variable groups of the project {self.project} in the {organization}"


class AzureDevOpsCallers(JsonServiceCallers):
    """The caller kind of Azure DevOps service hooks and variable groups.

    A caller's address is the path of a hook or group. Its content is the `consumerInputs` of the
    hook, or the `variables` of the group, as JSON.
    """

    kind = "azure_devops"
    service = AZURE_DEVOPS
    is_json = True
    #: The next event or run reads the new value.
    old_value_lifetime = timedelta(0)
    required_permissions = RequiredPermissions(
        fix="Add the app's identity to the organization with the access level Basic, and let it "
        "view and edit service hooks and administer variable groups, as Project Collection "
        "Administrators may. Or remove the organization from CMK_AZURE_DEVOPS_ORGANIZATIONS. "
        "Nobody can read secret variables: check them yourself.",
    )

    async def require_readable_scope(self, scope: str) -> None:
        await self._read_place(_Place(organization=scope))

    @override
    async def find_callers(
        self, environments: Sequence[Environment], unreadable: UnreadableCallers
    ) -> AsyncGenerator[Caller]:
        places = await self._list_places(unreadable)
        readings = unreadable.read_readable_places(
            places, lambda one: one.key, self._read_place, lambda one: one.label
        )
        async with aclosing(readings):
            async for place, documents in readings:
                for document in documents:
                    caller = _build_caller(place, document)
                    if secrets := format_secret_names(document):
                        unreadable.record_unsearched(
                            f"secret variables {secrets} of the {caller.label}"
                        )
                    for one in find_callers_in_text(build_content(document).text, caller):
                        yield one

    async def read(self, caller: Caller) -> CallerContent:
        return build_content(await self._api.get(AZURE_DEVOPS, caller.address))

    async def write(self, caller: Caller, value: CallerContent) -> None:
        before = await self._api.get(AZURE_DEVOPS, caller.address)
        now = build_content(before)
        if now.text == value.text:
            return
        if value.etag not in {"", now.etag}:
            raise Conflict(f"The {caller.label} was changed")
        if reason := find_manual_reason(before):
            raise build_manual_caller_error(caller, reason)
        member = get_content_member_name(before)
        wanted = order_names_like(before.get(member), json.loads(value.text))
        await self._api.put(
            AZURE_DEVOPS,
            _get_write_path(caller.address),
            {**select_written_members(before), member: wanted},
        )
        if (await self.read(caller)).text != value.text:
            raise Conflict(f"The {caller.label} was changed by somebody else")

    async def _list_places(self, unreadable: UnreadableCallers) -> Sequence[_Place]:
        places: list[_Place] = []
        for organization in await self.list_well_formed_scopes(unreadable):
            places.append(_Place(organization=organization))
            try:
                projects = await self._api.list(
                    AZURE_DEVOPS, f"{organization}/{_PROJECTS}", member="value"
                )
            except NotFound:
                unreadable.record_unsearched(
                    f"Azure DevOps organization {organization} (not found)"
                )
            except PlatformError as err:
                unreadable.record_place(
                    f"projects of the Azure DevOps organization {organization}", err
                )
            else:
                places += [
                    _Place(
                        organization=organization,
                        project_id=text_at(one, "id") or "",
                        project=text_at(one, "name") or "",
                    )
                    for one in projects
                ]
        return places

    async def _read_place(self, place: _Place) -> Sequence[Mapping[str, object]]:
        if not place.project_id:
            query = {"consumerId": "webHooks"}
            return await self._api.list(
                AZURE_DEVOPS, f"{place.organization}/{_HOOKS}", query, member="value"
            )
        path = f"{place.organization}/{quote(place.project_id)}/{_GROUPS}"
        return await self._api.list(AZURE_DEVOPS, path, member="value")


def _build_caller(place: _Place, document: Mapping[str, object]) -> Caller:
    identity = document.get("id")
    organization = f"Azure DevOps organization {place.organization}"
    if place.project_id:
        address = f"{place.organization}/{quote(place.project_id)}/{_GROUPS}/{identity}"
        name = text_at(document, "name")
        label = f"variable group {name} of the project {place.project} in the {organization}"
    else:
        address = f"{place.organization}/{_HOOKS}/{identity}"
        label = f"service hook {identity} ({text_at(document, 'eventType')}) in the {organization}"
    return Caller(
        kind=AzureDevOpsCallers.kind,
        address=address,
        label=label,
        resource_id=f"{AzureDevOpsCallers.kind}/{_get_write_path(address)}".lower(),
        manual_reason=find_manual_reason(document),
    )


def _get_write_path(address: str) -> str:
    """Return the address without the project: variable groups are written in the organization."""
    organization, _, path = address.partition("/")
    return f"{organization}/{path[path.index('_apis/') :]}"
