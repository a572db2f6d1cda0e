"""Add flows, and the users and connections that they belong to, to an environment."""

from collections.abc import Mapping

from shared.domain.sharing import TEAMS, USERS, DataversePrincipal, list_rights
from tests.fakes import definition_builder as define
from tests.fakes.definition_builder import Json
from tests.fakes.definitions import parse_properties
from tests.fakes.flow_service import build_trigger_url, turn_on
from tests.fakes.tenant import (
    FakeConnection,
    FakeEnvironment,
    FakeFlow,
    FakeSolution,
    FakeTeam,
    FakeUser,
)
from tests.fakes.traffic import FlowStarter, UrlHolder
from tests.fakes.world import World

SUBSCRIPTION = "/subscriptions/5f9b3c1e-0000-4000-8000-000000000001/resourceGroups/rg"


class FlowBuilder:
    """Adds flows to one environment of a `World`, by default on and in a solution."""

    def __init__(
        self, world: World, *, name: str = "Contoso", environment: FakeEnvironment | None = None
    ) -> None:
        """The flows are added to `environment`, or to a new one without an enterprise policy."""
        self.world = world
        self.environment = environment or self._add_environment(name)
        self.owner = world.add_user(f"{name} maker")

    def add_flow(
        self,
        name: str,
        trigger: Json,
        actions: Mapping[str, Json] | None = None,
        *,
        is_on: bool = True,
        in_solution: bool = True,
        owner: FakeUser | None = None,
        connections: Mapping[str, str] | None = None,
    ) -> FakeFlow:
        """Add a flow. Its owner turns it on if `is_on` is true.

        `connections` contains the connector of each connection.
        """
        world, environment = self.world, self.environment
        workflow_id = world.create_guid()
        owner = owner or self.owner
        for connection, connector in (connections or {}).items():
            self.add_connection(connection, connector, owner=owner)
        text = define.build_client_data(
            workflow_id, trigger, actions or {}, connections=connections
        )
        parse_properties(text)  # a definition that cannot be read shows here, not later
        flow = world.add_flow(
            FakeFlow(
                environment_id=environment.id,
                workflow_id=workflow_id,
                flow_name=world.create_guid() if in_solution else workflow_id,
                name=name,
                client_data=text,
                owner_id=owner.user_id,
                trigger_url_id=world.create_hex_id(),
                access_key=world.random.randbytes(32),
                created=world.clock.now(),
                in_solution=in_solution,
            )
        )
        if is_on:
            turn_on(world, flow, owner)
        return flow

    def add_http_flow(self, name: str, actions: Mapping[str, Json] | None = None) -> FakeFlow:
        return self.add_flow(name, define.build_http_trigger(), actions)

    def add_off_flow(self, name: str) -> FakeFlow:
        """Add an HTTP flow that was never on."""
        return self.add_flow(name, define.build_http_trigger(), is_on=False)

    def add_mail_flow(self, name: str) -> FakeFlow:
        """Add an HTTP flow outside solutions. It sends mail with a connection of its own, without a
        connection reference.
        """
        return self.add_flow(
            name,
            define.build_http_trigger(),
            {"Send": define.build_connector_action("shared_office365", "SendEmailV2")},
            connections={f"shared-office365-{self.world.create_hex_id()[:8]}": "shared_office365"},
            in_solution=False,
        )

    def add_teams_flow(self, name: str) -> FakeFlow:
        """Add a Teams webhook flow, which callers start by its URL."""
        trigger = define.build_request_trigger("TeamsWebhook", triggerAuthenticationType="All")
        return self.add_flow(name, trigger)

    def add_power_apps_v1_flow(self, name: str, *, in_solution: bool = False) -> FakeFlow:
        return self.add_flow(
            name, define.build_request_trigger("PowerApp"), in_solution=in_solution
        )

    def add_polling_flow(self, name: str) -> FakeFlow:
        """Add a flow that polls Teams for new messages."""
        connection = f"shared-teams-{self.world.create_hex_id()[:8]}"
        return self.add_flow(
            name,
            define.build_connector_trigger("shared_teams", "OnNewChannelMessage"),
            connections={connection: "shared_teams"},
        )

    def add_keyword_flow(self, name: str) -> FakeFlow:
        """Add a flow that a keyword in Teams starts. Such a flow stays on Microsoft's key."""
        connection = f"shared-teams-{self.world.create_hex_id()[:8]}"
        return self.add_flow(
            name,
            define.build_connector_trigger(
                "shared_teams", "WebhookKeywordTrigger", is_webhook=True
            ),
            connections={connection: "shared_teams"},
        )

    def add_admin_list_flow(self, name: str) -> FakeFlow:
        connection = f"shared-flowmanagement-{self.world.create_hex_id()[:8]}"
        return self.add_flow(
            name,
            define.build_recurrence_trigger("Day"),
            {
                "List": define.build_connector_action(
                    "shared_flowmanagement", "ListFlowsInEnvironment"
                )
            },
            connections={connection: "shared_flowmanagement"},
        )

    def add_parent(self, name: str, *children: FakeFlow, trigger: Json | None = None) -> FakeFlow:
        """Add a flow that runs other flows as child flows.

        A schedule starts it unless `trigger` is given.
        """
        actions = {
            f"Run_child_{number}": define.build_child_flow_action(child.workflow_id)
            for number, child in enumerate(children, start=1)
        }
        return self.add_flow(name, trigger or define.build_recurrence_trigger(), actions)

    def add_family(self, name: str) -> tuple[FakeFlow, FakeFlow, FakeFlow]:
        """Add and return an HTTP flow, its HTTP parent, and a scheduled parent of the parent."""
        child = self.add_http_flow(f"{name} child", {"Answer": define.build_response_action()})
        parent = self.add_parent(f"{name} parent", child, trigger=define.build_http_trigger())
        return child, parent, self.add_parent(f"{name} grandparent", parent)

    def share(self, flow: FakeFlow, holder: FakeUser | FakeTeam, role: str = "CanEdit") -> None:
        if isinstance(holder, FakeUser):
            principal = DataversePrincipal(table=USERS, id=holder.user_id)
        else:
            principal = DataversePrincipal(table=TEAMS, id=holder.team_id)
        flow.shares[principal] = list_rights(role)

    def add_solution(
        self, unique_name: str, *flows: FakeFlow, is_managed: bool = False
    ) -> FakeSolution:
        solution = FakeSolution(
            solution_id=self.world.create_guid(),
            unique_name=unique_name,
            title=f"{unique_name} title",
            is_managed=is_managed,
            flows={flow.workflow_id for flow in flows},
        )
        self.environment.solutions[solution.solution_id] = solution
        return solution

    def add_team_flow(self, name: str) -> FakeFlow:
        """Add an HTTP flow in a solution, with a co-owner and a team that may read it."""
        flow = self.add_http_flow(name)
        self.share(flow, self.world.add_user(f"{name} co-owner"))
        self.share(flow, self.world.add_team(f"{name} team"), "CanView")
        self.add_solution(f"{name}Solution", flow)
        return flow

    def get_trigger_url(self, flow: FakeFlow) -> str:
        return build_trigger_url(self.environment, flow)

    def add_starter(self, flow: FakeFlow) -> FlowStarter:
        """Add a person who starts a flow by its id at every beat of the traffic."""
        starter = FlowStarter(
            name=f"starter of {flow.name}",
            environment_id=flow.environment_id,
            workflow_id=flow.workflow_id,
        )
        self.world.traffic.systems.append(starter)
        return starter

    def add_connection(self, name: str, connector: str, *, owner: FakeUser) -> FakeConnection:
        """Add a connection, unless one with this name exists. Return it."""
        return self.environment.connections.setdefault(
            name, FakeConnection(name=name, connector=connector, owner_id=owner.user_id)
        )

    def share_connections(self) -> None:
        """Share every connection of the environment with the app."""
        for connection in self.environment.connections.values():
            connection.shared_with.add(self.world.application.user_id)

    def add_system(self, system: UrlHolder) -> UrlHolder:
        """Add a system that calls its URL at every beat of the traffic."""
        self.world.traffic.systems.append(system)
        return system

    def _add_environment(self, name: str) -> FakeEnvironment:
        environment = FakeEnvironment(
            id=self.world.create_guid(),
            display_name=name,
            dataverse_url=f"https://{name.lower().replace(' ', '')}.api.crm4.dynamics.com",
        )
        self.world.environments[environment.id] = environment
        return environment
