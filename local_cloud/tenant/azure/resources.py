"""The resources Azure Resource Manager knows, as the documents it would answer with.

One store for every resource type: what is a child in the URL (`…/sites/a/config/appsettings`) is a
document of its own, as it is for Resource Manager. Ids compare without regard to case, and keep
the spelling they were first given.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

type JsonObject = dict[str, Any]

#: Types below others that Resource Manager lists among the resources of a subscription.
_TRACKED_CHILDREN = ("microsoft.web/sites/slots",)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceScope:
    """Where a list looks: a subscription, or one resource group of it."""

    subscription: str
    group: str | None = None

    @property
    def prefix(self) -> str:
        """The lower-case start of every id in the scope, with its last slash."""
        prefix = f"/subscriptions/{self.subscription}/"
        if self.group is not None:
            prefix += f"resourceGroups/{self.group}/"
        return prefix.lower()


@dataclass(slots=True)
class ResourceStore:
    """Documents by type and id; a document holds at least `id`, `name` and `type`."""

    _by_type: defaultdict[str, dict[str, JsonObject]] = field(
        default_factory=lambda: defaultdict(dict)
    )

    def put(self, document: JsonObject) -> None:
        """Add the document, or replace the one with its id."""
        self._by_type[document["type"].lower()][document["id"].lower()] = document

    def find(self, resource_type: str, resource_id: str) -> JsonObject | None:
        """Return the document with this type and id, None when there is none."""
        return self._by_type[resource_type.lower()].get(resource_id.lower())

    def remove(self, resource_type: str, resource_id: str) -> bool:
        """Remove a document; say whether it was there."""
        return self._by_type[resource_type.lower()].pop(resource_id.lower(), None) is not None

    def within(self, resource_type: str, scope: ResourceScope) -> list[JsonObject]:
        """Return the documents of one type in a scope, in the order they were added."""
        documents = self._by_type[resource_type.lower()]
        return [document for key, document in documents.items() if key.startswith(scope.prefix)]

    def of_type(self, resource_type: str) -> list[JsonObject]:
        """Return every document of one type."""
        return list(self._by_type[resource_type.lower()].values())

    def has_provider(self, namespace: str, scope: ResourceScope) -> bool:
        """Say whether a scope's subscription has any resource of a provider."""
        everywhere = ResourceScope(subscription=scope.subscription)
        start = f"{namespace.lower()}/"
        kinds = [kind for kind in self._by_type if kind.startswith(start)]
        return any(self.within(kind, everywhere) for kind in kinds)

    def top_level(self, scope: ResourceScope) -> list[JsonObject]:
        """Return what `GET /resources` lists: slots, no children such as a site's configuration."""
        top_level_types = [
            kind for kind in self._by_type if kind.count("/") == 1 or kind in _TRACKED_CHILDREN
        ]
        return [document for kind in top_level_types for document in self.within(kind, scope)]


def resource_id(scope: ResourceScope, resource_type: str, *names: str) -> str:
    """Build an ARM id.

    `("Microsoft.Web/sites/slots", "shop", "staging")` gives
    `/subscriptions/…/resourceGroups/…/providers/Microsoft.Web/sites/shop/slots/staging`.
    """
    namespace, *kinds = resource_type.split("/")
    path = "/".join(f"{kind}/{name}" for kind, name in zip(kinds, names, strict=True))
    return (
        f"/subscriptions/{scope.subscription}/resourceGroups/{scope.group}"
        f"/providers/{namespace}/{path}"
    )
