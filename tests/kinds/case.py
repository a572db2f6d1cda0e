"""What a kind's test data tell: how to set up one place, or one firewall, of it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.twins.builder import Builder
from tests.twins.tenant import TwinFlow

if TYPE_CHECKING:
    from tests.contract.adapter_world import Adapters

type Json = dict[str, Any]

#: What the firewalls of all cases stand before.
HOST = "api.contoso.example"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerCase:
    """One caller of a kind, on the twins and on the wire."""

    #: Lets a place of the builder's world call a flow, and somebody use it at each beat.
    add: Callable[[Builder, TwinFlow], object]
    #: Deletes the place again.
    remove: Callable[[Builder], None]
    #: Lets a place of the tenant behind the adapters call its HTTP flow, of this trigger URL.
    add_on_the_wire: Callable[["Adapters", str], Awaitable[None]]
    #: Whether only a person can point such a place at another flow.
    is_by_hand: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FirewallCase:
    """One firewall of a kind before `HOST`, as Azure Resource Manager answers."""

    #: Name of the firewall.
    name: str
    #: What the twin of the resource reader holds by path, where these service tags are let in.
    resources: Callable[[Sequence[str]], Mapping[str, Json]]
    #: The same as a part of the local tenant's seed.
    seed: Callable[[Sequence[str]], Json]


async def seeded(app: "Adapters", url: str) -> None:
    """Add nothing: the tenant of the adapters' tests holds such a place already."""
