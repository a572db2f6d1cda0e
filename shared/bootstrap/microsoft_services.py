"""Build the Microsoft services and the ports that use them."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from shared.bootstrap.core_services import CoreServices
from shared.ports import (
    FlowPages,
    FlowsAsServiceAccount,
    PlatformPorts,
    Secrets,
    ServiceTags,
)

if TYPE_CHECKING:
    from shared.adapters.flow_service.service import FlowService
    from shared.adapters.http.client import HttpService
    from shared.adapters.state.request_budget import StoredRequestBudget

#: The app's folder; an absolute path is used as is.
_APP = Path(__file__).parents[2]
#: Maximum of an adaptive budget, as a multiple of its initial value.
_RISES_TO = 4


class MicrosoftServices:
    """The clients of Microsoft services that adapters share."""

    def __init__(self, ground: CoreServices) -> None:
        from shared.adapters.azure import key_vault
        from shared.adapters.azure import resource_manager as arm
        from shared.adapters.dataverse.web_api import Dataverse
        from shared.adapters.http.client import HttpService
        from shared.adapters.power_platform import PowerPlatformAdmin

        settings, self._cloud = ground.settings, ground.settings.cloud
        self._ground = ground
        calls = settings.flow_service_requests_per_minute
        most = settings.flow_service_max_requests_per_minute or _RISES_TO * calls
        writes = settings.flow_service_writes_per_hour or 60 * calls
        self.flow_budget = ground.build_budget(
            "flow-service",
            calls,
            most=most,
            writes_an_hour=writes,
            calls_a_day=settings.flow_service_requests_per_day,
        )
        self._flows = HttpService(
            name="Flow service",
            scope=self._cloud.flow_service_scope,
            credential=ground.credential,
            budget=self.flow_budget,
        )
        self.resource_manager = HttpService(
            name="Azure Resource Manager",
            scope=self._cloud.resource_manager_scope,
            credential=ground.credential,
            budget=ground.build_budget(
                "resource-manager", settings.resource_manager_requests_per_minute
            ),
        )
        self.power_platform = HttpService(
            name="Power Platform admin API",
            scope=self._cloud.power_apps_scope,
            credential=ground.credential,
            # A list of Power Apps can have its next page at Resource Manager
            # (platform.md#connection-list).
            domains=(
                self._cloud.power_platform_admin_host,
                self._cloud.power_apps_host,
                self._cloud.resource_manager_host,
            ),
        )
        self._environments = PowerPlatformAdmin(
            ground.http, self.power_platform, ground.clock, self._cloud
        )
        self.flow_service = self._build_flow_service(self._flows)
        vaults = HttpService(
            name="Key Vault", scope=self._cloud.key_vault_scope, credential=ground.credential
        )
        self.vaults = key_vault.VaultClient(ground.http, vaults)
        self.dataverse = Dataverse(ground.http, ground.credential, self._build_dataverse_budget)
        self.resources = arm.ResourceManager(
            ground.http, self.resource_manager, settings.subscription_ids, self._cloud
        )

    def build_ports(self) -> PlatformPorts:
        """Return all ports for Power Platform and Azure, without any request."""
        from shared.adapters.azure import app_configuration
        from shared.adapters.azure.app_settings import SiteAppSettings, SiteConnectionStrings
        from shared.adapters.azure.key_vault_keys import VaultKeys
        from shared.adapters.azure.key_vault_secrets import VaultSecrets
        from shared.adapters.azure.policy_restrictions import CheckedPolicyRestrictions
        from shared.adapters.azure.resource_secrets import ListedResourceSecrets
        from shared.adapters.azure.signing_keys import VaultSigningKeys
        from shared.adapters.azure.site_files import RuntimeSiteFiles
        from shared.adapters.azure.synapse import WorkspaceArtifacts
        from shared.adapters.dataverse.connection_references import DataverseConnectionReferences
        from shared.adapters.dataverse.environment_variables import DataverseEnvironmentVariables
        from shared.adapters.dataverse.machine_groups import DataverseMachineGroups
        from shared.adapters.dataverse.organization import DataverseOrganization
        from shared.adapters.dataverse.principals import DataversePrincipalDirectory
        from shared.adapters.dataverse.sharing import DataverseSharing
        from shared.adapters.dataverse.solutions import DataverseSolutions
        from shared.adapters.dataverse.text_rows import DataverseTextRows
        from shared.adapters.dataverse.workflows import DataverseWorkflows
        from shared.adapters.flow_service.flows import (
            FlowServiceNonSolutionFlows,
            FlowServiceReports,
        )
        from shared.adapters.flow_service.placement import FlowServiceSolutionPlacement
        from shared.adapters.http.client import HttpService
        from shared.adapters.http.json_api import HttpJsonApi
        from shared.adapters.power_apps.canvas_apps import PowerAppsCanvasApps
        from shared.adapters.power_apps.connections import PowerAppsConnections
        from shared.adapters.time_stamps import TimeStampAuthorities
        from shared.resumable_resources import ResumableResources
        from shared.state.tables import Tables

        http, dataverse = self._ground.http, self.dataverse
        secrets = VaultSecrets(self.vaults, self.resources)
        return PlatformPorts(
            environments=self._environments,
            flow_reports=FlowServiceReports(self.flow_service),
            flow_pages=self._build_flow_pages(),
            flow_access=self._build_flows_as_service_account(secrets),
            flow_switch=FlowServiceNonSolutionFlows(self.flow_service),
            flow_placement=FlowServiceSolutionPlacement(self.flow_service),
            workflows=DataverseWorkflows(dataverse),
            connection_references=DataverseConnectionReferences(dataverse),
            flow_sharing=DataverseSharing(dataverse),
            principals=DataversePrincipalDirectory(dataverse),
            solutions=DataverseSolutions(dataverse),
            environment_variables=DataverseEnvironmentVariables(dataverse),
            text_rows=DataverseTextRows(dataverse),
            app_configuration=app_configuration.StoredAppConfiguration(
                http,
                HttpService(
                    name="App Configuration",
                    scope=self._cloud.app_configuration_scope,
                    credential=self._ground.credential,
                ),
                self.resources,
            ),
            app_settings=SiteAppSettings(self.resources),
            connection_strings=SiteConnectionStrings(self.resources),
            resource_secrets=ListedResourceSecrets(self.resources),
            policy_restrictions=CheckedPolicyRestrictions(self.resources),
            secrets=secrets,
            declared_callers=Tables(self._ground.store).declared_callers,
            keys=VaultKeys(self.vaults, self.resources),
            signing_keys=VaultSigningKeys(self.vaults),
            time_stamps=TimeStampAuthorities(http),
            service_tags=self._build_service_tags(),
            resources=ResumableResources(self.resources),
            resource_writer=self.resources,
            tagged_resources=self.resources,
            synapse_artifacts=WorkspaceArtifacts(
                http,
                HttpService(
                    name="Synapse",
                    scope=self._cloud.synapse_scope,
                    credential=self._ground.credential,
                ),
                self._cloud,
            ),
            json_api=HttpJsonApi(http, self._ground.credential, self._ground.settings),
            connections=PowerAppsConnections(http, self.power_platform, self._cloud),
            canvas_apps=PowerAppsCanvasApps(http, self.power_platform, self._cloud),
            site_files=RuntimeSiteFiles(http, self.resource_manager, self.resources, self._cloud),
            machine_groups=DataverseMachineGroups(dataverse),
            organization=DataverseOrganization(dataverse),
        )

    def _build_flow_service(self, service: "HttpService") -> "FlowService":
        from shared.adapters.flow_service.service import FlowService

        return FlowService(self._ground.http, service, self._environments, self._cloud)

    def _build_service_tags(self) -> ServiceTags:
        from shared.adapters.azure.service_tags import DiscoveredServiceTags, DownloadedServiceTags

        settings = self._ground.settings
        if settings.service_tags_file:
            return DownloadedServiceTags(_APP / settings.service_tags_file)
        subscription = settings.subscription_ids[0]
        return DiscoveredServiceTags(
            self._ground.http, self.resource_manager, subscription, self._cloud
        )

    def _build_flow_pages(self) -> FlowPages:
        from shared.adapters.flow_service.pages import NestedBudget, ServiceFlowPages

        ground = self._ground
        calls = ground.settings.full_comparison_requests_per_minute
        share = NestedBudget(ground.build_budget("reconciliation", calls), self.flow_budget)
        listing = self._build_flow_service(replace(self._flows, budget=share))
        return ServiceFlowPages(self.dataverse, listing)

    def _build_flows_as_service_account(self, secrets: Secrets) -> FlowsAsServiceAccount:
        from shared.adapters.entra.identity import ServiceAccountCredential, ServiceAccountSettings
        from shared.adapters.entra.no_service_account import NoServiceAccount
        from shared.adapters.flow_service.access import FlowServiceAccountFlows

        settings = self._ground.settings
        operator: ServiceAccountCredential | NoServiceAccount = NoServiceAccount()
        if settings.service_account_client_id:
            chosen = ServiceAccountSettings(
                tenant_id=settings.tenant_id,
                client_id=settings.service_account_client_id,
                cache_secret=settings.service_account_token_cache_secret,
                authority=self._cloud.authority_url,
            )
            operator = ServiceAccountCredential(chosen, secrets)
        as_account = self._build_flow_service(replace(self._flows, credential=operator))
        return FlowServiceAccountFlows(self.flow_service, as_account, operator)

    def _build_dataverse_budget(self, url: str) -> "StoredRequestBudget":
        host = urlsplit(url).hostname or url
        return self._ground.build_budget(host, self._ground.settings.dataverse_requests_per_minute)
