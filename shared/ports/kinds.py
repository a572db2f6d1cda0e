"""The ports for kinds of callers and firewalls."""

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
    """A kind of place that can contain a trigger URL or a flow id."""

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
        """Yield every place that contains a trigger URL or a child flow's id.

        `search` contains the progress of an earlier search, and is updated. Raises `JobBlocked` at
        the end if a place could not be searched.
        """

    async def read(self, caller: Caller) -> CallerContent:
        """Return the current content of a caller's place.

        Raises `NotFound` if the place does not exist.
        """

    async def write(self, caller: Caller, value: CallerContent) -> None:
        """Write `value.text` if the place still has `value.etag`.

        Raises `Conflict` if the place has another ETag, or if a different text is read back
        afterwards. Raises `NotFound` if the place does not exist, and `JobBlocked` if only a person
        can change it.
        """


@runtime_checkable
class FoundInDefinitions(Protocol):
    """A `CallerKind` whose places are flows' definitions.

    A definition that was read for another purpose need not be read again.
    """

    def find_callers_in_flow(
        self, environment: Environment, workflow: Workflow
    ) -> Iterator[Caller]:
        """Yield the callers in a flow's definition."""


@runtime_checkable
class SearchesScopes(Protocol):
    """A `CallerKind` that is searched by scopes, such as organizations or workspaces."""

    async def read_scopes(self) -> Sequence[str]:
        """Return the names of the scopes."""

    async def require_searchable_scope(self, scope: str) -> None:
        """Raise an error if the app cannot search this scope."""


@runtime_checkable
class InJsonService(SearchesScopes, Protocol):
    """A `CallerKind` in a service whose scopes a setting names.

    Without a scope, it is not searched.
    """

    service: JsonService


@runtime_checkable
class KeepsVersions(Protocol):
    """A `CallerKind` whose platform keeps the earlier texts of a place."""

    async def read_texts_since(self, caller: Caller, since: datetime) -> Sequence[str]:
        """Return all texts that were written to the place since `since`.

        Raises `NotFound` if the place does not exist.
        """


@runtime_checkable
class RefersToSecrets(Protocol):
    """A `CallerKind` whose places can contain a reference to a Key Vault secret."""

    async def find_secret_obstacles(self, secrets: Mapping[str, str]) -> Mapping[str, str]:
        """Return, by the place's address, why a place may be unable to read its secret.

        The reason is "" if the place can read it. `secrets` maps the address of each place to that
        of its secret.
        """

    async def find_unresolved_references(self, addresses: Collection[str]) -> Mapping[str, str]:
        """Return, by address, the status of references that are not known to be resolved."""


@runtime_checkable
class HasUnknownReaders(Protocol):
    """A `RefersToSecrets` whose places are read by programs that this app does not know.

    See `UNKNOWN_READER_KINDS`.
    """

    async def find_reader_evidence(self, addresses: Collection[str]) -> Mapping[str, str]:
        """Return, by the place's address, what is known about whether its readers resolve
        references.
        """


@runtime_checkable
class WritesWholeResource(Protocol):
    """A `CallerKind` whose platform replaces all places of a resource at once."""

    async def read_all(self, callers: Sequence[Caller]) -> Mapping[str, CallerContent]:
        """Return the content of each of a resource's callers that exists, by address."""

    async def write_all(self, values: Sequence[tuple[Caller, CallerContent]]) -> None:
        """Write the texts of places in a resource, and read them back.

        Raises `Conflict` if a place no longer has its ETag, or if the texts that are read back
        differ.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowsToSave:
    """The flows that use a value, and when the value was last written."""

    #: In whole seconds of the platform's clock, like a flow's `modified_at`; None: unknown.
    written_at: datetime | None
    flows: Sequence[Workflow]


@runtime_checkable
class ReadOnSave(Protocol):
    """A `CallerKind` whose value a flow reads only when the flow is saved."""

    async def read_flows_to_save(self, caller: Caller) -> FlowsToSave:
        """Return the flows that must be saved after each write of the caller's value."""


class FirewallKind(Protocol):
    """A kind of firewall."""

    kind: str
    #: The Azure resource type of such a firewall or of its parent.
    resource_type: str

    async def read(self) -> list[Firewall]:
        """Return every firewall of this kind in the configured subscriptions.

        Open firewalls are included, because they show which hosts are protected.
        """

    async def propose_fix(self, issue: FirewallIssue) -> FirewallFix:
        """Return the smallest change that fixes an issue, or why there is none.

        Raises `NotFound` if the firewall does not exist. Not called for a firewall with public
        access off.
        """


@runtime_checkable
class ReadsByHost(Protocol):
    """A `FirewallKind` of which only the resources for some hosts are read, as there are many."""

    async def read_for_hosts(self, hosts: Collection[str]) -> list[Firewall]:
        """Return the firewalls that protect any of these hosts."""


@runtime_checkable
class AppliesFixes(Protocol):
    """A `FirewallKind` whose fixes the app can apply and revert."""

    #: Permissions that the app's identity needs beyond Reader.
    required_permissions: RequiredPermissions

    async def read_list(self, opening: AddedEntries) -> ListEntries:
        """Return the current entries of the list that `opening` names.

        Raises `NotFound` if it does not exist.
        """

    async def update_list(
        self, writer: ResourceWriter, opening: AddedEntries, change: ListUpdate
    ) -> Sequence[str]:
        """Add entries to a list and remove others, unless the list differs from `change.present`.

        Returns the entries that this write added. Raises `Conflict` if the list differs, and
        `JobBlocked` if the write would have side effects.
        """
