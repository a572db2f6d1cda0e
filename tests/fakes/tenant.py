"""Define the mutable records of a tenant in memory.

The behaviour of the platform is in other modules.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import NamedTuple

from local_cloud.tenant.core.earlier_times import Past
from shared.domain.definitions.connection_reference import ConnectionReference
from shared.domain.environment import Environment, PolicyLink
from shared.domain.flow import FlowState
from shared.domain.power_apps import CanvasApp
from shared.domain.sharing import DataversePrincipal


@dataclass(slots=True, kw_only=True)
class FakeUser:
    """A person or an application, in Dataverse and in Entra."""

    #: `systemuserid` of Dataverse.
    user_id: str
    #: Entra object id.
    entra_id: str
    name: str
    #: Without it a flow with HTTP in or out cannot be turned on (platform.md#premium-licences).
    has_premium: bool = True
    is_disabled: bool = False


@dataclass(slots=True, kw_only=True)
class FakeTeam:
    """A team of Dataverse, with or without an Entra group."""

    team_id: str
    name: str
    #: Object id of its Entra group; None: it has none.
    entra_id: str | None = None


@dataclass(slots=True, kw_only=True)
class FakeSolution:
    solution_id: str
    unique_name: str
    title: str
    is_managed: bool = False
    #: By `workflow_id`.
    flows: set[str] = field(default_factory=set)


@dataclass(slots=True, kw_only=True)
class FakeConnection:
    name: str
    connector: str
    owner_id: str
    #: `systemuserid`s.
    shared_with: set[str] = field(default_factory=set)
    #: What is wrong with it; empty: nothing.
    error: str = ""


@dataclass(slots=True, kw_only=True)
class FakeRun:
    """A run of a flow. It is in progress until the clock passes `ends`."""

    run_id: str
    started: datetime
    ends: datetime
    failed: bool = False
    error: str = ""
    #: The HTTP action that failed; empty: another one.
    failed_action: str = ""
    trigger_url_id: str | None = None
    #: Headers of its call; empty: the platform does not show them.
    headers: dict[str, str] = field(default_factory=dict)
    #: The condition of its trigger was not met.
    is_skipped: bool = False


@dataclass(slots=True, kw_only=True)
class FakeFlow:
    """A flow, with its row in Dataverse and its data in the flow service."""

    environment_id: str
    workflow_id: str
    #: Id in the flow service; may differ from `workflow_id` and change on activation.
    flow_name: str
    name: str
    client_data: str
    owner_id: str
    #: 32-hex id in the trigger URL.
    trigger_url_id: str
    #: What signatures are made with.
    access_key: bytes
    created: datetime
    description: str = ""
    #: `modernflowtype` of its row.
    modern_type: int = 0
    state: FlowState = FlowState.OFF
    #: Under the customer's key.
    is_protected: bool = False
    #: When it moved under the key; None: it did not move, or was created there.
    protected_since: datetime | None = None
    is_managed: bool = False
    in_solution: bool = True
    #: `environment`, `capacity_unit` or `logic_apps`: the shape of its URL
    #: (platform.md#url-shapes).
    url_form: str = "environment"
    version: int = 1
    #: None: not since it was created.
    modified_at: datetime | None = None
    was_ever_on: bool = False
    is_deleted: bool = False
    deleted_at: datetime | None = None
    #: Created through the port `Workflows`: a copy.
    made_by_app: bool = False
    #: Policy of the environment when it was created; empty: none.
    policy_id: str = ""
    #: Entra object id → role.
    co_owners: dict[str, str] = field(default_factory=dict)
    #: Whom Dataverse shares it with beside them, and the rights (platform.md#dataverse-sharing).
    shares: dict[DataversePrincipal, frozenset[str]] = field(default_factory=dict)
    #: Connections the flow itself may use since their owner turned it on (platform.md#flow-grants).
    granted_connections: set[str] = field(default_factory=set)
    #: A logical name of a connection reference that the platform added and does not find: every
    #: save is refused. Empty: none (platform.md#stamped-references).
    stamped_reference: str = ""
    #: How often a refused save has emptied its connection references (platform.md#rejected-saves).
    references_wiped: int = 0
    #: Until when its saves are refused for now; None: it was not saved while it was on.
    saves_pass_from: datetime | None = None
    #: Environment variables as they were at the last save or activation
    #: (platform.md#stale-variables).
    variables: dict[str, str] = field(default_factory=dict)
    runs: list[FakeRun] = field(default_factory=list)
    run_duration: timedelta = timedelta(seconds=2)
    #: Events of its source that it has seen (polling triggers).
    cursor: int = 0
    #: Next run of a recurrence.
    next_run: datetime | None = None
    #: How it was before its latest writes, which reads may not see yet.
    past: Past[FakeFlow] = field(default_factory=Past, compare=False, repr=False)

    def copy_for_reads(self) -> FakeFlow:
        """Return a copy of the flow for reads that lag behind its next change.

        New runs are visible at once.
        """
        return replace(self, co_owners=dict(self.co_owners), shares=dict(self.shares), past=Past())

    def touch(self, now: datetime) -> None:
        """Record a change of the row: a new version, and the time in whole seconds as Dataverse
        stores it.
        """
        self.version += 1
        self.modified_at = now.replace(microsecond=0)

    @property
    def etag(self) -> str:
        return f'W/"{self.version}"'

    @property
    def is_on(self) -> bool:
        return self.state is FlowState.ON and not self.is_deleted


@dataclass(slots=True, kw_only=True)
class FakeVariable:
    """An environment variable: its definition, its default value and its value."""

    definition_id: str
    schema_name: str
    default_value: str | None = None
    value_id: str | None = None
    value: str | None = None
    value_version: int = 1
    definition_version: int = 1
    #: When this tenant's clients wrote them; None: not yet.
    value_modified_at: datetime | None = None
    definition_modified_at: datetime | None = None
    #: How it was before its latest writes, which lists may not show yet.
    past: Past[FakeVariable] = field(default_factory=Past, compare=False, repr=False)

    def copy_for_reads(self) -> FakeVariable:
        """Return a copy of the variable for lists that lag behind its next change."""
        return replace(self, past=Past())

    @property
    def current(self) -> str | None:
        """Return the value that a flow would get if it were saved now."""
        return self.default_value if self.value is None else self.value


@dataclass(slots=True, kw_only=True)
class FakeRow:
    """A row of a Dataverse table for which this module has no class."""

    id: str
    #: By column; a lookup has an object with the columns of its row.
    values: dict[str, object]
    version: int = 1
    #: How it was before its latest writes, which reads may not show yet.
    past: Past[FakeRow] = field(default_factory=Past, compare=False, repr=False)

    def copy_for_reads(self) -> FakeRow:
        """Return a copy of the row for reads that lag behind its next change."""
        return replace(self, values=dict(self.values), past=Past())


@dataclass(slots=True, kw_only=True)
class FakeEnvironment:
    """An environment of Power Platform with all its contents."""

    id: str
    display_name: str
    region: str = "westeurope"
    geography: str = "europe"
    sku: str = "Production"
    is_managed: bool = True
    is_enabled: bool = True
    dataverse_url: str | None = None
    policy: PolicyLink | None = None
    #: Flows are being moved under the key: nothing can be created or changed.
    is_migrating: bool = False
    #: By `workflow_id`; deleted ones are kept for the answers their URLs give.
    flows: dict[str, FakeFlow] = field(default_factory=dict)
    #: By connection name.
    connections: dict[str, FakeConnection] = field(default_factory=dict)
    #: By logical name.
    connection_references: dict[str, ConnectionReference] = field(default_factory=dict)
    #: By id: references that reads may not show yet.
    unseen_references: dict[str, Past[ConnectionReference]] = field(default_factory=dict)
    #: By definition id.
    variables: dict[str, FakeVariable] = field(default_factory=dict)
    #: By id.
    solutions: dict[str, FakeSolution] = field(default_factory=dict)
    #: By table and id; a table without rows is missing.
    rows: dict[str, dict[str, FakeRow]] = field(default_factory=dict)
    canvas_apps: list[CanvasApp] = field(default_factory=list)
    #: Connectors that a data policy of the tenant forbids here.
    blocked_connectors: set[str] = field(default_factory=set)
    hosted_machine_groups: list[str] = field(default_factory=list)
    creates_flows_in_solutions: bool | None = True

    def build_environment(self) -> Environment:
        return Environment(
            id=self.id,
            display_name=self.display_name,
            geography=self.geography,
            region=self.region,
            sku=self.sku,
            is_managed=self.is_managed,
            is_enabled=self.is_enabled,
            policy=self.policy,
            dataverse_url=self.dataverse_url,
        )

    def list_live_flows(self) -> list[FakeFlow]:
        return [flow for flow in self.flows.values() if not flow.is_deleted]


@dataclass(slots=True, kw_only=True)
class FakeSite:
    """An app of App Service, Functions or Logic Apps (Standard)."""

    id: str
    name: str
    hosts: tuple[str, ...]
    settings: dict[str, str] = field(default_factory=dict)
    #: By type and name, such as `SQLAzure|Orders`.
    connection_strings: dict[str, str] = field(default_factory=dict)
    restarts: int = 0
    #: Object id of the identity that resolves its Key Vault references; empty: none.
    principal_id: str = ""
    is_workflow_app: bool = False
    #: By setting: what the running code reads instead of a reference, and since when.
    resolved: dict[str, ResolvedReference] = field(default_factory=dict)


class ResolvedReference(NamedTuple):
    """What a site read through a reference when it last fetched the Key Vault secret."""

    reference: str
    value: str
    status: str
    fetched: datetime


class FakeVersion(NamedTuple):
    id: str
    value: str
    created: datetime


@dataclass(slots=True, kw_only=True)
class FakeSecret:
    """A Key Vault secret with all its versions, oldest first."""

    vault_url: str
    name: str
    versions: list[FakeVersion]
    content_type: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    is_enabled: bool = True

    @property
    def value(self) -> str:
        return self.versions[-1].value
