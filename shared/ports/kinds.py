"""The ports for kinds of callers and firewalls, one module per kind."""

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
from shared.ports.json_api import JsonService


class CallerKind(Protocol):
    """A kind of place that can contain a trigger URL or flow id; one module of
    `shared/callers/`.
    """

    #: The name of the kind, such as `app_setting`.
    kind: str
    #: Whether a value is JSON source (URLs and ids are inside its string literals).
    is_json: bool
    #: How long the old value may remain in use after a write.
    old_value_lifetime: timedelta
    #: Whether such a place can call only flows in its environment.
    is_environment_only: bool
    #: Permissions that the app's identity needs to find and write such places.
    required_permissions: RequiredPermissions
    #: Whether an assessment reads such places itself, so its caller search skips them.
    is_assessed_separately: bool

    def find(
        self, environments: Sequence[Environment], search: CallerSearchPosition | None = None
    ) -> AsyncIterator[Caller]:
        """Yield every place that contains a trigger URL or child flow id.

        `search` has the progress of an earlier search and is updated place by place. Raises
        `JobBlocked` at the end if a place could not be searched.
        """

    async def read(self, caller: Caller) -> CallerContent:
        """Return the current content; raise `NotFound`."""

    async def write(self, caller: Caller, value: CallerContent) -> None:
        """Write `value.text` if the place has `value.etag`; raise `Conflict`."""


@runtime_checkable
class FoundInDefinitions(Protocol):
    """A `CallerKind` in flows' definitions, which need no search if those are already read."""

    def callers_in(self, environment: Environment, workflow: Workflow) -> Iterator[Caller]:
        """Yield a flow once for each part of it that contains a trigger URL or child flow id."""


@runtime_checkable
class SearchesScopes(Protocol):
    """A `CallerKind` that searches organizations, repositories or workspaces, each with its own
    roles.
    """

    async def read_scopes(self) -> Sequence[str]:
        """Return the names of the organizations, repositories or workspaces."""

    async def check_scope(self, scope: str) -> None:
        """Raise an error if the app cannot search this organization, repository or workspace."""


@runtime_checkable
class InJsonService(SearchesScopes, Protocol):
    """A `CallerKind` in a service whose scopes the settings name.

    Without a scope, it is not searched.
    """

    service: JsonService


@runtime_checkable
class KeepsVersions(Protocol):
    """A `CallerKind` whose platform keeps earlier versions of a place."""

    async def read_texts_since(self, caller: Caller, since: datetime) -> Sequence[str]:
        """Return all texts written to the place since `since`; raise `NotFound`."""


@runtime_checkable
class RefersToSecrets(Protocol):
    """A `CallerKind` whose places can refer to a Key Vault secret."""

    async def find_obstacles(self, secrets: Mapping[str, str]) -> Mapping[str, str]:
        """Return why each place may be unable to read its secret, by address; empty: the place can.

        `secrets` has the address of the secret for the address of each place.
        """

    async def find_unresolved_references(self, addresses: Collection[str]) -> Mapping[str, str]:
        """Return the status of each of these references that is not resolved, by address."""


@runtime_checkable
class HasUnknownReaders(Protocol):
    """A `RefersToSecrets` whose places are read by apps that the app does not know
    (`UNKNOWN_READER_KINDS`).
    """

    async def find_reader_evidence(self, addresses: Collection[str]) -> Mapping[str, str]:
        """Return what suggests that the readers of each place resolve references, by address.

        The text also says if nothing suggests it. Places that cannot be read are omitted.
        """


@runtime_checkable
class WritesWholeResource(Protocol):
    """A `CallerKind` whose platform replaces all places of a resource at once."""

    async def read_all(self, callers: Sequence[Caller]) -> Mapping[str, CallerContent]:
        """Return the content of existing places of a resource, by address."""

    async def write_all(self, values: Sequence[tuple[Caller, CallerContent]]) -> None:
        """Write the texts of a resource if each place has its ETag, and read them back.

        Raises `Conflict`, also if the texts that are read back differ.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowsToSave:
    """Flows that use a value, and the time of its last write."""

    #: In whole seconds of the platform's clock, like a flow's `modified_at`; None: unknown.
    written_at: datetime | None
    flows: Sequence[Workflow]


@runtime_checkable
class ReadOnSave(Protocol):
    """A `CallerKind` whose value a flow reads only when the flow is saved."""

    async def read_flows_to_save(self, caller: Caller) -> FlowsToSave:
        """Return the flows of the caller's environment to save after each write."""


class FirewallKind(Protocol):
    """A kind of firewall; one module of `shared/firewalls/`."""

    kind: str
    #: The Azure resource type of such a firewall or of its parent.
    resource_type: str

    async def read(self) -> list[Firewall]:
        """Return every firewall of this kind in the configured subscriptions."""

    async def propose_fix(self, gap: FirewallIssue) -> FirewallFix:
        """Return the smallest change that fixes an issue of such a firewall; raise `NotFound`.

        The fix is computed from the current rules. Not called for a firewall with public access
        off.
        """


@runtime_checkable
class ReadsByHost(Protocol):
    """A `FirewallKind` with many resources, few of which protect a given host."""

    async def read_before(self, hosts: Collection[str]) -> list[Firewall]:
        """Return the firewalls in front of any of these hosts."""


@runtime_checkable
class AppliesFixes(Protocol):
    """A `FirewallKind` whose fixes the app can apply and revert."""

    #: Permissions that the app's identity needs beyond Reader.
    required_permissions: RequiredPermissions

    async def read_list(self, opening: AddedEntries) -> ListEntries:
        """Return the current entries of a list; raise `NotFound`."""

    async def update_list(
        self, writer: ResourceWriter, opening: AddedEntries, change: ListUpdate
    ) -> Sequence[str]:
        """Add and remove entries of a list if it is unchanged since it was read.

        Returns the entries that this write added. Raises `Conflict` if nothing was written, and
        `JobBlocked` if the write would have side effects.
        """
