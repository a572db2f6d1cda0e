"""Define a flow as the platform's services show it. Its three ids are kept apart.

* `workflow_id`: the row in Dataverse, which a parent's child flow action names.
* `flow_name`: the id in the flow service.
* the 32-hex id inside a trigger URL: see trigger_url.py.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from shared.domain.flow_owner import FlowOwner

#: How long the platform keeps runs (platform.md#run-retention).
RUN_HISTORY = timedelta(days=28)


class FlowState(StrEnum):
    """Whether a flow runs when it is triggered."""

    ON = "on"
    OFF = "off"
    SUSPENDED = "suspended"


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowListEntry:
    """An entry of a flow list of the flow service, without a definition.

    See platform.md#microsoft-key-list, #flow-lists.
    """

    flow_name: str
    display_name: str
    #: Dataverse id; None: not in the list.
    workflow_id: str | None
    state: FlowState | None

    @property
    def identity(self) -> str:
        """Return the id by which to search for the flow in Dataverse.

        The list has no workflow id for flows outside solutions. See platform.md#solution-flow-id.
        """
        return (self.workflow_id or self.flow_name).lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowServiceFlow:
    """A flow as read from the flow service (platform.md#flow-read)."""

    flow_name: str
    display_name: str
    workflow_id: str | None
    state: FlowState
    #: The code of the platform's reason to suspend it (platform.md#suspension-reasons); `None` or
    #: empty: it is not suspended.
    suspension_reason: str = ""
    #: JSON text in the format of Dataverse's `clientdata`; None: the platform hides it from the
    #: reader.
    client_data: str | None
    #: Entra object id of the creator.
    owner_id: str
    is_managed: bool
    #: None: not in the answer.
    in_solution: bool | None
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workflow:
    """A cloud flow's row in Dataverse's table `workflow` (platform.md#workflow-table)."""

    workflow_id: str
    name: str
    state: FlowState
    #: JSON text, byte for byte as in Dataverse.
    client_data: str
    #: `systemuserid` of the owner.
    owner_id: str
    is_managed: bool
    description: str
    etag: str
    #: `modernflowtype` (platform.md#agent-flows), which marks an agent's flow; None: not in the
    #: row.
    modern_type: int | None = None
    #: When the row was last written, in whole seconds of Dataverse's clock; None: not returned.
    modified_at: datetime | None = None
    #: `workflowidunique`: mostly its name in the flow service (platform.md#flow-name-changes).
    unique_id: str = ""
    #: None: not requested.
    owner: FlowOwner | None = None

    @property
    def summary(self) -> "WorkflowSummary":
        return WorkflowSummary(
            workflow_id=self.workflow_id.lower(),
            name=self.name,
            state=self.state,
            etag=self.etag,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowSummary:
    """A flow's row in Dataverse without its definition."""

    workflow_id: str
    name: str
    state: FlowState
    #: Changes with every change of the row.
    etag: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowDraft:
    """A cloud flow to create in Dataverse, turned off, under an id that the app chooses."""

    workflow_id: str
    name: str
    description: str
    client_data: str
    #: The owner to create it for.
    owner_id: str
    #: True: `owner_id` is an Entra object id, because the original has no Dataverse row.
    owner_is_entra_id: bool = False
    #: As in `Workflow`.
    modern_type: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowUpdate:
    """Changes of a cloud flow in Dataverse. A member that is None keeps its value."""

    name: str | None = None
    client_data: str | None = None
    state: FlowState | None = None
    #: `systemuserid` of the user on whose behalf the app writes; None: as the app.
    on_behalf_of: str | None = None


#: Statuses of runs that failed, in lower case.
FAILED = frozenset({"failed", "timedout"})


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowRun:
    """A run of a flow (platform.md#flow-runs)."""

    run_id: str
    started_at: datetime
    ended_at: datetime | None
    status: str
    #: 32-hex id of the trigger URL, from the run's content links; None: not shown.
    trigger_url_id: str | None
    #: The error code of a failed run, such as `ActionFailed`; empty: none is shown.
    error_code: str = ""

    @property
    def is_running(self) -> bool:
        return self.ended_at is None

    @property
    def is_answered_call(self) -> bool:
        """Return whether the call that started the run started the flow's actions.

        A skipped run started none, and a call that the trigger rejects has no run
        (platform.md#trigger-answers).
        """
        return self.status.lower() != "skipped"

    @property
    def has_succeeded(self) -> bool:
        return self.status.lower() == "succeeded"

    @property
    def has_failed(self) -> bool:
        """Return whether the run failed or timed out."""
        return self.status.lower() in FAILED


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedAction:
    """A failed action of a run (platform.md#flow-runs)."""

    name: str
    code: str
    #: Holds no secret.
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowPermission:
    """The role of a user, group or application on a flow (platform.md#flow-permissions)."""

    principal_id: str
    role: str
    #: `User`, `Group` or `ServicePrincipal`; empty: not in the answer.
    principal_type: str = ""

    @property
    def is_co_owner(self) -> bool:
        """Return whether the principal may edit the flow."""
        return self.role in {"Owner", "CanEdit"}

    @property
    def is_owner(self) -> bool:
        return self.role == "Owner"

    @property
    def is_group(self) -> bool:
        return self.principal_type.lower() == "group"
