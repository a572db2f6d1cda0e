"""Read and write API Management as callers.

A caller is the URL of a backend or API, a named value, a policy or a policy fragment. See
platform.md#api-management.
"""

from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import aclosing
from datetime import timedelta
from typing import override

from shared.callers.api_management_places import (
    API_VERSION,
    NamedValues,
    Place,
    Places,
    ServiceUrls,
    describe_place,
)
from shared.callers.api_management_policies import Policies
from shared.callers.search import (
    SearchedCallers,
    UnreadableCallers,
    compute_max_url_length,
    find_callers_in_text,
    get_id,
)
from shared.callers.secret_rights import SecretRights, list_readers
from shared.domain.callers.caller import Caller, CallerContent
from shared.domain.environment import Environment
from shared.domain.keys.secret_access import SecretReader
from shared.domain.permissions import RequiredPermissions
from shared.errors import Conflict, NotFound, PlatformError
from shared.ports import Keys, ResourceSecrets, ResourceWriter, TaggedResourceReader
from shared.read_only_locks import ReadOnlyLocks

_SERVICES = "Microsoft.ApiManagement/service"
#: Status of a named value whose secret was read (platform.md#api-management).
_READ = "Success"
_NO_REFERENCE = "Only a named value can refer to a secret."


class ApiManagementCallers(SearchedCallers):
    """The caller kind of API Management. A caller's address is a resource id."""

    kind = "api_management"
    is_json = False
    #: Gateways load a change within a minute, which the period without calls covers.
    old_value_lifetime = timedelta(0)
    #: Granted by infra/modules/caller-group.bicep.
    required_permissions = RequiredPermissions(
        role="API Management",
        role_purpose="Finds and replaces trigger URLs in backends, APIs, named values "
        "and policies of API Management. Deletes nothing.",
        fix="Add its resource group to CMK_CALLER_RESOURCE_GROUP_IDS and deploy again.",
        resource_type=_SERVICES,
        api_version=API_VERSION,
        actions=(
            f"{_SERVICES}/read",
            f"{_SERVICES}/apis/operations/policies/read",
            f"{_SERVICES}/apis/operations/policies/write",
            f"{_SERVICES}/apis/operations/read",
            f"{_SERVICES}/apis/policies/read",
            f"{_SERVICES}/apis/policies/write",
            f"{_SERVICES}/apis/read",
            f"{_SERVICES}/apis/write",
            f"{_SERVICES}/backends/read",
            f"{_SERVICES}/backends/write",
            f"{_SERVICES}/namedValues/listValue/action",
            f"{_SERVICES}/namedValues/read",
            f"{_SERVICES}/namedValues/write",
            f"{_SERVICES}/policies/read",
            f"{_SERVICES}/policies/write",
            f"{_SERVICES}/policyFragments/listReferences/action",
            f"{_SERVICES}/policyFragments/read",
            f"{_SERVICES}/policyFragments/write",
            f"{_SERVICES}/products/policies/read",
            f"{_SERVICES}/products/policies/write",
            f"{_SERVICES}/products/read",
        ),
    )

    def __init__(
        self,
        tagged_resources: TaggedResourceReader,
        resource_secrets: ResourceSecrets,
        resource_writer: ResourceWriter,
        keys: Keys,
    ) -> None:
        self._reader = tagged_resources
        self._keys = keys
        urls = ServiceUrls(tagged_resources, resource_writer)
        named_values = NamedValues(tagged_resources, resource_secrets, resource_writer, keys)
        self._named_values = named_values
        policies = Policies(tagged_resources, resource_secrets, resource_writer)
        self._places: Mapping[str, Places] = {
            "apis": urls,
            "backends": urls,
            "namedValues": named_values,
            "policies": policies,
            "policyFragments": policies,
        }

    @override
    async def find_callers(
        self, environments: Sequence[Environment], unreadable: UnreadableCallers
    ) -> AsyncGenerator[Caller]:
        parents, locks = await self._list_parents(unreadable)
        readings = unreadable.read_readable_places(
            parents, get_id, self._read_places, lambda parent: describe_place(get_id(parent))
        )
        async with aclosing(readings):
            async for _, places in readings:
                for place in places:
                    if place.error:
                        unreadable.record_place(place.label, place.error)
                    reason = locks.explain_lock_removal(place.resource_id)
                    for caller in find_callers_in_text(place.text, _build_caller(place, reason)):
                        yield caller

    async def read(self, caller: Caller) -> CallerContent:
        return await self._get_places_of_kind(caller).read(caller.address)

    async def write(self, caller: Caller, value: CallerContent) -> None:
        now = await self.read(caller)
        if now.text == value.text and value.text_format in (None, now.text_format):
            return
        if value.etag not in {"", now.etag}:
            raise Conflict(f"The {caller.label} was changed")
        await self._get_places_of_kind(caller).write(caller.address, now, value)

    async def find_secret_obstacles(self, secrets: Mapping[str, str]) -> Mapping[str, str]:
        """Return, by address, why a service may be unable to read its secret.

        The reason is "" if the service can read it. Only a named value can refer to a secret.
        """
        rights = SecretRights(self._keys)
        readers: dict[str, Sequence[SecretReader]] = {}
        found = {}
        for address, secret in secrets.items():
            service_id, is_named_value, _ = address.partition("/namedValues/")
            if not is_named_value:
                found[address] = _NO_REFERENCE
                continue
            try:
                if service_id not in readers:
                    service = await self._reader.get(service_id, API_VERSION)
                    readers[service_id] = list_readers(service, describe_place(service_id))
                reader = await rights.find_reader(secret, readers[service_id])
                found[address] = await rights.find_secret_obstacle(secret, [reader])
            except (NotFound, PlatformError) as err:
                found[address] = f"The app cannot check who may read the secret: {err}"
        return found

    async def find_unresolved_references(self, addresses: Collection[str]) -> Mapping[str, str]:
        found = {}
        for address in addresses:
            try:
                status = await self._named_values.read_status(address)
            except (NotFound, PlatformError) as err:
                status = str(err)
            if status != _READ:
                found[address] = status
        return found

    def _get_places_of_kind(self, caller: Caller) -> Places:
        return self._places[caller.address.split("/")[-2]]

    async def _list_parents(
        self, unreadable: UnreadableCallers
    ) -> tuple[list[Mapping[str, object]], ReadOnlyLocks]:
        services, locks = await unreadable.list_resources_with_locks(
            self._reader, _SERVICES, API_VERSION, "API Management services"
        )
        parents: list[Mapping[str, object]] = []
        for service in services:
            try:
                for kind in ("apis", "products"):
                    parents += await self._reader.list_children(get_id(service), kind, API_VERSION)
            except NotFound:
                continue
            except PlatformError as err:
                unreadable.record_place(
                    f"{describe_place(get_id(service))}: APIs and products", err
                )
            parents.append(service)
        return parents, locks

    async def _read_places(self, parent: Mapping[str, object]) -> Sequence[Place]:
        found = [await places.find(parent) for places in dict.fromkeys(self._places.values())]
        return [place for some in found for place in some]


def _build_caller(place: Place, manual_reason: str) -> Caller:
    return Caller(
        kind=ApiManagementCallers.kind,
        address=place.resource_id,
        label=place.label,
        resource_id=f"{ApiManagementCallers.kind}/{place.resource_id}".lower(),
        manual_reason=manual_reason,
        max_url_length=(
            None
            if place.longest_text is None
            else compute_max_url_length(place.text, place.longest_text)
        ),
    )
