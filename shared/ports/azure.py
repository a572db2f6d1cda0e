"""The ports for Azure: apps, secrets, keys and networks."""

import builtins
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from shared.domain.keys.key import EnterprisePolicy, KeyVault, KeyVersion, RoleAssignment
from shared.domain.keys.secret_access import SecretReader
from shared.domain.network.service_tags import ServiceTagList
from shared.domain.signature import SigningKey
from shared.ports.power_platform import ResultPage


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """An App Service or Functions app, or a slot of one."""

    id: str
    name: str
    #: Host names in lower case; none for a slot.
    hosts: tuple[str, ...]
    #: Whether it is a Logic App (Standard).
    is_workflow_app: bool = False


class AppSettings(Protocol):
    """Read and replace all settings of App Service and Functions apps, without ETag.

    The same for connection strings, whose names begin with their type (`SQLAzure|Orders`).

    See platform.md#app-settings.
    """

    async def read_sites(self) -> list[Site]:
        """Return every app of the configured subscriptions, and every slot (`app/slot`)."""

    async def read(self, site_id: str) -> dict[str, str]:
        """Return all settings of an app."""

    async def read_secret_readers(self, site_id: str) -> Sequence[SecretReader]:
        """Return the app and its slots, each with its identity for Key Vault references.

        The id of a slot gives the same result. Raises `NotFound`.
        """

    async def read_reference_statuses(self, site_id: str) -> Mapping[str, str]:
        """Return the status (`Resolved`) of each Key Vault reference of an app, by setting."""

    async def write(self, site_id: str, settings: Mapping[str, str]) -> None:
        """Replace all settings of an app, which restarts it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteFile:
    """A file of an app. `text` is never logged or stored."""

    text: str = field(repr=False)
    etag: str


class SiteFiles(Protocol):
    """Read and replace files of Logic Apps (Standard) (platform.md#logic-apps-standard)."""

    async def list_workflows(self, site_id: str) -> list[str]:
        """Return the name of every workflow of an app; raise `NotFound`."""

    async def read(self, site_id: str, path: str) -> SiteFile:
        """Return a file; raise `NotFound`."""

    async def write(self, site_id: str, path: str, text: str, *, etag: str) -> None:
        """Replace a file if it has this ETag; the app loads it.

        Raises `Conflict` and `NotFound`, and `PlatformError` if the app runs from a package.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """A Key Vault secret. `value` is never logged or stored."""

    vault_url: str
    name: str
    value: str = field(repr=False)
    version: str
    content_type: str | None
    tags: Mapping[str, str]


class Secrets(Protocol):
    """Read and write secrets of the configured vaults."""

    def read_vault_urls(self) -> AsyncIterator[str]:
        """Yield the URL of every configured vault."""

    def list(self, vault_url: str) -> AsyncIterator[str]:
        """Yield the name of every enabled secret of a vault; raise `PlatformError` without
        access.
        """

    async def read(self, vault_url: str, name: str) -> Secret:
        """Return the current version; raise `NotFound`."""

    async def read_values_since(self, vault_url: str, name: str, since: datetime) -> Sequence[str]:
        """Return the values of all enabled versions added since `since`, to the second.

        Raises `NotFound`.
        """

    async def write(self, secret: Secret, value: str) -> None:
        """Add a version with `value`; keep content type and tags. Creates a missing secret."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyValue:
    """A key-value of an App Configuration store. `value` is never logged or stored."""

    store_url: str
    key: str
    #: Empty: no label.
    label: str
    value: str = field(repr=False)
    etag: str
    content_type: str | None
    tags: Mapping[str, str]
    is_locked: bool


class AppConfiguration(Protocol):
    """Read and write key-values of App Configuration (platform.md#app-configuration)."""

    def read_stores(self) -> AsyncIterator[str]:
        """Yield the URL of every store of the configured subscriptions."""

    async def list(self, store_url: str) -> Sequence[KeyValue]:
        """Return every key-value of a store; raise `PlatformError` without access."""

    async def read(self, store_url: str, key: str, label: str) -> KeyValue:
        """Return a key-value; raise `NotFound`."""

    async def write(self, key_value: KeyValue, value: str) -> None:
        """Replace the value if the ETag matches; keep content type and tags.

        Raises `Conflict`, and `PlatformError` if the key-value is locked.
        """


class SynapseArtifacts(Protocol):
    """Read and write the parts of Synapse workspaces (platform.md#synapse)."""

    async def list(self, workspace: str, collection: str) -> builtins.list[Mapping[str, object]]:
        """Return all items of a collection, such as `pipelines`; raise `NotFound`, and
        `PlatformError` without access.
        """

    async def read(self, workspace: str, collection: str, name: str) -> Mapping[str, object]:
        """Return an item of a collection; raise `NotFound`."""

    async def find_denied_actions(self, workspace: str, actions: Sequence[str]) -> Sequence[str]:
        """Return which actions no role of the app's identity permits, such as
        `Microsoft.Synapse/workspaces/pipelines/write`. Roles of its groups are not checked.

        Raises `NotFound`, and `PlatformError` without a role.
        """

    async def write(
        self,
        workspace: str,
        collection: str,
        name: str,
        properties: Mapping[str, object],
        *,
        etag: str,
    ) -> None:
        """Replace an item if its ETag matches, and return when the workspace has saved it.

        Raises `Conflict`, `PlatformError` if the workspace rejects it, and `ServiceUnavailable`
        while it is still being saved.
        """


class Keys(Protocol):
    """Read keys, vaults and the enterprise policies that reference them."""

    async def read_policies(self) -> list[EnterprisePolicy]:
        """Return the encryption policies of the configured subscriptions."""

    async def read_vault(self, named: str) -> KeyVault:
        """Return a vault by name or Azure resource id; raise `NotFound`."""

    async def read_role_assignments(self, vault_id: str, principal_id: str) -> list[RoleAssignment]:
        """Return the direct role assignments of a principal at, above and below a vault."""

    async def read_key_versions(self, vault: KeyVault, name: str) -> list[KeyVersion]:
        """Return every version of a key, newest first; raise `NotFound`.

        If a vault's network rules deny the app, the versions come from Azure Resource Manager.
        """


class SigningKeys(Protocol):
    """Sign with RSA keys in Key Vault."""

    async def read(self, key_url: str) -> SigningKey:
        """Return a version of an RSA key; without a version in the URL, the current one.

        Raises `NotFound`, and `PlatformError` for another kind of key.
        """

    async def sign(self, key: SigningKey, digest: bytes) -> bytes:
        """Return the RS256 signature of a SHA-256 digest."""


class ServiceTags(Protocol):
    """Read address ranges by service tag (platform.md#service-tag-api)."""

    async def get_list(self) -> ServiceTagList:
        """Return the current list."""


class ResourceWriter(Protocol):
    """Write firewall rules by Azure Resource Manager (platform.md#firewall-resources)."""

    async def put(
        self,
        resource_id: str,
        api_version: str,
        body: Mapping[str, object],
        *,
        etag: str | None,
    ) -> None:
        """Replace a resource if its ETag matches (`*`: any); with None, create it.

        Raises `Conflict`, `AlreadyExists` if it exists, and `NotFound` if its parent does not
        exist. The change may become visible later.
        """

    async def patch(
        self,
        resource_id: str,
        api_version: str,
        body: Mapping[str, object],
        *,
        etag: str | None = None,
    ) -> None:
        """Change properties of a resource if its ETag matches (None: any or no ETag).

        Raises `Conflict` and `NotFound`. The change may become visible later.
        """

    async def delete(self, resource_id: str, api_version: str) -> None:
        """Delete a resource; do nothing if it does not exist."""

    async def restart(self, resource_id: str, api_version: str) -> None:
        """Restart the app, or another program, that a resource runs; raise `NotFound`."""


class ResourceReader(Protocol):
    """Read any Azure resource by Azure Resource Manager (platform.md#firewall-resources)."""

    async def list(self, resource_type: str, api_version: str) -> list[Mapping[str, object]]:
        """Return every resource of a type (`Microsoft.Network/networkSecurityGroups`).

        Reads all configured subscriptions and all pages.
        """

    async def get(
        self, resource_id: str, api_version: str, suffix: str = ""
    ) -> Mapping[str, object]:
        """Return a resource or a sub-resource such as `/config/web`; raise `NotFound`."""

    async def list_children(
        self, resource_id: str, collection: str, api_version: str
    ) -> builtins.list[Mapping[str, object]]:
        """Return all items of a collection of a resource (`ruleCollectionGroups`).

        Reads all pages; raises `NotFound`.
        """


class ResourceSecrets(Protocol):
    """Read the values of Azure resources that a `ResourceReader` does not return."""

    async def read(self, resource_id: str, action: str, api_version: str) -> Mapping[str, object]:
        """Return the response of an action such as `listSecrets` or `listValue`; raise
        `NotFound`.
        """


class PolicyRestrictions(Protocol):
    """Check Azure Policy before a write (platform.md#azure-policy)."""

    async def find_denying_assignments(
        self, resource_id: str, content: Mapping[str, object], api_version: str
    ) -> Sequence[str]:
        """Return the ids of the policy assignments that deny a resource with this content.

        `content` has the type of the resource, or of a child. Raises `NotFound`, and
        `PlatformError` if Azure does not check it.
        """


class PagedResourceReader(ResourceReader, Protocol):
    """A `ResourceReader` with lists that can be read in pages.

    A page with an expired cursor raises `NotFound`, or `PlatformError` with status 400 or 410.
    """

    async def list_page(
        self, resource_type: str, api_version: str, cursor: str = ""
    ) -> ResultPage[Mapping[str, object]]:
        """Return a page of the result of `list`, with one request."""

    async def read_children_page(
        self, resource_id: str, collection: str, api_version: str, cursor: str = ""
    ) -> ResultPage[Mapping[str, object]]:
        """Return a page of the result of `list_children`, with one request; raise `NotFound`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaggedResource:
    """A resource whose ETag is in a header. The document may hold a secret."""

    document: Mapping[str, object] = field(repr=False)
    etag: str


class TaggedResourceReader(ResourceReader, Protocol):
    """A `ResourceReader` that also returns the ETag of a resource, and resources that are text."""

    async def get_text(self, resource_id: str, api_version: str) -> str:
        """Return a resource that is text, such as a runbook's `/content`; raise `NotFound`."""

    async def get_tagged_resource(
        self, resource_id: str, api_version: str, *, query: Mapping[str, str] | None = None
    ) -> TaggedResource:
        """Return a resource with the ETag of its header; raise `NotFound`."""
