"""Store an environment: its flows, its Dataverse rows, its people, and its policy."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import uuid4

from local_cloud.tenant.core.earlier_times import Past
from local_cloud.tenant.environments.flow import Flow, SimulatedFlowState

type Row = dict[str, Any]


class LinkStatus(StrEnum):
    """The values of the `linkStatus` of an environment's policy (platform.md#link-status)."""

    LINKING = "Linking"
    UNLINKING = "Unlinking"
    LINKED = "Linked"
    FAILED = "Failed"


@dataclass(slots=True, kw_only=True)
class SimulatedPolicyLink:
    policy_id: str
    location: str
    #: ARM resource id.
    id: str
    system_id: str
    status: LinkStatus


@dataclass(slots=True, kw_only=True)
class Operation:
    """An operation on an environment that takes time, such as linking it to a policy."""

    id: str
    type: str
    environment: str
    requested_by: str
    created: datetime
    starts: datetime
    ends: datetime
    #: What it fails with, if it does.
    error: dict[str, str] | None = None
    #: The policy to be linked, None for an unlink.
    link: SimulatedPolicyLink | None = None
    is_settled: bool = False

    def compute_state(self, now: datetime) -> str:
        if now < self.starts:
            return "NotStarted"
        if now < self.ends:
            return "Running"
        return "Failed" if self.error else "Succeeded"


@dataclass(slots=True, kw_only=True)
class SimulatedConnection:
    name: str
    #: Connector, e.g. `shared_office365`.
    api: str
    owner: str
    #: Object ids of those who may use it beside its owner.
    shared_with: set[str] = field(default_factory=set)
    #: Why it does not work, such as a password that has run out; empty: it does.
    error: str = ""


@dataclass(slots=True, kw_only=True)
class SimulatedCanvasApp:
    name: str
    display_name: str
    owner: str
    #: Dataverse ids of the flows that it runs.
    flows: tuple[str, ...] = ()
    #: False: its document cannot be read.
    has_document: bool = True


@dataclass(slots=True, kw_only=True, eq=False)
class SimulatedEnvironment:
    id: str
    display_name: str
    #: Geography, e.g. `europe`; must equal a policy's location.
    location: str = "europe"
    azure_region: str = "westeurope"
    sku: str = "Production"
    is_managed: bool = True
    is_default: bool = False
    created: datetime
    #: Host of `instanceUrl`, e.g. `contoso.crm4.dynamics.com`; None: no Dataverse.
    org_host: str | None = None
    org_id: str = field(default_factory=lambda: str(uuid4()))
    policy: SimulatedPolicyLink | None = None
    operation: Operation | None = None
    #: Disabled by an administrator, or because its key is not usable.
    is_locked: bool = False
    #: When the last automatic migration of flows ends, once linked.
    migration_ends: datetime | None = None
    migration_seconds: float | None = None
    flows: dict[str, Flow] = field(default_factory=dict)
    workflows: dict[str, Flow] = field(default_factory=dict)
    #: Order in which flows were added: pages go by it. A deleted flow leaves a gap.
    order: list[Flow] = field(default_factory=list)
    connections: dict[str, SimulatedConnection] = field(default_factory=dict)
    #: Connectors that a data policy of the tenant forbids here.
    blocked_connectors: set[str] = field(default_factory=set)
    canvas_apps: dict[str, SimulatedCanvasApp] = field(default_factory=dict)
    #: Object id → row of `systemusers`.
    users: dict[str, Row] = field(default_factory=dict)
    #: Object id → `systemuserid` of everybody who is or was a user: rows go on naming who left.
    user_ids: dict[str, str] = field(default_factory=dict)
    #: Registrations of webhooks that have a name → the flow that Dataverse tells.
    subscriptions: dict[str, Flow] = field(default_factory=dict)
    #: Dataverse tables but `workflows`: entity set → row id → row.
    tables: dict[str, dict[str, Row]] = field(default_factory=dict)
    #: Flows whose latest writes reads may not see yet; and such rows, by table and id.
    unseen_flows: list[Flow] = field(default_factory=list)
    unseen_rows: dict[tuple[str, str], Past[Row]] = field(default_factory=dict)

    @property
    def api_host(self) -> str:
        """The host of `instanceApiUrl`, such as `contoso.api.crm4.dynamics.com`."""
        name, _, rest = (self.org_host or "").partition(".")
        return f"{name}.api.{rest}"

    def subscribe(self, flow: Flow) -> None:
        """Register a flow's webhook in place of any other with the same subscription name."""
        if name := flow.get_facts().subscription:
            self.subscriptions[name] = flow

    def unsubscribe(self, flow: Flow) -> None:
        """Remove the webhook with a flow's subscription name, even if it is another flow's."""
        self.subscriptions.pop(flow.get_facts().subscription, None)

    def get_table(self, entity_set: str) -> dict[str, Row]:
        return self.tables.setdefault(entity_set, {})

    def find_shown_flow(
        self, now: datetime, *, workflow_id: str = "", name: str = ""
    ) -> Flow | None:
        """Return a flow as reads show it now, by Dataverse id or name, or None."""
        self.unseen_flows = [flow for flow in self.unseen_flows if not flow.past.is_over(now)]
        current = self.workflows.get(workflow_id) or self.flows.get(name)
        for flow in [*self.unseen_flows, *([current] if current else [])]:
            shown: Flow | None = flow.past.find_shown_item(flow, now)
            if shown is None or shown.state == SimulatedFlowState.DELETED:
                continue
            if workflow_id == shown.workflow_entity_id or name == shown.name:
                return shown
        return None

    def list_shown_flows(self, now: datetime) -> list[Flow]:
        """Return all flows, deleted ones too, as lists show them now, in the order of creation."""
        shown = (flow.past.find_shown_item(flow, now, in_list=True) for flow in self.order)
        return [flow for flow in shown if flow is not None]

    def find_shown_row(self, entity_set: str, row_id: str, now: datetime) -> Row | None:
        return self._find_shown_row(entity_set, row_id, now, in_list=False)

    def list_shown_rows(self, entity_set: str, now: datetime) -> list[Row]:
        gone = {row_id for name, row_id in self.unseen_rows if name == entity_set}
        ids = dict.fromkeys([*self.get_table(entity_set), *sorted(gone)])
        shown = (self._find_shown_row(entity_set, row_id, now, in_list=True) for row_id in ids)
        return [row for row in shown if row is not None]

    def _find_shown_row(
        self, entity_set: str, row_id: str, now: datetime, *, in_list: bool
    ) -> Row | None:
        row = self.get_table(entity_set).get(row_id)
        past = self.unseen_rows.get((entity_set, row_id))
        return past.find_shown_item(row, now, in_list=in_list) if past else row

    def add_user(self, user: Row) -> None:
        """Add a user to the environment, by a row of `systemusers`."""
        self.get_table("systemusers")[user["systemuserid"]] = user
        object_id = user["azureactivedirectoryobjectid"].lower()
        self.users[object_id], self.user_ids[object_id] = user, user["systemuserid"]

    def add_flow(self, flow: Flow) -> None:
        self.flows[flow.name] = flow
        self.workflows[flow.workflow_entity_id] = flow
        self.order.append(flow)

    def rename_flow(self, flow: Flow, name: str) -> None:
        del self.flows[flow.name]
        flow.name = name
        self.flows[name] = flow

    def remove_flow(self, flow: Flow) -> None:
        """Move a flow to the flow service's recycle bin, and remove its Dataverse row."""
        flow.state = SimulatedFlowState.DELETED
        self.workflows.pop(flow.workflow_entity_id, None)
        self._leave_solutions(flow)

    def forget_flow(self, flow: Flow) -> None:
        """Remove a flow whose creation was rejected, as if it had never been added."""
        del self.flows[flow.name]
        del self.workflows[flow.workflow_entity_id]
        self.order.remove(flow)
        self.unseen_flows = [other for other in self.unseen_flows if other is not flow]
        self._leave_solutions(flow)

    def _leave_solutions(self, flow: Flow) -> None:
        components = self.get_table("solutioncomponents")
        gone = [
            key for key, row in components.items() if row["objectid"] == flow.workflow_entity_id
        ]
        for key in gone:
            del components[key]

    def restore_flow(self, flow: Flow) -> None:
        """Restore a deleted flow. It is off."""
        flow.state = SimulatedFlowState.STOPPED
        self.workflows[flow.workflow_entity_id] = flow

    def is_linked(self) -> bool:
        return self.policy is not None and self.policy.status == LinkStatus.LINKED

    def is_migrating(self, now: datetime) -> bool:
        """Return whether an operation or a migration in progress blocks writes."""
        if self.operation and self.operation.compute_state(now) in ("NotStarted", "Running"):
            return True
        return self.migration_ends is not None and now < self.migration_ends
