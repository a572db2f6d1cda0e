"""Read and write secrets and environment variables of Container Apps as callers.

Azure has no ETag for an app, so its texts are compared before a write and after it. If a secret
refers to Key Vault, the vault's secret is the caller. See platform.md#container-apps.
"""

from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import aclosing
from datetime import timedelta
from typing import override

from shared.callers.named_values import build_contents, get_resource_id, get_value_name
from shared.callers.search import (
    SearchedCallers,
    UnreadableCallers,
    find_callers_in_text,
    get_id,
    read_remaining_places_ahead,
)
from shared.callers.secret_rights import SecretRights, list_readers
from shared.domain.callers.caller import Caller, CallerContent
from shared.domain.callers.container_app import (
    REVISION,
    SECRET,
    TEMPLATE,
    ContainerApp,
    describe_place,
)
from shared.domain.callers.url_secret import find_secret_uri, parse_secret_uri
from shared.domain.definitions.json_values import mapping_at, objects_at, text_at
from shared.domain.environment import Environment
from shared.domain.keys.secret_access import SecretReader
from shared.domain.permissions import RequiredPermissions
from shared.errors import Conflict, NotFound, PlatformError, TransientError
from shared.ports import Keys, ResourceReader, ResourceSecrets, ResourceWriter

#: Granted by infra/modules/caller-group.bicep.
_NEEDS = RequiredPermissions(
    role="container apps",
    role_purpose="Finds and replaces trigger URLs in secrets and environment variables "
    "of container apps. Allows writing whole apps, and restarts them.",
    fix="Add its resource group to CMK_CALLER_RESOURCE_GROUP_IDS and deploy again.",
    resource_type="Microsoft.App/containerApps",
    api_version="2025-07-01",
    actions=(
        "Microsoft.App/containerApps/read",
        "Microsoft.App/containerApps/write",
        "Microsoft.App/containerApps/listSecrets/action",
        "Microsoft.App/containerApps/revisions/read",
        "Microsoft.App/containerApps/revisions/restart/action",
    ),
)
_VERSION = _NEEDS.api_version
_OF_REVISION = (
    "The app may run several revisions, and each keeps its variables. Deploy a revision with the "
    "copy's URL, and deactivate this one."
)
_ELSEWHERE = (
    "The URL is neither in a secret nor in an environment variable. Change it where the app is "
    "deployed from."
)


_NO_REFERENCE = "Only a secret of the app can refer to Key Vault."


class ContainerAppCallers(SearchedCallers):
    """The caller kind of secrets and environment variables of Container Apps.

    A caller's address is `app's resource id|place`.
    """

    kind = "container_app"
    is_json = False
    #: A write starts a revision, or restarts the active ones, so no old value remains.
    old_value_lifetime = timedelta(0)
    required_permissions = _NEEDS

    def __init__(
        self,
        resources: ResourceReader,
        resource_secrets: ResourceSecrets,
        resource_writer: ResourceWriter,
        keys: Keys,
    ) -> None:
        self._keys = keys
        self._reader = resources
        self._secrets = resource_secrets
        self._writer = resource_writer

    @override
    async def find_callers(
        self, environments: Sequence[Environment], unreadable: UnreadableCallers
    ) -> AsyncGenerator[Caller]:
        found, locks = await unreadable.list_resources_with_locks(
            self._reader, _NEEDS.resource_type, _VERSION, "container apps"
        )
        readings = read_remaining_places_ahead(
            unreadable.search, found, get_id, self._read_container_app
        )
        async with aclosing(readings):
            async for resource, reading in readings:
                try:
                    app = await reading
                except NotFound:
                    continue  # deleted after it was listed
                except (Conflict, PlatformError) as err:
                    unreadable.record_place(f"secrets of the {_format_app_label(resource)}", err)
                    app = ContainerApp(resource=resource, secrets=[], revisions=[])
                locked = locks.explain_lock_removal(get_id(resource))
                for name, text in app.values.items():
                    for caller in find_callers_in_text(text, _build_caller(resource, name, locked)):
                        yield caller

    async def read(self, caller: Caller) -> CallerContent:
        try:
            return (await self.read_all([caller]))[caller.address]
        except KeyError:
            raise NotFound(f"The {caller.label} no longer exists") from None

    async def write(self, caller: Caller, value: CallerContent) -> None:
        await self.write_all([(caller, value)])

    async def read_all(self, callers: Sequence[Caller]) -> Mapping[str, CallerContent]:
        """Return the texts of those places of one app that exist, by address.

        Their ETag is a digest of all places of the app.
        """
        try:
            app = await self._get_app(get_resource_id(callers))
        except NotFound:
            return {}
        return build_contents(app.values, callers)

    async def write_all(self, values: Sequence[tuple[Caller, CallerContent]]) -> None:
        """Replace the texts of places of one container app, whose containers then read them.

        If secrets have been written before, the containers restart again, because an earlier
        invocation may not have restarted them. Raises `TransientError` while Azure applies a
        change, `Conflict` if a place has changed since the read or other texts are read back, and
        `NotFound` if the container app does not exist.
        """
        callers = [caller for caller, _ in values]
        app_id, label = get_resource_id(callers), callers[0].label
        before = await self._read_app_when_ready(app_id, label)
        texts = {get_value_name(caller): value.text for caller, value in values}
        wanted = before.values | texts
        if wanted != before.values:
            current = build_contents(before.values, callers)
            for caller, value in values:
                now = current.get(caller.address)
                if now is None or value.etag not in {"", now.etag}:
                    raise Conflict(f"The app of the {label} was changed")
            identities = await self._find_reading_identities(before, texts)
            change = before.build_patch_body(texts, identities)
            await self._writer.patch(app_id, _VERSION, change)
            if (await self._read_app_when_ready(app_id, label)).values != wanted:
                raise Conflict(f"The app of the {label} was changed by somebody else")
        if any(name.startswith(SECRET) for name in texts) and not before.changes_variable(texts):
            for revision in await self._list_active_revisions(app_id):
                path = f"{app_id}/revisions/{text_at(revision, 'name')}"
                await self._writer.restart(path, _VERSION)

    async def find_secret_obstacles(self, secrets: Mapping[str, str]) -> Mapping[str, str]:
        """Return, by address, why a container app may be unable to read its secret.

        The reason is "" if the app can read it. Only a secret of the app can refer to Key Vault.
        """
        rights = SecretRights(self._keys)
        readers: dict[str, Sequence[SecretReader]] = {}
        found = {}
        for address, secret in secrets.items():
            app_id, _, place = address.partition("|")
            if not place.startswith(SECRET):
                found[address] = _NO_REFERENCE
                continue
            try:
                if app_id not in readers:
                    app = await self._reader.get(app_id, _VERSION)
                    readers[app_id] = list_readers(app, _format_app_label(app))
                reader = await rights.find_reader(secret, readers[app_id])
                found[address] = await rights.find_secret_obstacle(secret, [reader])
            except (NotFound, PlatformError) as err:
                found[address] = f"The app cannot check who may read the secret: {err}"
        return found

    async def _find_reading_identities(
        self, app: ContainerApp, texts: Mapping[str, str]
    ) -> Mapping[str, str]:
        """Return, by place, the id of the identity that reads the secret.

        "" is the system-assigned identity.
        """
        rights, readers = SecretRights(self._keys), list_readers(app.resource, "app")
        return {
            place: (await rights.find_reader(parse_secret_uri(uri), readers)).resource_id
            for place, text in texts.items()
            if (uri := find_secret_uri(text))
        }

    async def find_unresolved_references(self, addresses: Collection[str]) -> Mapping[str, str]:
        """Return nothing: Azure rejects a write if the app cannot read the secret."""
        del addresses
        return {}

    async def _read_app_when_ready(self, app_id: str, label: str) -> ContainerApp:
        app = await self._get_app(app_id)
        if text_at(mapping_at(app.resource, "properties"), "provisioningState") == "InProgress":
            text = f"Azure is applying a change to the app of the {label}"
            raise TransientError(text, retry_after=timedelta(seconds=15))
        return app

    async def _get_app(self, app_id: str) -> ContainerApp:
        return await self._read_container_app(await self._reader.get(app_id, _VERSION))

    async def _read_container_app(self, resource: Mapping[str, object]) -> ContainerApp:
        """Return an app with its secrets and revisions, which a list of apps omits."""
        app_id = get_id(resource)
        configuration = mapping_at(resource, "properties", "configuration")
        secrets = objects_at(configuration, "secrets")
        if not all(text_at(secret, "keyVaultUrl") for secret in secrets):
            found = await self._secrets.read(app_id, "listSecrets", _VERSION)
            secrets = objects_at(found, "value")
        mode = text_at(configuration, "activeRevisionsMode") or "Single"
        return ContainerApp(
            resource=resource,
            secrets=secrets,
            revisions=[] if mode == "Single" else await self._list_active_revisions(app_id),
        )

    async def _list_active_revisions(self, app_id: str) -> list[Mapping[str, object]]:
        found = await self._reader.list_children(app_id, "revisions", _VERSION)
        return [one for one in found if mapping_at(one, "properties").get("active")]


def _format_app_label(resource: Mapping[str, object]) -> str:
    return f"container app {text_at(resource, 'name')}"


def _build_caller(resource: Mapping[str, object], name: str, locked: str) -> Caller:
    reason = _OF_REVISION if name.startswith(REVISION) else locked
    return Caller(
        kind=ContainerAppCallers.kind,
        address=f"{get_id(resource)}|{name}",
        label=f"{describe_place(name)} of the {_format_app_label(resource)}",
        resource_id=f"{ContainerAppCallers.kind}/{get_id(resource)}".lower(),
        manual_reason=_ELSEWHERE if name == TEMPLATE else reason,
    )
