"""Fake of the port `ResourceWriter`, which writes the Azure resources that `FakeResourceReader`
reads.

A rule of a network security group can be written separately, and is shown in its group.
"""

from collections.abc import Mapping

from shared.domain.definitions.json_values import mapping_at
from shared.errors import AlreadyExists, Conflict, NotFound
from tests.fakes.container_secrets import require_readable_secrets, start_containers
from tests.fakes.event_grid import require_validated
from tests.fakes.hidden_values import merge_patch
from tests.fakes.named_values import store_named_value
from tests.fakes.world import World

_RULES = "/securityrules/"
#: What a PUT keeps, because Azure sets it.
_SET_BY_AZURE = ("id", "name", "type")


class FakeResourceWriter:
    def __init__(self, world: World) -> None:
        self._world = world
        self._writes = 0

    async def put(
        self,
        resource_id: str,
        api_version: str,
        body: Mapping[str, object],
        *,
        etag: str | None,
    ) -> None:
        there = self._find_resource(resource_id)
        if there is not None and etag is None:
            raise AlreadyExists(f"{resource_id} is there")
        if etag is not None and (there is None or etag not in ("*", there.get("etag", "W/0"))):
            raise Conflict(f"{resource_id} has changed")
        kept = {key: value for key, value in (there or {}).items() if key in _SET_BY_AZURE}
        with self._world.record_write(None, "write resource", resource_id):
            self._store_resource(resource_id, {**kept, **body})

    async def patch(
        self,
        resource_id: str,
        api_version: str,
        body: Mapping[str, object],
        *,
        etag: str | None = None,
    ) -> None:
        there = self._find_resource(resource_id)
        if there is None:
            raise NotFound(f"No resource {resource_id}")
        if etag not in (None, "*", there.get("etag", "W/0")):
            raise Conflict(f"{resource_id} has changed")
        if "/eventsubscriptions/" in resource_id.lower():
            require_validated(self._world, body)
            body = {"properties": body}
        require_readable_secrets(self._world, there, merge_patch(there, body))
        with self._world.record_write(None, "write resource", resource_id):
            self._store_resource(resource_id, merge_patch(there, body))
            if mapping_at(body, "properties", "template"):  # a new revision of a container app
                self._start_containers(resource_id)

    async def restart(self, resource_id: str, api_version: str) -> None:
        self._start_containers(resource_id.partition("/revisions/")[0])

    def _start_containers(self, app_id: str) -> None:
        app = self._find_resource(app_id)
        if app is None:
            raise NotFound(f"No resource {app_id}")
        start_containers(self._world, app_id.lower())

    async def delete(self, resource_id: str, api_version: str) -> None:
        group_id, is_rule, name = resource_id.lower().partition(_RULES)
        if is_rule:
            self._change_rules(group_id, name, None)
        else:
            self._world.resources.pop(resource_id.lower(), None)

    def _find_resource(self, resource_id: str) -> Mapping[str, object] | None:
        group_id, is_rule, name = resource_id.lower().partition(_RULES)
        if not is_rule:
            return self._world.resources.get(resource_id.lower())
        if group_id not in self._world.resources:
            raise NotFound(f"there is no group {group_id}")
        return next(
            (one for one in self._list_rules(group_id) if _get_rule_name(one) == name), None
        )

    def _store_resource(self, resource_id: str, document: Mapping[str, object]) -> None:
        if "/namedvalues/" in resource_id.lower():
            document = store_named_value(self._world, resource_id.lower(), document)
        group_id, is_rule, name = resource_id.lower().partition(_RULES)
        if is_rule:
            written = resource_id.rpartition("/")[2]
            self._change_rules(group_id, name, {**document, "name": written})
        else:
            self._writes += 1
            self._world.resources[resource_id.lower()] = {
                **document,
                "etag": f"W/{self._writes}",
            }

    def _list_rules(self, group_id: str) -> list[Mapping[str, object]]:
        listed = _require_object(self._world.resources[group_id].get("properties")).get(
            "securityRules"
        )
        return [_require_object(one) for one in listed] if isinstance(listed, list) else []

    def _change_rules(self, group_id: str, name: str, rule: Mapping[str, object] | None) -> None:
        group = self._world.resources[group_id]
        kept = [one for one in self._list_rules(group_id) if _get_rule_name(one) != name]
        rules = [*kept, rule] if rule else kept
        properties = {**_require_object(group.get("properties")), "securityRules": rules}
        self._writes += 1
        self._world.resources[group_id] = {
            **group,
            "properties": properties,
            "etag": f"W/{self._writes}",
        }


def _get_rule_name(rule: Mapping[str, object]) -> str:
    return str(rule.get("name")).lower()


def _require_object(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}
