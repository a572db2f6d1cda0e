"""All ports for Power Platform and Azure."""

from dataclasses import dataclass

from shared.ports.assessment import CanvasApps, Connections, MachineGroups
from shared.ports.azure import (
    AppConfiguration,
    AppSettings,
    Keys,
    PolicyRestrictions,
    ResourceReader,
    ResourceSecrets,
    ResourceWriter,
    Secrets,
    ServiceTags,
    SigningKeys,
    SiteFiles,
    SynapseArtifacts,
    TaggedResourceReader,
)
from shared.ports.dataverse import Organization, TextRows
from shared.ports.json_api import JsonApi
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
from shared.ports.runtime import TimeStamps
from shared.ports.sharing import FlowSharing, PrincipalDirectory, Solutions
from shared.ports.store import DeclaredCallers


# The first two have no slots, because a class cannot inherit from two classes with slots.
@dataclass(frozen=True, kw_only=True)
class StepPorts:
    """The ports with which steps read and write Power Platform and Azure."""

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
    organization: Organization
    keys: Keys
    signing_keys: SigningKeys
    time_stamps: TimeStamps
    service_tags: ServiceTags
    resource_writer: ResourceWriter
    policy_restrictions: PolicyRestrictions


@dataclass(frozen=True, kw_only=True)
class AssessmentPorts:
    """The ports that mainly assessments use."""

    connections: Connections
    canvas_apps: CanvasApps
    machine_groups: MachineGroups
    #: Also used by the checks of the deployment.
    resources: ResourceReader


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformPorts(StepPorts, AssessmentPorts):
    """All ports for Power Platform and Azure.

    `bootstrap` provides adapters, and tests provide their own implementations.
    """

    environment_variables: EnvironmentVariables
    text_rows: TextRows
    app_settings: AppSettings
    connection_strings: AppSettings
    app_configuration: AppConfiguration
    resource_secrets: ResourceSecrets
    secrets: Secrets
    site_files: SiteFiles
    tagged_resources: TaggedResourceReader
    synapse_artifacts: SynapseArtifacts
    json_api: JsonApi
    declared_callers: DeclaredCallers
