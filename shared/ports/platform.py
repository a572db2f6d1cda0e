"""All ports onto Power Platform and Azure, in one bundle."""

from dataclasses import dataclass

from shared.ports.assessment import CanvasApps, Connections, MachineGroups, Organization
from shared.ports.azure import (
    AppSettings,
    Keys,
    ResourceReader,
    ResourceWriter,
    Secrets,
    ServiceTags,
)
from shared.ports.power_platform import (
    ConnectionReferences,
    Environments,
    EnvironmentVariables,
    FlowPages,
    FlowReports,
    FlowsAsServiceAccount,
    NonSolutionFlows,
    SolutionPlacement,
    Workflows,
)
from shared.ports.sharing import FlowSharing, PrincipalDirectory, Solutions


# The first two have no slots: a class cannot be made of two that have them.
@dataclass(frozen=True, kw_only=True)
class StepPorts:
    """What the steps ask of the platform, and write there."""

    environments: Environments
    flow_reports: FlowReports
    flow_pages: FlowPages
    flow_access: FlowsAsServiceAccount
    flow_switch: NonSolutionFlows
    flow_placement: SolutionPlacement
    workflows: Workflows
    connection_references: ConnectionReferences
    flow_sharing: FlowSharing
    principals: PrincipalDirectory
    solutions: Solutions
    keys: Keys
    service_tags: ServiceTags
    resource_writer: ResourceWriter


@dataclass(frozen=True, kw_only=True)
class AssessmentPorts:
    """What only an assessment asks of the platform; all of it is read."""

    connections: Connections
    canvas_apps: CanvasApps
    machine_groups: MachineGroups
    organization: Organization
    #: Also for what examines the deployment.
    resources: ResourceReader


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformPorts(StepPorts, AssessmentPorts):
    """What `bootstrap` fills with adapters and the tests with their own: both pass one suite.

    A kind of caller or firewall may be built on any of them (`shared/kind_discovery.py`).
    """

    environment_variables: EnvironmentVariables
    app_settings: AppSettings
    secrets: Secrets
