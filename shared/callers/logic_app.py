"""Read and write Logic Apps (Consumption) as callers: URLs in definitions and parameters.

Azure replaces the whole resource and has no ETag (platform.md#logic-apps). So a write compares
before and after.
"""

import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import timedelta

from shared.callers.search import UnreadableCallers, callers_in
from shared.domain.callers.caller import Caller, CallerContent
from shared.domain.callers.search_position import CallerSearchPosition
from shared.domain.callers.unchanged_content import value_digest
from shared.domain.definitions.json_values import as_mapping, mapping_at, text_at
from shared.domain.environment import Environment
from shared.domain.permissions import RequiredPermissions
from shared.errors import Conflict, PlatformError
from shared.ports import ResourceReader, ResourceWriter

_TYPE = "Microsoft.Logic/workflows"
_VERSION = "2019-05-01"
#: Granted by infra/modules/caller-group.bicep.
_NEEDS = RequiredPermissions(
    fix="Add its resource group to CMK_CALLER_RESOURCE_GROUP_IDS and deploy again. Check secure "
    "parameters yourself: Azure never returns their values.",
    resource_type=_TYPE,
    api_version=_VERSION,
    actions=("Microsoft.Logic/workflows/read", "Microsoft.Logic/workflows/write"),
)
_SECURE_TYPES = frozenset({"securestring", "secureobject"})
_HAS_SECURE_PARAMETERS = (
    "It has secure parameters, whose values Azure does not return. A write by the app would "
    "remove them. Change the URL where the logic app is deployed from."
)
#: The members of a resource and of its properties that Azure sets.
_SET_BY_AZURE = frozenset({"id", "name", "type", "etag", "systemData"})
_PROPERTIES_SET_BY_AZURE = frozenset(
    {"accessEndpoint", "changedTime", "createdTime", "provisioningState", "sku", "version"}
)


class LogicAppCallers:
    """Implements `CallerKind`.

    Addresses are resource ids. The content is the resource without the members that Azure sets.
    """

    kind = "logic_app"
    is_json = True
    #: A run in progress keeps its definition; the period without calls covers its calls.
    old_value_lifetime = timedelta(0)
    is_environment_only = False
    is_assessed_separately = False
    required_permissions = _NEEDS

    def __init__(self, resources: ResourceReader, resource_writer: ResourceWriter) -> None:
        """`resources` reads the configured subscriptions."""
        self._reader = resources
        self._writer = resource_writer

    async def find(
        self,
        environments: Sequence[Environment],  # noqa: ARG002 -- logic apps are outside environments
        search: CallerSearchPosition | None = None,
    ) -> AsyncIterator[Caller]:
        """Yield every logic app with a trigger URL. A list returns whole definitions."""
        search = search or CallerSearchPosition()
        unreadable = UnreadableCallers(search, self.required_permissions.fix)
        try:
            logic_apps = await self._reader.list(_TYPE, _VERSION)
        except PlatformError as err:
            unreadable.add("logic apps", err)
            logic_apps = []
        for logic_app in search.remaining(logic_apps, _read_id):
            for parameter in _find_secure_parameters(logic_app):
                name = text_at(logic_app, "name")
                unreadable.note(f"secure parameter {parameter} of the logic app {name}")
            for caller in callers_in(_format_content(logic_app), _build_caller(logic_app)):
                yield caller
        unreadable.raise_if_any()

    async def read(self, caller: Caller) -> CallerContent:
        """Return the resource, with a digest of it as its ETag. Raises `NotFound`."""
        logic_app = await self._reader.get(caller.address, _VERSION)
        text = _format_content(logic_app)
        return CallerContent(text=text, etag=_build_etag(logic_app))

    async def write(self, caller: Caller, value: CallerContent) -> None:
        """Replace the resource if it is unchanged since the read, and read it back.

        Raises `Conflict` and `NotFound`. After a `Conflict` from the second read, the app's or the
        other writer's change may be lost: read again.
        """
        before = await self._reader.get(caller.address, _VERSION)
        if _format_content(before) == value.text:
            return
        if value.etag not in {"", _build_etag(before)}:
            raise Conflict(f"The {caller.label} was changed")
        wanted = as_mapping(_order_like(before, json.loads(value.text)))
        await self._writer.put(caller.address, _VERSION, wanted, etag="*")
        after = await self._reader.get(caller.address, _VERSION)
        if _read_runtime_parts(after) != _read_runtime_parts(wanted):
            raise Conflict(f"The {caller.label} was changed by somebody else")


def _read_id(logic_app: Mapping[str, object]) -> str:
    return text_at(logic_app, "id") or ""


def _build_caller(logic_app: Mapping[str, object]) -> Caller:
    resource_id = _read_id(logic_app)
    has_secure_parameters = any(_find_secure_parameters(logic_app))
    return Caller(
        kind=LogicAppCallers.kind,
        address=resource_id,
        label=f"logic app {text_at(logic_app, 'name')}",
        resource_id=f"{LogicAppCallers.kind}/{resource_id}".lower(),
        manual_reason=_HAS_SECURE_PARAMETERS if has_secure_parameters else "",
    )


def _find_secure_parameters(logic_app: Mapping[str, object]) -> Iterator[str]:
    definition = mapping_at(mapping_at(logic_app, "properties"), "definition")
    for name, declared in mapping_at(definition, "parameters").items():
        if (text_at(as_mapping(declared), "type") or "").lower() in _SECURE_TYPES:
            yield name


def _format_content(logic_app: Mapping[str, object]) -> str:
    """Return what a write sends back, as JSON with sorted names: Azure may change the order."""
    content = {key: value for key, value in logic_app.items() if key not in _SET_BY_AZURE}
    content["properties"] = {
        key: value
        for key, value in mapping_at(logic_app, "properties").items()
        if key not in _PROPERTIES_SET_BY_AZURE
    }
    if identity := mapping_at(logic_app, "identity"):
        content["identity"] = _format_identity(identity)
    return json.dumps(content, sort_keys=True)


def _format_identity(identity: Mapping[str, object]) -> Mapping[str, object]:
    """Return the type and the assigned identities, without the ids that Azure sets."""
    assigned = mapping_at(identity, "userAssignedIdentities")
    chosen: dict[str, object] = {"type": identity.get("type")}
    return chosen | ({"userAssignedIdentities": {one: {} for one in assigned}} if assigned else {})


def _order_like(before: object, wanted: object) -> object:
    """Return `wanted` with the names of each object in the order that they have in `before`."""
    if isinstance(before, list) and isinstance(wanted, list) and len(before) == len(wanted):
        return [_order_like(*pair) for pair in zip(before, wanted, strict=True)]
    if not (isinstance(before, dict) and isinstance(wanted, dict)):
        return wanted
    names = dict.fromkeys((*before, *wanted))
    return {name: _order_like(before.get(name), wanted[name]) for name in names if name in wanted}


def _build_etag(logic_app: Mapping[str, object]) -> str:
    return value_digest(_format_content(logic_app))


def _read_runtime_parts(logic_app: Mapping[str, object]) -> tuple[object, object]:
    properties = mapping_at(logic_app, "properties")
    return properties.get("definition"), properties.get("parameters") or {}
