"""Simulate a tenant in memory, with a clock and a record of every write."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from random import Random
from typing import Any
from uuid import UUID

from local_cloud.tenant.core.assumptions import Assumptions
from local_cloud.tenant.core.earlier_times import Past, draw_lag
from shared.domain.callers.declared_caller import DeclaredCaller
from shared.domain.keys.key import EnterprisePolicy, KeyVault, KeyVersion, RoleAssignment
from shared.domain.network.firewall import Firewall
from shared.errors import NotFound, PlatformError
from shared.ports import KeyValue, SiteFile
from tests.fakes.clock import ManualClock
from tests.fakes.records import Switch, Write
from tests.fakes.tenant import (
    FakeEnvironment,
    FakeFlow,
    FakeSecret,
    FakeSite,
    FakeTeam,
    FakeUser,
    FakeVersion,
)
from tests.fakes.traffic import Traffic


class World:
    """A tenant of Power Platform and Azure in memory. All its random values depend on `seed`."""

    def __init__(self, *, seed: int = 0) -> None:
        """Create an empty tenant with the app's two identities: its application and its service
        account.
        """
        self.random = Random(seed)  # noqa: S311 -- repeatable tests, no secrets
        self.clock = ManualClock()
        self.assumptions = Assumptions()
        #: Reports name no Dataverse id and no state: all that Microsoft's module reads
        #: (platform.md#microsoft-key-list).
        self.reports_are_bare = False
        #: The flow service says what licence a flow runs on (platform.md#flow-licence).
        self.tells_licences = True
        #: Cursors of lists are not taken back: the pages begin anew.
        self.cursors_expired = False
        #: Flows a page of the reports of flows on Microsoft's key.
        self.report_page = 250
        #: Runs a page.
        self.run_page = 50
        #: Connections and canvas apps in a page.
        self.power_apps_page = 50
        #: Whether the app has the right to act for another user in Dataverse
        #: (platform.md#impersonation).
        self.may_act_on_behalf = True
        #: Connector → whether its connections sign in by OAuth; a strange one does not tell.
        self.oauth_connectors = {"shared_teams": True, "shared_sql": False}
        self.users: dict[str, FakeUser] = {}
        #: Everybody who is or was a user: flows go on naming an owner who left.
        self._ever: dict[str, FakeUser] = {}
        #: By `teamid`.
        self.teams: dict[str, FakeTeam] = {}
        #: Whether the app may share flows and change solutions of which it is not the owner.
        self.may_share = True
        self.may_change_solutions = True
        self.environments: dict[str, FakeEnvironment] = {}
        self.sites: dict[str, FakeSite] = {}
        #: Declared before the app's first request; others are rows of the app.
        self.declared_callers: list[DeclaredCaller] = []
        #: By vault URL and name.
        self.secrets: dict[tuple[str, str], FakeSecret] = {}
        #: App Service may not read secrets although the rights say so.
        self.are_references_denied = False
        #: Id of an assignment of Azure Policy -> the resource type that it denies; `*`: all.
        self.policy_assignments: dict[str, str] = {}
        self.are_policies_hidden = False
        #: Resource ids of the checks.
        self.policy_checks: list[str] = []
        #: The error of every write of an Azure resource.
        self.denial: PlatformError | None = None
        #: Actions that no role of the app permits in Synapse workspaces.
        self.denied_synapse_actions: set[str] = set()
        self.policies: dict[str, EnterprisePolicy] = {}
        self.vaults: dict[str, KeyVault] = {}
        #: By vault id and principal.
        self.roles: dict[tuple[str, str], list[RoleAssignment]] = {}
        #: By vault URL and key name, newest first.
        self.keys: dict[tuple[str, str], list[KeyVersion]] = {}
        self.firewalls: list[Firewall] = []
        #: What the app is given, by resource group in small letters; elsewhere it may do all.
        self.permissions: dict[str, Mapping[str, object]] = {}
        self.may_all: Mapping[str, object] = {"actions": ["*"], "dataActions": ["*"]}
        #: Files of Logic Apps (Standard) by site and path.
        self.site_files: dict[tuple[str, str], SiteFile] = {}
        #: Key-values of App Configuration by store URL, key and label.
        self.key_values: dict[tuple[str, str, str], KeyValue] = {}
        #: By service and path: documents outside Azure, such as service hooks.
        self.json_documents: dict[str, dict[str, Mapping[str, object]]] = {}
        #: By service: organizations, repositories or sites that the app searches.
        self.json_scopes: dict[str, set[str]] = {}
        #: By service: those that do not know the app.
        self.rejecting_scopes: dict[str, set[str]] = {}
        #: Raw Azure resources by lower-case id, and what lies below them by id and suffix.
        self.resources: dict[str, Mapping[str, object]] = {}
        #: Id of a container app → its secrets as its containers read them when they started.
        self.secrets_in_use: dict[str, Mapping[str, str]] = {}
        self.containers_started: dict[str, datetime] = {}
        #: Named values in Key Vault by lower-case id, as last read, and when.
        self.named_values_in_use: dict[str, tuple[str, datetime]] = {}
        #: Status of the last read of each named value's secret.
        self.refresh_status = "Success"
        #: How many of them a page holds.
        self.resource_page = 1000
        #: Lower-case tag → prefixes.
        self.service_tags: dict[str, list[str]] = {}
        self.service_tags_edition = 371
        #: By 32-hex id; a flow that was deleted and made again has another.
        self.flows_by_url_id: dict[str, FakeFlow] = {}
        self.traffic = Traffic()
        self.writes: list[Write] = []
        self.switches: list[Switch] = []
        #: Called after every write; what they return is kept in `violations`.
        self.watchers: list[Callable[[World], list[str]]] = []
        self.violations: list[str] = []
        #: What Dataverse calls act as, and who reads trigger URLs.
        self.application = self.add_user("Remediation app")
        self.operator = self.add_user("Remediation operator")
        #: Ids of users without any security role.
        self.without_roles: set[str] = set()
        #: Its password was changed, or a policy asks for it again.
        self.is_operator_signed_out = False

    # --- making things -----------------------------------------------------------------------

    def create_guid(self) -> str:
        return str(UUID(int=self.random.getrandbits(128), version=4))

    def create_hex_id(self) -> str:
        return f"{self.random.getrandbits(128):032x}"

    def create_secret_version(self, value: str) -> FakeVersion:
        return FakeVersion(self.create_hex_id(), value, self.clock.now())

    def add_user(self, name: str) -> FakeUser:
        user = FakeUser(user_id=self.create_guid(), entra_id=self.create_guid(), name=name)
        return self.add_user_row(user)

    def add_user_row(self, user: FakeUser) -> FakeUser:
        self.users[user.user_id] = self._ever[user.user_id] = user
        return user

    def add_team(self, name: str) -> FakeTeam:
        """Add a team of an Entra group."""
        entra_id = self.create_guid()
        team = FakeTeam(team_id=self.create_guid(), name=name, entra_id=entra_id)
        self.teams[team.team_id] = team
        return team

    def add_flow(self, flow: FakeFlow) -> FakeFlow:
        self.get_environment(flow.environment_id).flows[flow.workflow_id] = flow
        self.flows_by_url_id[flow.trigger_url_id] = flow
        return flow

    # --- finding things ----------------------------------------------------------------------

    def get_environment(self, environment_id: str) -> FakeEnvironment:
        """Return an environment. Raises `NotFound` if it does not exist."""
        try:
            return self.environments[environment_id]
        except KeyError:
            raise NotFound(f"the environment {environment_id} could not be found") from None

    def get_user(self, user_id: str) -> FakeUser:
        """Return a user by `systemuserid`.

        Raises Dataverse's `PlatformError` if the id is unknown.
        """
        try:
            return self.users[user_id]
        except KeyError:
            raise _build_unknown_user_error() from None

    def get_entra_id(self, user_id: str) -> str:
        """Return the Entra object id of a present or former user."""
        return self._ever[user_id].entra_id

    def get_user_by_entra_id(self, entra_id: str) -> FakeUser:
        """Return a user by Entra object id. Raises `PlatformError` if the id is unknown."""
        for user in self.users.values():
            if user.entra_id == entra_id:
                return user
        raise _build_unknown_user_error()

    def get_acting_user(self, user_id: str, *, is_entra_id: bool = False) -> FakeUser:
        """Return the user on whose behalf the app acts.

        Raises `PlatformError` if the app may not act for that user. Dataverse checks this before it
        reads a row.
        """
        user = self.get_user_by_entra_id(user_id) if is_entra_id else self.get_user(user_id)
        if user.is_disabled:
            raise PlatformError("The specified user is disabled.", code="0x80040225", status=403)
        if not self.may_act_on_behalf:
            message = "Principal user is missing prvActOnBehalfOfAnotherUser privilege."
            raise PlatformError(message, code="0x80040220", status=403)
        return user

    def get_workflow(self, environment_id: str, workflow_id: str) -> FakeFlow:
        """Return a flow by its id in Dataverse. Raises `NotFound` if it does not exist."""
        flow = self.get_environment(environment_id).flows.get(workflow_id.lower())
        if flow is None or flow.is_deleted:
            raise NotFound(f"workflow With Id = {workflow_id} Does Not Exist")
        return flow

    def get_served_environment(self, environment_id: str) -> FakeEnvironment:
        """Return an environment for a request to the flow service.

        Raises `PlatformError` if it is unknown. The flow service answers in the same way for an
        environment in which the app has no rights.
        """
        if environment_id not in self.environments:
            raise PlatformError("no access", code="EnvironmentAccessDenied", status=403)
        return self.environments[environment_id]

    def get_flow(self, environment_id: str, flow_name: str) -> FakeFlow:
        """Return a flow by its id in the flow service. Raises `NotFound` or `PlatformError`."""
        for flow in self.get_served_environment(environment_id).list_live_flows():
            if flow.flow_name == flow_name:
                return flow
        raise NotFound(f"Could not find flow '{flow_name}'.")

    def list_shown_flows(self, environment_id: str, *, in_list: bool = False) -> Iterator[FakeFlow]:
        """Yield the flows of an environment as reads of one flow, or lists, show them now. Raises
        `PlatformError` as `get_served_environment` does.
        """
        now = self.clock.now()
        for flow in self.get_served_environment(environment_id).flows.values():
            shown: FakeFlow | None = flow.past.find_shown_item(flow, now, in_list=in_list)
            if shown is not None and not shown.is_deleted:
                yield shown

    def get_shown_flow(self, environment_id: str, flow_name: str) -> FakeFlow:
        """Return a flow as reads show it now, by its id in the flow service.

        Raises `NotFound` if it does not exist.
        """
        for flow in self.list_shown_flows(environment_id):
            if flow.flow_name == flow_name:
                return flow
        raise NotFound(f"Could not find flow '{flow_name}'.")

    def get_shown_workflow(self, environment_id: str, workflow_id: str) -> FakeFlow:
        """Return a flow as reads show it now, by its id in Dataverse.

        Raises `NotFound` if it does not exist.
        """
        self.get_environment(environment_id)
        for flow in self.list_shown_flows(environment_id):
            if flow.workflow_id == workflow_id.lower():
                return flow
        raise NotFound(f"workflow With Id = {workflow_id} Does Not Exist")

    def list_flows(self) -> Iterator[FakeFlow]:
        for environment in self.environments.values():
            yield from environment.list_live_flows()

    # --- writing -----------------------------------------------------------------------------

    @contextmanager
    def record_write(self, environment_id: str | None, what: str, target: str) -> Iterator[None]:
        """Record the changes in the block as one write, unless it raises an error, and run the
        watchers. Reads may lag behind the changes.
        """
        if self.denial and target.startswith("/subscriptions/"):
            raise self.denial
        lag = draw_lag(self.assumptions, self.random, self.clock.now())
        before = {
            id(one): one.copy_for_reads()
            for one in self._list_written(environment_id, target)
            if lag
        }
        yield
        if lag:
            for one in self._list_written(environment_id, target):
                one.past.keep(before.get(id(one)), lag)
        self.writes.append(
            Write(at=self.clock.now(), environment_id=environment_id, what=what, target=target)
        )
        for watcher in self.watchers:
            self.violations += [f"after {what} {target}: {seen}" for seen in watcher(self)]

    def let_reference_lag(self, environment: FakeEnvironment, reference_id: str) -> None:
        """Hide a new connection reference from reads while they lag behind writes."""
        if lag := draw_lag(self.assumptions, self.random, self.clock.now()):
            past = environment.unseen_references.setdefault(reference_id, Past())
            past.keep(None, lag)

    def let_reads_lag(self, flow: FakeFlow) -> None:
        """Keep the flow as it is for reads that lag behind a change. Call this before a change that
        the app does not make.
        """
        if lag := draw_lag(self.assumptions, self.random, self.clock.now()):
            flow.past.keep(flow.copy_for_reads(), lag)

    def _list_written(self, environment_id: str | None, target: str) -> list[Any]:
        environment, names = self.environments.get(environment_id or ""), set(target.split(","))
        if environment is None:
            return []
        flows, variables = environment.flows.values(), environment.variables.values()
        return [
            *(flow for flow in flows if names & {flow.workflow_id, flow.flow_name}),
            *(one for one in variables if names & {one.definition_id, one.value_id}),
            *(
                row
                for rows in environment.rows.values()
                for row in rows.values()
                if row.id in names
            ),
        ]


def _build_unknown_user_error() -> PlatformError:
    return PlatformError("The impersonated user does not exist.", code="0x80072560", status=403)


class WorldFake:
    """The base class of fakes that read and write a `World`."""

    def __init__(self, world: World) -> None:
        self._world = world
