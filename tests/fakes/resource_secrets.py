"""Fake of the port `ResourceSecrets`: values of Azure resources that only an action returns."""

from collections.abc import Mapping

from shared.domain.definitions.json_values import mapping_at, objects_at
from shared.errors import NotFound
from tests.fakes.world import WorldFake


class FakeResourceSecrets(WorldFake):
    async def read(self, resource_id: str, action: str, api_version: str) -> Mapping[str, object]:
        resource = self._world.resources.get(resource_id.lower())
        if resource is None:
            raise NotFound(f"No resource {resource_id}")
        match action:
            case "getFullUrl":
                properties = mapping_at(resource, "properties")
                held = "deliveryWithResourceIdentity"  # avoid-ok: API name
                return dict(
                    mapping_at(
                        mapping_at(properties, held) or properties, "destination", "properties"
                    )
                )
            case "listReferences":
                included = f'fragment-id="{resource["name"]}"'
                users = [one for one in self._world.resources.values() if included in str(one)]
                return {"value": users}
            case "listValue":
                return {"value": mapping_at(resource, "properties")["value"]}
        assert action == "listSecrets", action
        return {"value": objects_at(mapping_at(resource, "properties", "configuration"), "secrets")}
