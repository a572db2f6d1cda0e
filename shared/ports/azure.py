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
    """Read and replace all settings of App Service and Functions apps, which have no ETag.

    A second adapter implements this port for connection strings, whose names begin with their type
    (`SQLAzure|Orders`). See platform.md#app-settings.
    """

    async def read_sites(self) -> list[Site]:
        """Return every app of the configured subscriptions, and every slot (`app/slot`)."""

    async def read(self, site_id: str) -> dict[str, str]:
        """Return all settings of an app."""

    async def read_secret_readers(self, site_id: str) -> Sequence[SecretReader]:
        """Return the identities that resolve the Key Vault references of an app and its slots.

        The id of a slot returns the same identities. Raises `NotFound` if the app does not exist.
        """

    async def read_reference_statuses(self, site_id: str) -> Mapping[str, str]:
        """Return the status (such as `Resolved`) of each Key Vault reference, by setting."""

    async def write(self, site_id: str, settings: Mapping[str, str]) -> None:
        """Replace all settings of an app. This restarts the app."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteFile:
    """A file of an app. `text` is never logged or stored."""

    text: str = field(repr=False)
    etag: str


class SiteFiles(Protocol):
    """Read and replace files of Logic Apps (Standard) (platform.md#logic-apps-standard)."""

    async def list_workflows(self, site_id: str) -> list[str]:
        """Return the name of every workflow of an app.

        Raises `NotFound` if the app does not exist.
        """

    async def read(self, site_id: str, path: str) -> SiteFile:
        """Return a file. Raises `NotFound` if it does not exist."""

    async def write(self, site_id: str, path: str, text: str, *, etag: str) -> None:
        """Replace a file if it has this ETag. The app then loads the new file.

        Raises `Conflict` if it has another ETag, `NotFound` if it does not exist, and
        `PlatformError` if the app runs from a package.
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
        """Yield the name of every enabled secret of a vault.

        Raises `PlatformError` if the app has no access.
        """

    async def read(self, vault_url: str, name: str) -> Secret:
        """Return the current version of a secret. Raises `NotFound` if it does not exist."""

    async def read_values_since(self, vault_url: str, name: str, since: datetime) -> Sequence[str]:
        """Return the values of the enabled versions of a secret that were added since `since`.

        Compares whole seconds. Raises `NotFound` if the secret does not exist.
        """

    async def write(self, secret: Secret, value: str) -> None:
        """Add a version with this value to a secret. Creates the secret if it is missing.

        The version has the content type and tags of `secret`.
        """


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
        """Return every key-value of a store. Raises `PlatformError` if the app has no access."""

    async def read(self, store_url: str, key: str, label: str) -> KeyValue:
        """Return the key-value with a key and a label. Raises `NotFound` if it does not exist."""

    async def write(self, key_value: KeyValue, value: str) -> None:
        """Replace the value if the ETag matches. The content type and tags stay.

        Raises `Conflict` if the ETag does not match, and `PlatformError` if the key-value is
        locked, or is too long (status 413).
        """


class SynapseArtifacts(Protocol):
    """Read and write the parts of Synapse workspaces (platform.md#synapse)."""

    async def list(self, workspace: str, collection: str) -> builtins.list[Mapping[str, object]]:
        """Return all items of a collection, such as `pipelines`.

        Raises `NotFound` if the workspace does not exist, and `PlatformError` if the app has no
        access.
        """

    async def read(self, workspace: str, collection: str, name: str) -> Mapping[str, object]:
        """Return an item of a collection. Raises `NotFound` if it does not exist."""

    async def find_denied_actions(self, workspace: str, actions: Sequence[str]) -> Sequence[str]:
        """Return those of the given actions that no Synapse role of the app's identity permits.

        An action is for example `Microsoft.Synapse/workspaces/pipelines/write`. Roles of the
        identity's groups are not checked. Raises `NotFound` if the workspace does not exist, and
        `PlatformError` if the identity has no role.
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

        Raises `Conflict` if the ETag does not match, `PlatformError` if the workspace rejects the
        item, and `ServiceUnavailable` if the workspace is still saving the item.
        """


class Keys(Protocol):
    """Read keys, vaults and the enterprise policies that reference them."""

    async def read_policies(self) -> list[EnterprisePolicy]:
        """Return the encryption policies of the configured subscriptions."""

    async def read_vault(self, named: str) -> KeyVault:
        """Return the vault with a name or an Azure resource id.

        Raises `NotFound` if it does not exist.
        """

    async def read_role_assignments(self, vault_id: str, principal_id: str) -> list[RoleAssignment]:
        """Return a principal's direct role assignments that concern a vault.

        Their scope is the vault, something that contains it, or something in it.
        """

    async def read_key_versions(self, vault: KeyVault, name: str) -> list[KeyVersion]:
        """Return every version of a key, newest first.

        Raises `NotFound` if the key does not exist.
        """


class SigningKeys(Protocol):
    """Sign with RSA keys in Key Vault."""

    async def read(self, key_url: str) -> SigningKey:
        """Return the version of an RSA key that a URL names, or else the current version.

        Raises `NotFound` if the key does not exist, and `PlatformError` if it is not an RSA key.
        """

    async def sign(self, key: SigningKey, digest: bytes) -> bytes:
        """Return the RS256 signature of a SHA-256 digest."""


class ServiceTags(Protocol):
    """Read address ranges by service tag (platform.md#service-tag-api)."""

    async def get_list(self) -> ServiceTagList:
        """Return Microsoft's current list of service tags."""


class ResourceWriter(Protocol):
    """Write any Azure resource through Azure Resource Manager (platform.md#firewall-resources)."""

    async def put(
        self,
        resource_id: str,
        api_version: str,
        body: Mapping[str, object],
        *,
        etag: str | None,
    ) -> None:
        """Replace a resource if its ETag matches (`*` matches any), or create it if `etag` is None.

        Raises `Conflict` if the ETag does not match, `AlreadyExists` if the resource to create
        exists, and `NotFound` if its parent does not exist. The change may become visible later.
        """

    async def patch(
        self,
        resource_id: str,
        api_version: str,
        body: Mapping[str, object],
        *,
        etag: str | None = None,
    ) -> None:
        """Change properties of a resource if its ETag matches, or in any case if `etag` is None.

        Raises `Conflict` if the ETag does not match, and `NotFound` if the resource does not exist.
        The change may become visible later.
        """

    async def delete(self, resource_id: str, api_version: str) -> None:
        """Delete a resource; do nothing if it does not exist."""

    async def restart(self, resource_id: str, api_version: str) -> None:
        """Restart the program that a resource runs, such as an app.

        Raises `NotFound` if the resource does not exist.
        """


class ResourceReader(Protocol):
    """Read any Azure resource through Azure Resource Manager (platform.md#firewall-resources)."""

    async def list(self, resource_type: str, api_version: str) -> list[Mapping[str, object]]:
        """Return every resource of a type, such as `Microsoft.Network/networkSecurityGroups`.

        Reads all configured subscriptions.
        """

    async def get(
        self, resource_id: str, api_version: str, suffix: str = ""
    ) -> Mapping[str, object]:
        """Return a resource or a sub-resource such as `/config/web`.

        Raises `NotFound` if it does not exist.
        """

    async def list_children(
        self, resource_id: str, collection: str, api_version: str
    ) -> builtins.list[Mapping[str, object]]:
        """Return all items of a collection of a resource, such as `ruleCollectionGroups`.

        Raises `NotFound` if the resource does not exist.
        """


class ResourceSecrets(Protocol):
    """Read values of Azure resources that a `ResourceReader` omits because they are secret."""

    async def read(self, resource_id: str, action: str, api_version: str) -> Mapping[str, object]:
        """Return the response of an action such as `listSecrets` or `listValue`.

        Raises `NotFound` if the resource does not exist.
        """


class PolicyRestrictions(Protocol):
    """Ask Azure Policy, before a write, whether it would deny the write.

    See platform.md#azure-policy.
    """

    async def find_denying_assignments(
        self, resource_id: str, content: Mapping[str, object], api_version: str
    ) -> Sequence[str]:
        """Return the ids of the policy assignments that deny a resource with this content.

        `content` has the type of the resource, or of a child of it. Raises `NotFound` if the
        resource does not exist, and `PlatformError` if Azure does not check this type.
        """


class PagedResourceReader(ResourceReader, Protocol):
    """A `ResourceReader` whose lists can be read in pages.

    A page with an expired cursor raises `NotFound`, or `PlatformError` with status 400 or 410.
    """

    async def list_page(
        self, resource_type: str, api_version: str, cursor: str = ""
    ) -> ResultPage[Mapping[str, object]]:
        """Return a page of the result of `list`, with one request."""

    async def read_children_page(
        self, resource_id: str, collection: str, api_version: str, cursor: str = ""
    ) -> ResultPage[Mapping[str, object]]:
        """Return a page of the result of `list_children`, with one request.

        Raises `NotFound` if the resource does not exist.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class TaggedResource:
    """A resource with the ETag from the response's header. The document may contain a secret."""

    document: Mapping[str, object] = field(repr=False)
    etag: str


class TaggedResourceReader(ResourceReader, Protocol):
    """A `ResourceReader` that also returns the ETag of a resource, and resources that are text."""

    async def get_text(self, resource_id: str, api_version: str) -> str:
        """Return a resource that is text, such as a runbook's `/content`.

        Raises `NotFound` if it does not exist.
        """

    async def get_tagged_resource(
        self, resource_id: str, api_version: str, *, query: Mapping[str, str] | None = None
    ) -> TaggedResource:
        """Return a resource with the ETag in the response's header.

        Raises `NotFound` if it does not exist.
        """
