"""Store the resources of Azure Resource Manager, in the format in which it returns them.

There is one store for all types. A child in a URL (`…/sites/a/config/appsettings`) is a separate
document. Ids are compared without case and keep their first spelling.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

type JsonObject = dict[str, Any]

#: Types below others that Resource Manager lists among the resources of a subscription.
_TRACKED_CHILDREN = ("microsoft.web/sites/slots",)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceScope:
    subscription: str
    group: str | None = None

    @property
    def prefix(self) -> str:
        """The lower-case text with which every id in the scope begins."""
        prefix = f"/subscriptions/{self.subscription}/"
        if self.group is not None:
            prefix += f"resourceGroups/{self.group}/"
        return prefix.lower()


@dataclass(slots=True)
class ResourceStore:
    """Stores documents by type and id. Each has at least `id`, `name` and `type`."""

    _by_type: defaultdict[str, dict[str, JsonObject]] = field(
        default_factory=lambda: defaultdict(dict)
    )

    def put(self, document: JsonObject) -> None:
        self._by_type[document["type"].lower()][document["id"].lower()] = document

    def find(self, resource_type: str, resource_id: str) -> JsonObject | None:
        return self._by_type[resource_type.lower()].get(resource_id.lower())

    def remove(self, resource_type: str, resource_id: str) -> bool:
        return self._by_type[resource_type.lower()].pop(resource_id.lower(), None) is not None

    def list_within(self, resource_type: str, scope: ResourceScope) -> list[JsonObject]:
        documents = self._by_type[resource_type.lower()]
        return [document for key, document in documents.items() if key.startswith(scope.prefix)]

    def list_of_type(self, resource_type: str) -> list[JsonObject]:
        return list(self._by_type[resource_type.lower()].values())

    def has_provider(self, namespace: str, scope: ResourceScope) -> bool:
        """Return whether a subscription contains resources of a provider."""
        everywhere = ResourceScope(subscription=scope.subscription)
        start = f"{namespace.lower()}/"
        kinds = [kind for kind in self._by_type if kind.startswith(start)]
        return any(self.list_within(kind, everywhere) for kind in kinds)

    def list_top_level(self, scope: ResourceScope) -> list[JsonObject]:
        """Return the resources that `GET /resources` lists: slots, but no other children."""
        top_level_types = [
            kind for kind in self._by_type if kind.count("/") == 1 or kind in _TRACKED_CHILDREN
        ]
        return [document for kind in top_level_types for document in self.list_within(kind, scope)]


def build_resource_id(scope: ResourceScope, resource_type: str, *names: str) -> str:
    """Return the id of a resource.

    `("Microsoft.Web/sites/slots", "shop", "staging")` becomes
    `/subscriptions/…/resourceGroups/…/providers/Microsoft.Web/sites/shop/slots/staging`.
    """
    namespace, *kinds = resource_type.split("/")
    path = "/".join(f"{kind}/{name}" for kind, name in zip(kinds, names, strict=True))
    return (
        f"/subscriptions/{scope.subscription}/resourceGroups/{scope.group}"
        f"/providers/{namespace}/{path}"
    )
