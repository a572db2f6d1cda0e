"""Store a cloud flow: one object for the flow service, Dataverse and the trigger URL."""

import hashlib
import hmac
import secrets
from base64 import urlsafe_b64encode
from collections import deque
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from local_cloud.tenant.core.earlier_times import Past
from local_cloud.tenant.environments.flow_facts import (
    FlowFacts,
    InvalidDefinitionError,
    parse_client_data,
    read_facts,
)

#: How long the platform keeps a run.
RUN_HISTORY = timedelta(days=28)


class SimulatedFlowState(StrEnum):
    STARTED = "Started"
    STOPPED = "Stopped"
    SUSPENDED = "Suspended"
    DELETED = "Deleted"


class SimulatedRole(StrEnum):
    OWNER = "Owner"
    CAN_EDIT = "CanEdit"
    CAN_VIEW = "CanView"


@dataclass(slots=True, kw_only=True)
class Run:
    """A run of a flow. Its status is Running until `ends`, and `outcome` afterwards."""

    name: str
    started: datetime
    ends: datetime
    trigger_name: str
    outcome: str = "Succeeded"
    error: dict[str, str] | None = None
    client_tracking_id: str = ""
    #: JSON of the headers and body of its call; None: it had no call, or its trigger secures them.
    trigger_outputs: bytes | None = field(default=None, repr=False)
    #: Action name → status, code, error: as `properties.actions` of a run.
    actions: dict[str, dict[str, Any]] = field(default_factory=dict)

    def compute_status(self, now: datetime) -> str:
        return "Running" if now < self.ends else self.outcome


@dataclass(slots=True, kw_only=True, eq=False)
class Flow:
    """A cloud flow with all its data."""

    #: Name in the flow service; for most flows equal to the Dataverse id.
    name: str
    #: Dataverse `workflowid`.
    workflow_entity_id: str
    display_name: str
    client_data: str
    #: Object id of the owner.
    owner: str
    created: datetime
    modified: datetime
    created_by: str = ""
    modified_by: str = ""
    #: Object id of the application that created it on somebody's behalf.
    created_on_behalf_by: str | None = None
    description: str = ""
    #: `modernflowtype`: 0 is a plain cloud flow, 1 of Copilot Studio, 2 of Microsoft 365
    #: (platform.md#agent-flows).
    modern_type: int = 0
    state: SimulatedFlowState = SimulatedFlowState.STOPPED
    suspension_reason: str = "None"
    #: How it was before its latest writes, which reads may not see yet.
    past: Past["Flow"] = field(default_factory=Past)
    is_managed: bool = False
    is_in_solution: bool = True
    #: Unique names of the unmanaged solutions it was added to.
    solutions: set[str] = field(default_factory=set)
    #: Object id (of a team without a group: the team's id) → role, without the owner's.
    roles: dict[str, SimulatedRole] = field(default_factory=dict)
    #: The same holders' rights in Dataverse, where they were given one by one.
    rights: dict[str, frozenset[str]] = field(default_factory=dict)
    version: int = 1
    #: Internal 32-hex id, the one in trigger URLs.
    workflow_id: str = field(default_factory=lambda: secrets.token_hex(16))
    access_key: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    #: `classic`, `environment` or `capacity_unit`.
    url_form: str = "environment"
    #: Whether it was ever turned on (before that it has no URL).
    was_on: bool = False
    #: On the customer's key since when; None: on Microsoft's.
    protected_since: datetime | None = None
    #: Kept on Microsoft's key whatever its definition says.
    is_held_back: bool = False
    #: Connections that the flow may use, no matter who turns it on (platform.md#flow-grants).
    granted_connections: set[str] = field(default_factory=set)
    #: A logical name of a connection reference that the platform added, and does not find: every
    #: save of the flow is refused. Empty: none (platform.md#stamped-references).
    stamped_reference: str = ""
    #: How often a refused save has emptied its connection references (platform.md#rejected-saves).
    references_wiped: int = 0
    #: Until when its saves are refused for now; None: it was not saved while it was on
    #: (platform.md#unpublished-rows).
    saves_pass_from: datetime | None = None
    #: Environment variables as of the last save or activation (platform.md#stale-variables).
    saved_variables: dict[str, str] = field(default_factory=dict)
    runs: deque[Run] = field(default_factory=deque)
    #: Seconds that a run lasts.
    run_seconds: float = 0.0
    #: When a recurrence is next due.
    next_due: datetime | None = None
    #: Events that a polling trigger has not seen, because the flow was off.
    backlog: list[dict[str, Any]] = field(default_factory=list)
    _facts: FlowFacts | None = None

    def get_facts(self) -> FlowFacts:
        """Return what the platform reads from the definition, cached until the next save."""
        if self._facts is None:
            self._facts = read_facts(self.parse_properties())
        return self._facts

    def parse_properties(self) -> dict[str, Any]:
        """Parse `definition` and `connectionReferences`. The caller may change the result."""
        return parse_client_data(self.client_data)

    def save(self, client_data: str) -> None:
        """Replace the definition. Raises `InvalidDefinitionError` if it is invalid."""
        try:
            facts = read_facts(parse_client_data(client_data))
        except (KeyError, TypeError, AttributeError) as error:
            raise InvalidDefinitionError(f"The template is not valid: {error!r}.") from error
        self.client_data, self._facts = client_data, facts

    def copy_for_reads(self) -> "Flow":
        """Return a copy that reads may show while they lag.

        It shares the runs, which do not lag.
        """
        return replace(
            self,
            roles=dict(self.roles),
            rights=dict(self.rights),
            solutions=set(self.solutions),
            past=Past(),
        )

    def touch(self, by: str, now: datetime) -> None:
        """Record the person and the time of a change, and set a new row version."""
        self.modified, self.modified_by = now, by
        self.version += 1

    def find_role(self, object_id: str) -> SimulatedRole | None:
        return SimulatedRole.OWNER if object_id == self.owner else self.roles.get(object_id)

    def may_be_edited_by(self, object_id: str) -> bool:
        return self.find_role(object_id) in (SimulatedRole.OWNER, SimulatedRole.CAN_EDIT)

    def is_protected(self, now: datetime) -> bool:
        return self.protected_since is not None and self.protected_since <= now

    def share(self, holder: str, role: SimulatedRole, rights: frozenset[str] | None = None) -> None:
        """Give a principal a role, unless it is the owner.

        Without `rights`, it gets those of the role.
        """
        if holder != self.owner:
            self.roles[holder] = role
            self.rights.pop(holder, None)
            if rights is not None:
                self.rights[holder] = rights

    def unshare(self, holder: str) -> bool:
        self.rights.pop(holder, None)
        return self.roles.pop(holder, None) is not None

    def compute_signature(self) -> str:
        """Return the signature (`sig`) of the trigger URL.

        A save changes it only with the trigger's name or path.
        """
        facts = self.get_facts()
        signed = f"{self.workflow_id}/{facts.trigger_name}/{facts.relative_path}"
        digest = hmac.digest(self.access_key, signed.encode(), hashlib.sha256)
        return urlsafe_b64encode(digest).rstrip(b"=").decode()

    def list_kept_runs(self, now: datetime) -> list[Run]:
        """Return the runs that the platform still lists, newest first."""
        kept = [run for run in self.runs if run.started >= now - RUN_HISTORY]
        return sorted(kept, key=lambda run: run.started, reverse=True)

    def add_run(self, run: Run) -> None:
        """Add a new run, and remove those that the platform would have deleted."""
        while self.runs and self.runs[0].started < run.started - RUN_HISTORY:
            self.runs.popleft()
        self.runs.append(run)
