"""What the product needs of the world, as protocols. Adapters and the tests' twins implement them.

Every method may raise `Transient` (try later), `Refused` (the platform says no), and where it names
one item `NotFound`. Beyond that each says what it raises.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from shared.domain.assessment_facts import CanvasApp, Connection
from shared.domain.caller import Caller, CallerValue
from shared.domain.environment import Environment
from shared.domain.firewall import Firewall
from shared.domain.flow import (
    FlowDetail,
    Permission,
    ReportedFlow,
    Run,
    Workflow,
    WorkflowChange,
    WorkflowDraft,
)
from shared.domain.key import EnterprisePolicy, Key, KeyVault

type Scalar = str | int | float | bool


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> datetime:
        """Return the present, aware, in UTC."""


# --- state ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row of a table. Strings are at most 32,768 characters (64 KiB), a row 1 MiB."""

    table: str
    partition: str
    key: str
    columns: Mapping[str, Scalar]
    #: None in a row that was never stored.
    etag: str | None = None


@dataclass(frozen=True, slots=True)
class Insert:
    """Store a new row; `AlreadyExists` if there is one."""

    row: Row


@dataclass(frozen=True, slots=True)
class Replace:
    """Store a row over the one with its ETag; `Conflict` if that has changed or gone."""

    row: Row


@dataclass(frozen=True, slots=True)
class Upsert:
    """Store a row, whatever is there."""

    row: Row


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove the row with this ETag (None: any); `Conflict` if changed, `NotFound` if gone."""

    row: Row


type Operation = Insert | Replace | Upsert | Delete


@dataclass(frozen=True, slots=True)
class Condition:
    """A column compared with a value; `op` is one of `eq ne lt le gt ge`."""

    column: str
    op: str
    value: Scalar


class Store(Protocol):
    """Rows in tables, shaped like Azure Table storage; its limits are refused as `ValueError`."""

    async def get(self, table: str, partition: str, key: str) -> Row | None:
        """Return the row, or None."""

    async def write(self, *operations: Operation) -> list[Row]:
        """Do all or nothing: at most 100 operations on one partition of one table, one per row.

        Returns the rows with their new ETags (deleted ones as they were given).
        """

    def query(
        self, table: str, partition: str | None = None, *, where: Sequence[Condition] = ()
    ) -> AsyncIterator[Row]:
        """Yield rows in the order of partition and key."""


class Archive(Protocol):
    """Keeps definitions as they were, encrypted: the one place where a signature may rest."""

    async def put(self, name: str, content: bytes) -> str:
        """Keep `content` under `name` (`/` allowed) unless it is there; return where it stands."""

    async def get(self, name: str) -> bytes:
        """Return what was kept; raises `NotFound`."""


# --- messages ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingMessage:
    """A message of our own. Equal ids within ten minutes are one message."""

    queue: str
    message_id: str
    body: Mapping[str, object]
    #: Deliver at this time; None: now.
    due: datetime | None = None
    properties: Mapping[str, str] = field(default_factory=dict)


class Messages(Protocol):
    """Sends to Service Bus queues."""

    async def send(self, *messages: OutgoingMessage) -> None:
        """Send all; raises `Transient` if any may not have been taken."""

    async def count(self, queue: str, *, dead_letters: bool = False) -> int:
        """Count what waits in a queue, or in its dead-letter queue; at most 1,000 are counted."""


# --- Power Platform ------------------------------------------------------------------------------


class Environments(Protocol):
    """Environments as the admin API (BAP) shows them."""

    async def list(self) -> list[Environment]:
        """Return all environments of the tenant."""

    async def get(self, environment_id: str) -> Environment:
        """Return one; raises `NotFound`."""


class FlowReports(Protocol):
    """What the flow service reports to an administrator."""

    async def microsoft_key_flows(
        self, environment_id: str, *, cannot_migrate_only: bool
    ) -> list[ReportedFlow]:
        """Return the flows on Microsoft's key, or just those that stay there (contract §5.1)."""

    async def list_flows(self, environment_id: str) -> list[ReportedFlow]:
        """Return every flow of the environment, lean, solution flows included."""

    async def get_flow(self, environment_id: str, flow_name: str) -> FlowDetail:
        """Return one flow with its definition; raises `NotFound`."""

    async def runs(
        self,
        environment_id: str,
        flow_name: str,
        *,
        since: datetime,
        until: datetime | None = None,
        limit: int = 250,
    ) -> list[Run]:
        """Return runs that began from `since` up to `until`, newest first, at most `limit`."""


class FlowAccess(Protocol):
    """What only a co-owner may ask of a flow. Every call is made as the operator or for it."""

    async def permissions(self, environment_id: str, flow_name: str) -> list[Permission]:
        """Return owners and co-owners."""

    async def add_operator(self, environment_id: str, flow_name: str) -> None:
        """Make the operator a co-owner; does nothing if it is one."""

    async def remove_operator(self, environment_id: str, flow_name: str) -> None:
        """Take the operator's co-ownership back; does nothing if it has none."""

    async def trigger_url(self, environment_id: str, flow_name: str, trigger: str) -> str:
        """Return the trigger URL: a secret. Raises `Refused` where the trigger has none."""

    async def operator_id(self) -> str:
        """Return the Entra object id of the operator."""


class FlowSwitch(Protocol):
    """Turns flows on and off by the flow service: for those that are in no solution."""

    async def start(self, environment_id: str, flow_name: str) -> None:
        """Turn a flow on; raises `NotFound`."""

    async def stop(self, environment_id: str, flow_name: str) -> None:
        """Turn a flow off; raises `NotFound`."""


class Workflows(Protocol):
    """Cloud flows as rows of Dataverse: the supported way to write them."""

    def list(
        self, environment: Environment, *, managed_only: bool = False
    ) -> AsyncIterator[Workflow]:
        """Yield every cloud flow, or just those of managed solutions, 500 a call."""

    async def get(self, environment: Environment, workflow_id: str) -> Workflow:
        """Return one; raises `NotFound`."""

    async def create(self, environment: Environment, draft: WorkflowDraft) -> None:
        """Create it, off, under the draft's id; raises `AlreadyExists`."""

    async def update(
        self, environment: Environment, workflow_id: str, change: WorkflowChange, *, etag: str
    ) -> None:
        """Change it if it still has `etag` (`*`: if it exists); raises `Conflict`, `NotFound`."""

    async def delete(self, environment: Environment, workflow_id: str) -> None:
        """Delete it; does nothing if it is gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentVariable:
    """One Dataverse environment variable; `value_id` None: only the default is set."""

    definition_id: str
    schema_name: str
    value_id: str | None
    value: str | None
    default_value: str | None
    value_etag: str = ""
    definition_etag: str = ""


class EnvironmentVariables(Protocol):
    """Environment variables of Dataverse (contract §6.7)."""

    async def list(self, environment: Environment) -> list[EnvironmentVariable]:
        """Return all of them."""

    async def write_value(
        self, environment: Environment, value_id: str, value: str, *, etag: str
    ) -> None:
        """Set a value; raises `Conflict`, `NotFound`."""

    async def write_default(
        self, environment: Environment, definition_id: str, value: str, *, etag: str
    ) -> None:
        """Set a default value; raises `Conflict`, `NotFound`."""


# --- Azure ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One App Service or Functions app."""

    id: str
    name: str
    #: Lower-case host names it answers to.
    hosts: tuple[str, ...]


class AppSettings(Protocol):
    """Settings of App Service and Functions apps: written as a whole, no ETag (contract §8)."""

    async def sites(self) -> list[Site]:
        """Return every app of the watched subscriptions."""

    async def read(self, site_id: str) -> dict[str, str]:
        """Return all settings of an app."""

    async def write(self, site_id: str, settings: Mapping[str, str]) -> None:
        """Replace all settings of an app; the app restarts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """One Key Vault secret. `value` is never logged or stored."""

    vault_url: str
    name: str
    value: str = field(repr=False)
    version: str
    content_type: str | None
    tags: Mapping[str, str]


class Secrets(Protocol):
    """Secrets of the watched vaults."""

    def list(self) -> AsyncIterator[tuple[str, str]]:
        """Yield vault URL and name of every enabled secret."""

    async def read(self, vault_url: str, name: str) -> Secret:
        """Return the current version; raises `NotFound`."""

    async def write(self, secret: Secret, value: str) -> None:
        """Add a version with `value`, keeping content type and tags."""


class Keys(Protocol):
    """Keys, vaults and the enterprise policies that name them."""

    async def policies(self) -> list[EnterprisePolicy]:
        """Return the encryption policies of the watched subscriptions."""

    async def vault(self, vault_id: str) -> KeyVault:
        """Return a vault by Azure resource id."""

    async def key_versions(self, vault_url: str, name: str) -> list[Key]:
        """Return every version of a key, newest first."""


class ServiceTags(Protocol):
    """Address ranges by service tag (contract §9.2)."""

    async def prefixes(self) -> Mapping[str, Sequence[str]]:
        """Return the address prefixes of each tag, by lower-case tag name."""


class ResourceReader(Protocol):
    """Reads any Azure resource through Azure Resource Manager (contract §9.4)."""

    async def list(self, resource_type: str, api_version: str) -> list[Mapping[str, object]]:
        """Return every resource of a type (`Microsoft.Network/networkSecurityGroups`).

        Looks in all watched subscriptions and follows `nextLink`.
        """

    async def get(
        self, resource_id: str, api_version: str, suffix: str = ""
    ) -> Mapping[str, object]:
        """Return one resource, or what lies below it (`/config/web`); raises `NotFound`."""


# --- assessment ----------------------------------------------------------------------------------


class Connections(Protocol):
    """Connections of an environment, as an administrator sees them (contract §11)."""

    async def list(self, environment_id: str) -> list[Connection]:
        """Return all of them; an empty list may mean that they are not shown to an application."""


class CanvasApps(Protocol):
    """Canvas apps of an environment, as an administrator sees them (contract §8)."""

    async def list_with_flows(self, environment_id: str) -> list[CanvasApp]:
        """Return the apps that use any flow, with the flows' ids."""


class MachineGroups(Protocol):
    """Machine groups for desktop flows (contract §11)."""

    async def hosted(self, environment: Environment) -> list[str]:
        """Return the titles of hosted groups."""


class Organization(Protocol):
    """The Dataverse organization of an environment: its settings and its people."""

    async def creates_flows_in_solutions(self, environment: Environment) -> bool:
        """Say whether new flows are made in a solution (contract §6.6)."""

    async def names(self, environment: Environment, user_ids: Sequence[str]) -> dict[str, str]:
        """Return names of users by `systemuserid`, in lower case; unknown ones are left out."""


# --- kinds: one file each ------------------------------------------------------------------------


class CallerKind(Protocol):
    """One kind of place that can hold a trigger URL or a flow id; one file of `shared/callers/`."""

    #: The name of the kind, such as `app_setting`.
    kind: str
    #: Whether a value is JSON source (URLs and ids stand inside its string literals).
    is_json: bool
    #: How long after a write the old value may still be in use.
    staleness: timedelta

    def find(self, environments: Sequence[Environment]) -> AsyncIterator[Caller]:
        """Yield every place that holds any trigger URL or child-flow id."""

    async def read(self, caller: Caller) -> CallerValue:
        """Return what stands there now; raises `NotFound`."""

    async def write(self, caller: Caller, value: CallerValue) -> None:
        """Put `value.text` there if it still has `value.etag`; raises `Conflict`."""


class FirewallKind(Protocol):
    """One kind of firewall; one file of `shared/firewalls/`."""

    kind: str

    async def read(self) -> list[Firewall]:
        """Return every firewall of this kind in the watched subscriptions."""
