"""The ports for Power Platform: environments, flow service and Dataverse."""

from collections.abc import AsyncGenerator, AsyncIterator, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from shared.domain.callers.observed_caller import ObservedCall
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
    """Read environments from the admin API (BAP)."""

    async def list(self) -> list[Environment]:
        """Return all environments of the tenant."""

    async def get(self, environment_id: str) -> Environment:
        """Return an environment. Raises `NotFound` if it does not exist."""

    async def get_cached(self, environment_id: str) -> Environment:
        """Return an environment as it was read within the last minute, or read it. Raises
        `NotFound` if it does not exist.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultPage[T]:
    """A page of a list, and the cursor of the next page."""

    items: tuple[T, ...]
    #: Cursor of the next page, to be passed back unchanged; "" after the last.
    cursor: str


class FlowReports(Protocol):
    """Read flows and runs from the flow service in the admin scope."""

    async def read_microsoft_key_flows(
        self, environment_id: str, cursor: str = "", *, cannot_migrate_only: bool
    ) -> ResultPage[FlowListEntry]:
        """Return up to 250 flows that are on Microsoft's key, or that cannot be migrated.

        An invalid cursor raises the errors of `FlowPages`. See platform.md#microsoft-key-list.
        """

    async def list_flows(self, environment_id: str) -> list[FlowListEntry]:
        """Return all flows of the environment without details, solution flows included."""

    async def get_flow(self, environment_id: str, flow_name: str) -> FlowServiceFlow:
        """Return a flow, with its definition if the platform returns it.

        Raises `NotFound` if the flow does not exist.
        """

    async def read_licence(self, environment_id: str, flow_name: str) -> str | None:
        """Return a flow's licence, "" if it has none, or None if the response does not
        include it.
        """

    async def read_runs(
        self, environment_id: str, flow_name: str, *, since: datetime, limit: int = 250
    ) -> list[FlowRun]:
        """Return up to `limit` runs that began at or after `since`, newest first."""

    async def read_run_page(
        self,
        environment_id: str,
        flow_name: str,
        cursor: str = "",
        *,
        since: datetime,
        until: datetime,
    ) -> ResultPage[FlowRun]:
        """Return up to 250 runs that began between `since` and `until`, newest first.

        Sends one request. Raises `NotFound` if the flow does not exist. An invalid cursor raises
        the errors of `FlowPages`.
        """

    async def read_runs_in_progress(
        self, environment_id: str, flow_name: str, *, since: datetime, until: datetime
    ) -> list[FlowRun]:
        """Return the runs in progress that began between `since` and `until`.

        Raises `NotFound` if the flow does not exist.
        """

    def read_calls(
        self, environment_id: str, flow_name: str, *, since: datetime, limit: int
    ) -> AsyncGenerator[ObservedCall]:
        """Yield calls that began after `since` and that the flow answered, oldest first.

        Yields at most the newest 250. Reads the headers of the newest `limit` calls, with one
        request each. The headers of a call can be missing. Raises `NotFound` if the flow does not
        exist.
        """

    async def read_failed_actions(
        self, environment_id: str, flow_name: str, run_id: str
    ) -> list[FailedAction]:
        """Return the failed actions of a run. Raises `NotFound` if the run does not exist."""


class FlowsAsServiceAccount(Protocol):
    """Send the requests that need co-ownership of a flow, and change that co-ownership."""

    async def read_permissions(self, environment_id: str, flow_name: str) -> list[FlowPermission]:
        """Return the owners and co-owners of a flow."""

    async def grant(self, environment_id: str, flow_name: str) -> bool:
        """Grant the service account co-ownership, and return whether the platform granted it."""

    async def revoke(self, environment_id: str, flow_name: str) -> None:
        """Revoke the service account's co-ownership; do nothing if it has none.

        Must not be called for a flow that the service account owns.
        """

    async def read_trigger_url(self, environment_id: str, flow_name: str, trigger: str) -> str:
        """Return the secret URL that starts a flow.

        Raises `PlatformError` if the trigger has none.
        """

    async def read_definition(self, environment_id: str, flow_name: str) -> FlowServiceFlow:
        """Return a flow with its definition, read with the rights of the service account.

        Raises `PlatformError` (403) if the service account is not a co-owner.
        """

    async def start(self, environment_id: str, flow_name: str) -> None:
        """Turn a flow on as the service account.

        Raises `PlatformError` (403) if the service account is not a co-owner.
        """

    async def read_account_id(self) -> str:
        """Return the Entra object id of the service account."""

    async def renew_sign_in(self) -> datetime | None:
        """Renew the service account's sign-in, and return when it was last renewed.

        Returns None if the time is unknown. Raises `JobBlocked` if the sign-in has expired.
        """


class SolutionPlacement(Protocol):
    """Move flows into a solution (platform.md#move-into-solution)."""

    async def add_to_solution(self, environment_id: str, flow_names: Sequence[str]) -> None:
        """Request that up to 20 flows move into the default solution.

        The move may complete later.
        """


class NonSolutionFlows(Protocol):
    """Turn flows outside solutions on and off, delete and restore them.

    See platform.md#flow-state.
    """

    async def start(self, environment_id: str, flow_name: str) -> None:
        """Turn a flow on. Raises `NotFound` if it does not exist."""

    async def stop(self, environment_id: str, flow_name: str) -> None:
        """Turn a flow off. Raises `NotFound` if it does not exist."""

    async def delete(self, environment_id: str, flow_name: str) -> None:
        """Delete a flow; do nothing if it does not exist."""

    async def restore(self, environment_id: str, flow_name: str) -> None:
        """Restore a deleted flow from the recycle bin, turned off.

        Raises `NotFound` if it is not there.
        """


class Workflows(Protocol):
    """Read and write cloud flows as rows of Dataverse. This is the supported way to write flows."""

    def list(
        self, environment: Environment, *, managed_only: bool = False
    ) -> AsyncIterator[Workflow]:
        """Yield all cloud flows, or only managed ones. Reads up to 500 with each request."""

    async def get(self, environment: Environment, workflow_id: str) -> Workflow:
        """Return a flow. Raises `NotFound` if it does not exist."""

    async def read_summaries(
        self, environment: Environment, workflow_ids: Collection[str]
    ) -> dict[str, WorkflowSummary | CmkflowError]:
        """Return each flow without its definition, or an error, by id.

        The error is `NotFound` for a flow without a row. One request reads up to 2,500 flows.
        """

    async def create(self, environment: Environment, draft: WorkflowDraft) -> None:
        """Create a flow, turned off, with the draft's id. Raises `AlreadyExists` if it exists."""

    async def update(
        self, environment: Environment, workflow_id: str, change: WorkflowUpdate, *, etag: str
    ) -> None:
        """Change a flow if it has `etag` (`*` matches any).

        Raises `Conflict` if it has another, and `NotFound` if it does not exist.
        """

    async def delete(self, environment: Environment, workflow_id: str, *, etag: str = "*") -> None:
        """Delete a flow if it has `etag`; do nothing if it does not exist.

        Raises `Conflict` if it has another ETag.
        """


class FlowPages(Protocol):
    """Read lists of flows page by page, so that another invocation can continue from a cursor.

    An invalid cursor raises `PlatformError` (status 400 or 410) or `NotFound`.
    """

    async def read_workflows(
        self, environment: Environment, cursor: str = ""
    ) -> ResultPage[Workflow]:
        """Return up to 500 cloud flows from Dataverse."""

    async def read_workflow_summaries(
        self, environment: Environment, cursor: str = ""
    ) -> ResultPage[WorkflowSummary]:
        """Return up to 5,000 cloud flows from Dataverse, without definitions."""

    async def read_workflows_by_id(
        self, environment: Environment, workflow_ids: Collection[str]
    ) -> list[Workflow]:
        """Return the cloud flows with these ids from Dataverse.

        Ids that do not exist are omitted.
        """

    async def read_flows(self, environment_id: str, cursor: str = "") -> ResultPage[FlowListEntry]:
        """Return a page of flows from the flow service, without details.

        These requests have a separate budget inside that of the flow service.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentVariable:
    """A Dataverse environment variable. If `value_id` is None, only the default is set."""

    definition_id: str
    schema_name: str
    value_id: str | None
    value: str | None
    default_value: str | None
    value_etag: str = ""
    definition_etag: str = ""
    #: Time of the last write of each, in whole seconds of Dataverse's clock; None: not returned.
    value_modified_at: datetime | None = None
    definition_modified_at: datetime | None = None


class EnvironmentVariables(Protocol):
    """Read and write environment variables of Dataverse (platform.md#environment-variables)."""

    async def list(self, environment: Environment) -> list[EnvironmentVariable]:
        """Return all variables."""

    async def write_value(
        self, environment: Environment, value_id: str, value: str, *, etag: str
    ) -> None:
        """Replace a variable's value.

        Raises `Conflict` if the ETag differs, and `NotFound` if the value does not exist.
        """

    async def write_default(
        self, environment: Environment, definition_id: str, value: str, *, etag: str
    ) -> None:
        """Replace a variable's default.

        Raises `Conflict` if the ETag differs, and `NotFound` if the variable does not exist.
        """


class ConnectionReferences(Protocol):
    """Read and create connection references of Dataverse (platform.md#connection-references)."""

    async def find_by_connection(
        self, environment: Environment, connection_ids: Collection[str]
    ) -> list[ConnectionReference]:
        """Return the references to any of these connections."""

    async def find_by_name(
        self, environment: Environment, logical_names: Collection[str]
    ) -> list[ConnectionReference]:
        """Return the references with any of these logical names."""

    async def get(self, environment: Environment, reference_id: str) -> ConnectionReference:
        """Return the connection reference with an id. Raises `NotFound` if it does not exist."""

    async def create(self, environment: Environment, draft: ConnectionReferenceDraft) -> None:
        """Create a reference with the draft's id. Raises `AlreadyExists` if it exists."""
