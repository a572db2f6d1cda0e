"""Azure: sites, secrets, keys and networks."""

import builtins
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from shared.domain.keys.key import EnterprisePolicy, KeyVault, KeyVersion, RoleAssignment
from shared.domain.network.service_tags import ServiceTagList
from shared.ports.power_platform import ResultPage


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One App Service or Functions app."""

    id: str
    name: str
    #: Lower-case host names it answers to.
    hosts: tuple[str, ...]


class AppSettings(Protocol):
    """Settings of App Service and Functions apps: written as a whole, no ETag.

    See platform.md#app-settings.
    """

    async def sites(self) -> list[Site]:
        """Return every app of the watched subscriptions."""

    async def read(self, site_id: str) -> dict[str, str]:
        """Return all settings of an app."""

    async def write(self, site_id: str, settings: Mapping[str, str]) -> None:
        """Replace all settings of an app; the app restarts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """One Key Vault secret. `value` is never logged or stored."""

    vault_url: str
    name: str
    value: str = field(repr=False)
    version: str
    content_type: str | None
    tags: Mapping[str, str]


class Secrets(Protocol):
    """Secrets of the watched vaults."""

    def vaults(self) -> AsyncIterator[str]:
        """Yield the URL of every watched vault."""

    def list(self, vault_url: str) -> AsyncIterator[str]:
        """Yield the name of every enabled secret of a vault; raises `PlatformError` if it is
        closed.
        """

    async def read(self, vault_url: str, name: str) -> Secret:
        """Return the current version; raises `NotFound`."""

    async def values_since(self, vault_url: str, name: str, since: datetime) -> Sequence[str]:
        """Return the values of all versions that were added since then, to the second.

        Those that were disabled meanwhile are left out. Raises `NotFound`.
        """

    async def write(self, secret: Secret, value: str) -> None:
        """Add a version with `value`, keeping content type and tags."""


class Keys(Protocol):
    """Keys, vaults and the enterprise policies that name them."""

    async def policies(self) -> list[EnterprisePolicy]:
        """Return the encryption policies of the watched subscriptions."""

    async def vault(self, named: str) -> KeyVault:
        """Return a vault by name or Azure resource id; raises `NotFound`."""

    async def roles(self, vault_id: str, principal_id: str) -> list[RoleAssignment]:
        """Return the roles that a principal has by itself at a vault, above it and below."""

    async def key_versions(self, vault: KeyVault, name: str) -> list[KeyVersion]:
        """Return every version of a key, newest first; raises `NotFound`.

        A vault whose network rules keep the app out shows them through Azure Resource Manager.
        """


class ServiceTags(Protocol):
    """Address ranges by service tag (platform.md#service-tag-api)."""

    async def get_list(self) -> ServiceTagList:
        """Return the list as it is now."""


class ResourceWriter(Protocol):
    """Writes rules of firewalls through Azure Resource Manager (platform.md#firewall-resources)."""

    async def put(
        self,
        resource_id: str,
        api_version: str,
        body: Mapping[str, object],
        *,
        etag: str | None,
    ) -> None:
        """Replace a resource that still has an ETag (`*`: any); None: make one.

        Raises `Conflict`, `AlreadyExists` if there is one by then, `NotFound` if what it lies in is
        gone. What it did may be seen only after a while.
        """

    async def patch(self, resource_id: str, api_version: str, body: Mapping[str, object]) -> None:
        """Change members of a resource that has no ETag; raises `NotFound`."""

    async def delete(self, resource_id: str, api_version: str) -> None:
        """Remove a resource; one that is gone is fine."""


class ResourceReader(Protocol):
    """Reads any Azure resource through Azure Resource Manager (platform.md#firewall-resources)."""

    async def list(self, resource_type: str, api_version: str) -> list[Mapping[str, object]]:
        """Return every resource of a type (`Microsoft.Network/networkSecurityGroups`).

        Looks in all watched subscriptions and follows `nextLink`.
        """

    async def get(
        self, resource_id: str, api_version: str, suffix: str = ""
    ) -> Mapping[str, object]:
        """Return one resource, or what lies below it (`/config/web`); raises `NotFound`."""

    async def list_children(
        self, resource_id: str, collection: str, api_version: str
    ) -> builtins.list[Mapping[str, object]]:
        """Return all of a collection below a resource (`ruleCollectionGroups`).

        Follows `nextLink`; raises `NotFound`.
        """


class PagedResourceReader(ResourceReader, Protocol):
    """A `ResourceReader` whose lists can be read page by page.

    A page that does not exist any more, because its cursor has expired, raises `NotFound`, or
    `PlatformError` with status 400 or 410.
    """

    async def list_page(
        self, resource_type: str, api_version: str, cursor: str = ""
    ) -> ResultPage[Mapping[str, object]]:
        """Return a page of what `list` returns, with one request."""

    async def children_page(
        self, resource_id: str, collection: str, api_version: str, cursor: str = ""
    ) -> ResultPage[Mapping[str, object]]:
        """Return a page of what `list_children` returns, with one request; raises `NotFound`."""
