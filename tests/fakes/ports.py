"""All twins of one world, typed as the product's ports: mypy proves that they fit."""

from dataclasses import dataclass, fields, replace
from random import Random
from typing import Self

from shared.ports import (
    AlertSender,
    Archive,
    Clock,
    FirewallKind,
    MessageSender,
    PlatformPorts,
    Store,
)
from shared.resumable_resources import ResumableResources
from tests.fakes.alerts import NoticesTwin
from tests.fakes.app_settings import AppSettingsTwin
from tests.fakes.assessment import (
    CanvasAppsTwin,
    ConnectionsTwin,
    MachineGroupsTwin,
    OrganizationTwin,
)
from tests.fakes.connection_references import ConnectionReferencesTwin
from tests.fakes.crash import Plan, interrupting
from tests.fakes.environment_variables import EnvironmentVariablesTwin
from tests.fakes.environments import EnvironmentsTwin
from tests.fakes.flow_access import FlowAccessTwin
from tests.fakes.flow_pages import FlowPagesTwin
from tests.fakes.flow_placement import FlowPlacementTwin
from tests.fakes.flow_reports import FlowReportsTwin
from tests.fakes.flow_switch import FlowSwitchTwin
from tests.fakes.keys import FirewallsTwin, KeysTwin, ServiceTagsTwin
from tests.fakes.memory_archive import MemoryArchive
from tests.fakes.memory_store import MemoryStore
from tests.fakes.messages import MessagesTwin
from tests.fakes.resource_reader import ResourceReaderTwin
from tests.fakes.resource_writer import ResourceWriterTwin
from tests.fakes.secrets import SecretsTwin
from tests.fakes.sharing import FlowSharingTwin, PrincipalsTwin
from tests.fakes.solutions import SolutionsTwin
from tests.fakes.test_world import World
from tests.fakes.workflows import WorkflowsTwin


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports(PlatformPorts):
    """What a use case may be given."""

    clock: Clock
    store: Store
    archive: Archive
    messages: MessageSender
    notices: AlertSender
    firewalls: FirewallKind

    def under(self, plan: Plan) -> Self:
        """Return the same ports, with every call of any of them under `plan`."""
        return replace(
            self,
            **{one.name: interrupting(getattr(self, one.name), plan) for one in fields(self)},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Twins:
    """A world with its store, archive and broker, and the ports onto them."""

    world: World
    store: MemoryStore
    archive: MemoryArchive
    messages: MessagesTwin
    notices: NoticesTwin
    ports: Ports


def twins_of(world: World, *, order: Random | None = None) -> Twins:
    """Return the twins of `world`; messages come in the order drawn from `order`."""
    store, archive = MemoryStore(), MemoryArchive()
    messages, notices = MessagesTwin(world.clock, order=order), NoticesTwin()
    ports = Ports(
        clock=world.clock,
        store=store,
        archive=archive,
        messages=messages,
        notices=notices,
        environments=EnvironmentsTwin(world),
        flow_reports=FlowReportsTwin(world),
        flow_pages=FlowPagesTwin(world),
        flow_access=FlowAccessTwin(world),
        flow_switch=FlowSwitchTwin(world),
        flow_placement=FlowPlacementTwin(world),
        workflows=WorkflowsTwin(world),
        connection_references=ConnectionReferencesTwin(world),
        flow_sharing=FlowSharingTwin(world),
        principals=PrincipalsTwin(world),
        solutions=SolutionsTwin(world),
        environment_variables=EnvironmentVariablesTwin(world),
        app_settings=AppSettingsTwin(world),
        secrets=SecretsTwin(world),
        keys=KeysTwin(world),
        service_tags=ServiceTagsTwin(world),
        resources=ResumableResources(ResourceReaderTwin(world)),
        resource_writer=ResourceWriterTwin(world),
        firewalls=FirewallsTwin(world),
        connections=ConnectionsTwin(world),
        canvas_apps=CanvasAppsTwin(world),
        machine_groups=MachineGroupsTwin(world),
        organization=OrganizationTwin(world),
    )
    return Twins(
        world=world,
        store=store,
        archive=archive,
        messages=messages,
        notices=notices,
        ports=ports,
    )
