"""Define the test data of a caller kind or firewall kind."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Concatenate

from local_cloud.tenant.core.tenant import Tenant
from shared.domain.network.service_tags import ServiceTagList
from tests.fakes.builder import Builder

if TYPE_CHECKING:
    from tests.contract.adapter_world import Adapters

type Json = dict[str, Any]

#: The host that the firewalls of all test data protect.
HOST = "api.contoso.example"


@dataclass(frozen=True, slots=True, kw_only=True)
class ManyPlaces:
    """Many places of a caller kind, and the number of requests that a search of them needs."""

    #: Adds them to the seed of the adapters' tests.
    add: Callable[[Json], None]
    #: Requests of a search: one for each list, parent and set of values.
    requests: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchRequests:
    """The numbers of requests that a search for the callers of a kind needs."""

    #: On the tenant of the adapters' tests.
    standard: int
    #: On a tenant without places of the kind.
    without_places: int
    #: None: the kind searches environments, and not places outside of them.
    many: ManyPlaces | None = None


#: A search of a Dataverse table, in the one environment that has Dataverse.
IN_ROWS = SearchRequests(standard=1, without_places=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class WirePlaces:
    """Places of a caller kind in the local tenant, for tests of all kinds over TLS."""

    #: Settings that name the places, if the app searches them only then.
    settings: Json = field(default_factory=dict)
    #: Sections of the seed of the adapters' tests, for such places.
    standard_seed: Json = field(default_factory=dict)
    #: Adds a place of each sort that calls a URL to a seed.
    add: Callable[[Json, str], None]
    #: Returns the content of each of these places in a local tenant, by name.
    read: Callable[[Tenant], Mapping[str, object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerCase:
    """The test data of a caller kind: a caller on the fakes, and one in the local tenant."""

    #: Lets one resource of the builder's world call some flows, and somebody use it at each beat.
    add: Callable[Concatenate[Builder, ...], object]
    #: Deletes the place again.
    remove: Callable[[Builder], None]
    #: Lets a place of the tenant behind the adapters call its HTTP flow, of this trigger URL.
    add_on_the_wire: Callable[["Adapters", str], Awaitable[None]]
    #: Whether only a person can point such a place at another flow.
    is_by_hand: bool
    requests: SearchRequests
    #: None: the tests of all callers over TLS have such places anyway.
    wire: WirePlaces | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FirewallCase:
    """The test data of a firewall kind: a firewall before `HOST`."""

    #: Name of the firewall.
    name: str
    #: The command of its fix, as its reference page names it (learn.microsoft.com/cli/azure).
    command: str
    #: What the fake of the resource reader holds by path, where these sources are let in.
    resources: Callable[[Sequence[str]], Mapping[str, Json]]
    #: The same as a part of the local tenant's seed.
    seed: Callable[[Sequence[str]], Json]
    #: Whether sources are service tags; else they are the IPv4 prefixes of these.
    takes_service_tags: bool = True

    def build_sources(self, tags: Sequence[str], listed: ServiceTagList) -> list[str]:
        """Return the sources of firewall rules that allow some service tags: the tags, or their
        IPv4 prefixes.
        """
        if self.takes_service_tags:
            return [*tags]
        found = [entry for tag in tags if (entry := listed.find(tag))]
        return [one for entry in found for one in entry.prefixes if ":" not in one]


#: The subscription of the Azure resources in the local tenant.
SUBSCRIPTION = "11111111-2222-3333-4444-555555555555"
_GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg"


def build_resource(resource_type: str, *names: str, properties: Json, **more: object) -> Json:
    provider, *kinds = resource_type.split("/")
    path = "/".join(f"{kind}/{name}" for kind, name in zip(kinds, names, strict=True))
    return {
        "id": f"{_GROUP}/providers/{provider}/{path}",
        "name": names[-1],
        "type": resource_type,
        "properties": properties,
        **more,
    }


def build_resources_case(
    name: str, command: str, build: Callable[[Sequence[str]], Sequence[Json]]
) -> FirewallCase:
    """Return the test data of a firewall kind whose resources are equal on the fakes and in the
    local tenant.
    """
    return FirewallCase(
        name=name,
        command=command,
        resources=lambda sources: {one["id"]: one for one in build(sources)},
        seed=lambda sources: {"resources": [*build(sources)]},
        takes_service_tags=False,
    )


def add_resources(seed: Json, *resources: Json) -> None:
    seed["azure"].setdefault("resources", []).extend(resources)


def remove_resources(provider: str) -> Callable[[Builder], None]:
    """Return a function that deletes the resources of a provider from the builder's world."""

    def remove(build: Builder) -> None:
        resources = build.world.resources
        for path in [one for one in resources if f"/providers/{provider.lower()}/" in one]:
            del resources[path]

    return remove


def add_nothing(seed: Json) -> None:
    """The seed of the adapters' tests already has places of this kind."""


async def add_no_caller(app: "Adapters", url: str) -> None:
    """The tenant of the adapters' tests already has such a caller."""
