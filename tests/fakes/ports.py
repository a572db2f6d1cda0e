"""Build all fakes for one tenant in memory.

They are typed as the product's ports, so that mypy checks that they fit.
"""

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
from shared.state.tables import Tables
from tests.fakes.app_configuration import FakeAppConfiguration
from tests.fakes.app_settings import FakeAppSettings, FakeConnectionStrings
from tests.fakes.assessment import FakeCanvasApps, FakeConnections, FakeMachineGroups
from tests.fakes.connection_references import FakeConnectionReferences
from tests.fakes.crash import Plan, wrap_with_plan
from tests.fakes.declared_callers import FakeDeclaredCallers
from tests.fakes.environment_variables import FakeEnvironmentVariables
from tests.fakes.environments import FakeEnvironments
from tests.fakes.flow_access import FakeFlowAccess
from tests.fakes.flow_pages import FakeFlowPages
from tests.fakes.flow_placement import FakeFlowPlacement
from tests.fakes.flow_reports import FakeFlowReports
from tests.fakes.flow_switch import FakeFlowSwitch
from tests.fakes.json_api import FakeJsonApi
from tests.fakes.keys import FakeFirewalls, FakeKeys, FakeServiceTags
from tests.fakes.memory_archive import MemoryArchive
from tests.fakes.memory_store import MemoryStore
from tests.fakes.messages import FakeMessages
from tests.fakes.organization import FakeOrganization
from tests.fakes.policy_restrictions import FakePolicyRestrictions
from tests.fakes.resource_reader import FakeResourceReader
from tests.fakes.resource_secrets import FakeResourceSecrets
from tests.fakes.resource_writer import FakeResourceWriter
from tests.fakes.runtime import FakeNotices
from tests.fakes.secrets import FakeSecrets
from tests.fakes.sharing import FakeFlowSharing, FakePrincipals
from tests.fakes.signing_keys import FakeSigningKeys
from tests.fakes.site_files import FakeSiteFiles
from tests.fakes.solutions import FakeSolutions
from tests.fakes.synapse import FakeSynapseArtifacts
from tests.fakes.text_rows import FakeTextRows
from tests.fakes.time_stamps import FakeTimeStamps
from tests.fakes.workflows import FakeWorkflows
from tests.fakes.world import World


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports(PlatformPorts):
    """All ports of the app, for a use case in a test."""

    clock: Clock
    store: Store
    archive: Archive
    messages: MessageSender
    notices: AlertSender
    firewalls: FirewallKind

    def wrap_with_plan(self, plan: Plan) -> Self:
        """Return ports whose external calls `plan` may interrupt."""
        return replace(
            self,
            **{one.name: wrap_with_plan(getattr(self, one.name), plan) for one in fields(self)},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Fakes:
    """A tenant in memory, the app's store, archive and message broker, and all ports for them."""

    world: World
    store: MemoryStore
    archive: MemoryArchive
    messages: FakeMessages
    notices: FakeNotices
    ports: Ports


def build_fakes(world: World, *, order: Random | None = None) -> Fakes:
    """Return the fakes for a tenant.

    Messages are delivered in the random order of `order`, if given.
    """
    store, archive = MemoryStore(), MemoryArchive()
    messages, notices = FakeMessages(world.clock, order=order), FakeNotices()
    ports = Ports(
        clock=world.clock,
        store=store,
        archive=archive,
        messages=messages,
        notices=notices,
        environments=FakeEnvironments(world),
        flow_reports=FakeFlowReports(world),
        flow_pages=FakeFlowPages(world),
        flow_access=FakeFlowAccess(world),
        flow_switch=FakeFlowSwitch(world),
        flow_placement=FakeFlowPlacement(world),
        workflows=FakeWorkflows(world),
        connection_references=FakeConnectionReferences(world),
        flow_sharing=FakeFlowSharing(world),
        principals=FakePrincipals(world),
        solutions=FakeSolutions(world),
        environment_variables=FakeEnvironmentVariables(world),
        text_rows=FakeTextRows(world),
        app_configuration=FakeAppConfiguration(world),
        app_settings=FakeAppSettings(world),
        connection_strings=FakeConnectionStrings(world),
        synapse_artifacts=FakeSynapseArtifacts(world),
        json_api=FakeJsonApi(world),
        resource_secrets=FakeResourceSecrets(world),
        policy_restrictions=FakePolicyRestrictions(world),
        secrets=FakeSecrets(world),
        site_files=FakeSiteFiles(world),
        declared_callers=FakeDeclaredCallers(world, Tables(store).declared_callers),
        keys=FakeKeys(world),
        signing_keys=FakeSigningKeys(world),
        time_stamps=FakeTimeStamps(world),
        service_tags=FakeServiceTags(world),
        resources=ResumableResources(FakeResourceReader(world)),
        tagged_resources=FakeResourceReader(world),
        resource_writer=FakeResourceWriter(world),
        firewalls=FakeFirewalls(world),
        connections=FakeConnections(world),
        canvas_apps=FakeCanvasApps(world),
        machine_groups=FakeMachineGroups(world),
        organization=FakeOrganization(world),
    )
    return Fakes(
        world=world,
        store=store,
        archive=archive,
        messages=messages,
        notices=notices,
        ports=ports,
    )
