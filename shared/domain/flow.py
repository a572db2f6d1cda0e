"""A flow as the platform's different services show it. Its three ids are kept apart.

* `workflow_id`: the row in Dataverse; what a parent's child-flow action names.
* `flow_name`: the id the flow service uses.
* the 32-hex id inside a trigger URL: see trigger_url.py.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

#: How far back the platform keeps runs (platform.md#run-retention).
RUN_HISTORY = timedelta(days=28)


class FlowState(StrEnum):
    """Whether a flow runs when it is triggered."""

    ON = "on"
    OFF = "off"
    SUSPENDED = "suspended"


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowListEntry:
    """One line of a report of the flow service, without a definition.

    See platform.md#microsoft-key-list, #flow-lists.
    """

    flow_name: str
    display_name: str
    #: Dataverse id; None: the report does not tell.
    workflow_id: str | None
    state: FlowState | None

    @property
    def identity(self) -> str:
        """Return the id to look for in Dataverse: flows outside solutions name no row.

        See platform.md#solution-flow-id.
        """
        return (self.workflow_id or self.flow_name).lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowServiceFlow:
    """One flow read by itself from the flow service (platform.md#flow-read)."""

    flow_name: str
    display_name: str
    workflow_id: str | None
    state: FlowState
    #: Why the platform suspended it, as a code (platform.md#suspension-reasons); `None` or empty:
    #: it did not.
    suspension_reason: str = ""
    #: JSON text in the shape of Dataverse's `clientdata`; None: kept from whoever asked.
    client_data: str | None
    #: Entra object id of the creator.
    owner_id: str
    is_managed: bool
    #: None: the answer does not tell.
    in_solution: bool | None
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workflow:
    """One row of Dataverse's `workflow` table that is a cloud flow (platform.md#workflow-table)."""

    workflow_id: str
    name: str
    state: FlowState
    #: JSON text, byte for byte as Dataverse holds it.
    client_data: str
    #: `systemuserid` of the owner.
    owner_id: str
    is_managed: bool
    description: str
    etag: str
    #: `modernflowtype` (platform.md#agent-flows): whose agents' flow it is; None: the row does not
    #: tell.
    modern_type: int | None = None
    #: When the row was last written, in whole seconds of Dataverse's clock; None: not returned.
    modified_at: datetime | None = None

    @property
    def known(self) -> "WorkflowSummary":
        """Return it without its definition."""
        return WorkflowSummary(
            workflow_id=self.workflow_id.lower(),
            name=self.name,
            state=self.state,
            etag=self.etag,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowSummary:
    """A row of Dataverse without its definition: what is compared with the flow service."""

    workflow_id: str
    name: str
    state: FlowState
    #: Another one after each change of the row.
    etag: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowDraft:
    """A cloud flow to be created in Dataverse, off, under an id of our choice."""

    workflow_id: str
    name: str
    description: str
    client_data: str
    #: `systemuserid` of the owner the flow is created for.
    owner_id: str
    #: True: `owner_id` is an Entra object id, since the original is in no Dataverse row.
    owner_is_entra_id: bool = False
    #: As `Workflow` has it.
    modern_type: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowUpdate:
    """What to change of a cloud flow; None leaves a field as it is."""

    name: str | None = None
    client_data: str | None = None
    state: FlowState | None = None
    #: `systemuserid` to act for; None: the app itself.
    on_behalf_of: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowRun:
    """One run of a flow (platform.md#flow-runs)."""

    run_id: str
    started: datetime
    ended: datetime | None
    status: str
    #: 32-hex id of the trigger URL, read from the run's content links; None: not shown.
    trigger_url_id: str | None

    @property
    def is_going(self) -> bool:
        """Say whether the run has not ended."""
        return self.ended is None

    @property
    def has_succeeded(self) -> bool:
        """Say whether the run has ended well."""
        return self.status.lower() == "succeeded"

    @property
    def has_failed(self) -> bool:
        """Say whether the run has ended because an action failed, or took too long."""
        return self.status.lower() in {"failed", "timedout"}


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedAction:
    """An action of a run that failed (platform.md#flow-runs)."""

    name: str
    code: str
    #: Without secrets.
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowPermission:
    """One co-owner or owner of a flow (platform.md#flow-permissions)."""

    permission_id: str
    principal_id: str
    role: str
    #: `User`, `Group`, `ServicePrincipal`; empty: the answer does not tell.
    principal_type: str = ""

    @property
    def is_co_owner(self) -> bool:
        """Say whether its principal may edit the flow, as its owner may."""
        return self.role in {"Owner", "CanEdit"}

    @property
    def is_owner(self) -> bool:
        """Say whether its principal owns the flow."""
        return self.role == "Owner"

    @property
    def is_group(self) -> bool:
        """Say whether it is the permission of an Entra group."""
        return self.principal_type.lower() == "group"
