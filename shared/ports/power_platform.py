"""Power Platform: environments, the flow service and Dataverse."""

from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from shared.domain.definitions.connection_reference import (
    ConnectionReference,
    ConnectionReferenceDraft,
)
from shared.domain.environment import Environment
from shared.domain.flow import (
    FailedAction,
    FlowListEntry,
    FlowPermission,
    FlowRun,
    FlowServiceFlow,
    Workflow,
    WorkflowDraft,
    WorkflowSummary,
    WorkflowUpdate,
)
from shared.errors import CmkflowError


class Environments(Protocol):
    """Environments as the admin API (BAP) shows them."""

    async def list(self) -> list[Environment]:
        """Return all environments of the tenant."""

    async def get(self, environment_id: str) -> Environment:
        """Return one; raises `NotFound`."""

    async def get_cached(self, environment_id: str) -> Environment:
        """Return one as it was within the last minute; raises `NotFound`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultPage[T]:
    """One page of a list."""

    items: tuple[T, ...]
    #: Where the list goes on, to be given back as it is; empty: it ends here.
    cursor: str


class FlowReports(Protocol):
    """What the flow service reports to an administrator."""

    async def microsoft_key_flows(
        self, environment_id: str, cursor: str = "", *, cannot_migrate_only: bool
    ) -> ResultPage[FlowListEntry]:
        """Return flows on Microsoft's key, or just those that stay there.

        Up to 250. A cursor that the platform refuses raises what `FlowPages` says.

        See platform.md#microsoft-key-list.
        """

    async def list_flows(self, environment_id: str) -> list[FlowListEntry]:
        """Return every flow of the environment, lean, solution flows included."""

    async def get_flow(self, environment_id: str, flow_name: str) -> FlowServiceFlow:
        """Return one flow, with its definition where the platform shows it; raises `NotFound`."""

    async def licence(self, environment_id: str, flow_name: str) -> str | None:
        """Return the licence that a flow runs on; empty: none, None: the answer does not tell."""

    async def runs(
        self, environment_id: str, flow_name: str, *, since: datetime, limit: int = 250
    ) -> list[FlowRun]:
        """Return runs that began from `since` on, newest first, at most `limit`."""

    async def run_page(
        self,
        environment_id: str,
        flow_name: str,
        cursor: str = "",
        *,
        since: datetime,
        until: datetime,
    ) -> ResultPage[FlowRun]:
        """Return a page of runs that began from `since` up to `until`, newest first: one call.

        Up to 250. Raises `NotFound` for a flow that is gone. A cursor that the platform refuses
        raises what `FlowPages` says.
        """

    async def failed_actions(
        self, environment_id: str, flow_name: str, run_id: str
    ) -> list[FailedAction]:
        """Return the actions of a run that failed; raises `NotFound`."""


class FlowsAsServiceAccount(Protocol):
    """What only a co-owner may ask of a flow. Every call is made as the operator or for it."""

    async def permissions(self, environment_id: str, flow_name: str) -> list[FlowPermission]:
        """Return owners and co-owners."""

    async def grant(self, environment_id: str, flow_name: str) -> bool:
        """Make the operator a co-owner; says whether it is one now, and no more than that."""

    async def revoke(self, environment_id: str, flow_name: str) -> None:
        """Take the operator's co-ownership back; does nothing if it has none.

        Not for a flow that the operator owns.
        """

    async def trigger_url(self, environment_id: str, flow_name: str, trigger: str) -> str:
        """Return the trigger URL: a secret. Raises `PlatformError` where the trigger has none."""

    async def definition(self, environment_id: str, flow_name: str) -> FlowServiceFlow:
        """Return a flow as the operator sees it; raises `PlatformError` (403) if it is no
        co-owner.
        """

    async def start(self, environment_id: str, flow_name: str) -> None:
        """Turn a flow on as the operator; raises `PlatformError` (403) if it is no co-owner."""

    async def account_id(self) -> str:
        """Return the Entra object id of the operator."""

    async def renew_sign_in(self) -> datetime | None:
        """Renew the operator's sign-in by using it; raises `JobBlocked` where it has ended.

        Returns when it was renewed last; None: that is not known.
        """


class SolutionPlacement(Protocol):
    """Puts flows into a solution (platform.md#move-into-solution)."""

    async def add_to_solution(self, environment_id: str, flow_names: Sequence[str]) -> None:
        """Ask for at most 20 flows to be put into the default solution; some may come later."""


class NonSolutionFlows(Protocol):
    """Flows that are in no solution: on, off, into the recycle bin and back.

    See platform.md#flow-state.
    """

    async def start(self, environment_id: str, flow_name: str) -> None:
        """Turn a flow on; raises `NotFound`."""

    async def stop(self, environment_id: str, flow_name: str) -> None:
        """Turn a flow off; raises `NotFound`."""

    async def delete(self, environment_id: str, flow_name: str) -> None:
        """Delete a flow; does nothing if it is gone."""

    async def restore(self, environment_id: str, flow_name: str) -> None:
        """Take a flow out of the recycle bin, off; raises `NotFound` if it is not there."""


class Workflows(Protocol):
    """Cloud flows as rows of Dataverse: the supported way to write them."""

    def list(
        self, environment: Environment, *, managed_only: bool = False
    ) -> AsyncIterator[Workflow]:
        """Yield every cloud flow, or just those of managed solutions, 500 a call."""

    async def get(self, environment: Environment, workflow_id: str) -> Workflow:
        """Return one; raises `NotFound`."""

    async def known_each(
        self, environment: Environment, workflow_ids: Collection[str]
    ) -> dict[str, WorkflowSummary | CmkflowError]:
        """Return each flow without its definition, by its id, or why it is not told.

        `NotFound` stands for a flow that has no row. 2,500 flows take one call.
        """

    async def create(self, environment: Environment, draft: WorkflowDraft) -> None:
        """Create it, off, under the draft's id; raises `AlreadyExists`."""

    async def update(
        self, environment: Environment, workflow_id: str, change: WorkflowUpdate, *, etag: str
    ) -> None:
        """Change it if it still has `etag` (`*`: if it exists); raises `Conflict`, `NotFound`."""

    async def delete(self, environment: Environment, workflow_id: str, *, etag: str = "*") -> None:
        """Delete it if it still has `etag`; does nothing if it is gone. Raises `Conflict`."""


class FlowPages(Protocol):
    """Lists of flows a page at a time: who reads one can go on where another had to stop.

    A cursor that the platform takes no more is `PlatformError` (status 400 or 410) or `NotFound`.
    """

    async def workflows(self, environment: Environment, cursor: str = "") -> ResultPage[Workflow]:
        """Return cloud flows as Dataverse has them, up to 500."""

    async def workflow_summaries(
        self, environment: Environment, cursor: str = ""
    ) -> ResultPage[WorkflowSummary]:
        """Return cloud flows as Dataverse has them, without their definitions, up to 5,000."""

    async def workflows_by_id(
        self, environment: Environment, workflow_ids: Collection[str]
    ) -> list[Workflow]:
        """Return these cloud flows as Dataverse has them; those that are gone are left out."""

    async def flows(self, environment_id: str, cursor: str = "") -> ResultPage[FlowListEntry]:
        """Return flows as the flow service lists them, lean; within a budget of its own."""


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
    #: When each was last written, in whole seconds of Dataverse's clock; None: not returned.
    value_modified_at: datetime | None = None
    definition_modified_at: datetime | None = None


class EnvironmentVariables(Protocol):
    """Environment variables of Dataverse (platform.md#environment-variables)."""

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


class ConnectionReferences(Protocol):
    """Connection references of Dataverse (platform.md#connection-references)."""

    async def find(
        self, environment: Environment, connection_ids: Collection[str]
    ) -> list[ConnectionReference]:
        """Return those bound to any of these connections."""

    async def find_by_name(
        self, environment: Environment, logical_names: Collection[str]
    ) -> list[ConnectionReference]:
        """Return those with any of these logical names."""

    async def get(self, environment: Environment, reference_id: str) -> ConnectionReference:
        """Return one; raises `NotFound`."""

    async def create(self, environment: Environment, draft: ConnectionReferenceDraft) -> None:
        """Create it under the draft's id; raises `AlreadyExists`."""
