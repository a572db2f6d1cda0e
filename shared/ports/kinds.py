"""Kinds that are one file each: places that hold trigger URLs, and firewalls."""

from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, runtime_checkable

from shared.domain.callers.caller import Caller, CallerContent
from shared.domain.callers.search_position import CallerSearchPosition
from shared.domain.environment import Environment
from shared.domain.flow import Workflow
from shared.domain.network.firewall import Firewall
from shared.domain.network.firewall_fix import AddedEntries, FirewallFix, ListEntries, ListUpdate
from shared.domain.network.firewall_issue import FirewallIssue
from shared.domain.permissions import RequiredPermissions
from shared.ports.azure import ResourceWriter


class CallerKind(Protocol):
    """One kind of place that can hold a trigger URL or a flow id; one file of `shared/callers/`."""

    #: The name of the kind, such as `app_setting`.
    kind: str
    #: Whether a value is JSON source (URLs and ids stand inside its string literals).
    is_json: bool
    #: How long after a write the old value may still be in use.
    old_value_lifetime: timedelta
    #: Whether such a place can only call flows of its own environment.
    is_environment_only: bool
    #: What the app's identity has to be allowed to find such places and write there.
    required_permissions: RequiredPermissions
    #: Whether an assessment reads such places by itself: its search for callers leaves them out.
    is_assessed_separately: bool

    def find(
        self, environments: Sequence[Environment], search: CallerSearchPosition | None = None
    ) -> AsyncIterator[Caller]:
        """Yield every place that holds any trigger URL or child-flow id.

        `search`: go on where an earlier one stopped. It moves on place by place; raises
        `JobBlocked` at the end if a place could not be searched.
        """

    async def read(self, caller: Caller) -> CallerContent:
        """Return what stands there now; raises `NotFound`."""

    async def write(self, caller: Caller, value: CallerContent) -> None:
        """Put `value.text` there if it still has `value.etag`; raises `Conflict`."""


@runtime_checkable
class FoundInDefinitions(Protocol):
    """A `CallerKind` whose places are flows' definitions: who reads those need not search them."""

    def callers_in(self, environment: Environment, workflow: Workflow) -> Iterator[Caller]:
        """Yield a flow once for each part of it that holds a trigger URL or child-flow id."""


@runtime_checkable
class KeepsVersions(Protocol):
    """A `CallerKind` whose platform keeps what stood at a place before."""

    async def texts_since(self, caller: Caller, since: datetime) -> Sequence[str]:
        """Return all texts that were written there since then; raises `NotFound`."""


@runtime_checkable
class WritesWholeResource(Protocol):
    """A `CallerKind` whose platform replaces all places of one resource at once."""

    async def read_all(self, callers: Sequence[Caller]) -> Mapping[str, CallerContent]:
        """Return what stands at places of one resource, by address, without those that are gone."""

    async def write_all(self, values: Sequence[tuple[Caller, CallerContent]]) -> None:
        """Put all texts of one resource there if each has its ETag, and see them there.

        Raises `Conflict`, also for what is read after the write.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowsToSave:
    """Flows that use a value, and since when it stands."""

    #: In whole seconds of the platform's clock, as a flow's `modified_at`; None: not known.
    written_at: datetime | None
    flows: Sequence[Workflow]


@runtime_checkable
class ReadOnSave(Protocol):
    """A `CallerKind` whose value a flow takes over only when the flow is saved."""

    async def flows_to_save(self, caller: Caller) -> FlowsToSave:
        """Return the flows of the caller's environment that are saved after each write."""


class FirewallKind(Protocol):
    """One kind of firewall; one file of `shared/firewalls/`."""

    kind: str
    #: The Azure resource that such a firewall is, or is part of.
    resource_type: str

    async def read(self) -> list[Firewall]:
        """Return every firewall of this kind in the watched subscriptions."""

    async def propose_fix(self, gap: FirewallIssue) -> FirewallFix:
        """Return the smallest change that closes a gap of such a firewall; raises `NotFound`.

        By what stands there now. A gap of a firewall that is closed as a whole never comes here.
        """


@runtime_checkable
class ReadsByHost(Protocol):
    """A `FirewallKind` of many resources, of which few stand before any one host."""

    async def read_before(self, hosts: Collection[str]) -> list[Firewall]:
        """Return the firewalls that stand before any of these hosts."""


@runtime_checkable
class AppliesFixes(Protocol):
    """A `FirewallKind` whose repairs the app can make by itself, and take back."""

    #: What the app's identity has to be allowed for that; to read, it is Reader.
    required_permissions: RequiredPermissions

    async def read_list(self, opening: AddedEntries) -> ListEntries:
        """Return what stands in the list of an opening now; raises `NotFound`."""

    async def update_list(
        self, writer: ResourceWriter, opening: AddedEntries, change: ListUpdate
    ) -> Sequence[str]:
        """Put entries into the list and take others out if it still is as it was read.

        Returns the entries that this write added. Raises `Conflict` where it wrote nothing, and
        `JobBlocked` where that would do something else too.
        """
