"""All ports onto Power Platform and Azure, in one bundle."""

from dataclasses import dataclass

from shared.ports.assessment import CanvasApps, Connections, MachineGroups, Organization
from shared.ports.azure import AppSettings, Keys, ResourceReader, Secrets, ServiceTags
from shared.ports.power_platform import (
    ConnectionReferences,
    Environments,
    EnvironmentVariables,
    FlowAccess,
    FlowPages,
    FlowPlacement,
    FlowReports,
    FlowSwitch,
    Workflows,
)
from shared.ports.sharing import FlowSharing, Principals, Solutions


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformPorts:
    """What `bootstrap` fills with adapters and the tests with twins: both pass one suite.

    A kind of caller or firewall may be built on any of them (`shared/kinds.py`).
    """

    environments: Environments
    flow_reports: FlowReports
    flow_pages: FlowPages
    flow_access: FlowAccess
    flow_switch: FlowSwitch
    flow_placement: FlowPlacement
    workflows: Workflows
    connection_references: ConnectionReferences
    flow_sharing: FlowSharing
    principals: Principals
    solutions: Solutions
    environment_variables: EnvironmentVariables
    app_settings: AppSettings
    secrets: Secrets
    keys: Keys
    service_tags: ServiceTags
    resources: ResourceReader
    connections: Connections
    canvas_apps: CanvasApps
    machine_groups: MachineGroups
    organization: Organization
