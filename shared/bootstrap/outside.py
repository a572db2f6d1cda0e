"""The services of Microsoft that the product calls, and the ports that stand on them."""

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from shared.bootstrap.ground import Ground
from shared.services import AssessmentPorts

if TYPE_CHECKING:
    from shared.adapters.state.call_budget import CallBudget
    from shared.ports import (
        AppSettings,
        CanvasApps,
        Environments,
        EnvironmentVariables,
        FlowAccess,
        FlowPages,
        Secrets,
        Workflows,
    )


class Outside:
    """The services of Microsoft that the adapters share, each with its audience and its budget."""

    def __init__(self, ground: Ground) -> None:
        from shared.adapters.azure import key_vault
        from shared.adapters.azure import resource_manager as arm
        from shared.adapters.dataverse.web_api import Dataverse
        from shared.adapters.flow_service import flows as flow_service
        from shared.adapters.http.client import Service
        from shared.adapters.power_platform import admin as power_platform_admin

        settings = ground.settings
        self._ground = ground
        self._flow_budget = ground.budget("flow-service", settings.flow_service_calls_per_minute)
        self.flow_service = Service(
            name="Flow service",
            scope=flow_service.SCOPE,
            credential=ground.credential,
            budget=self._flow_budget,
        )
        self.resource_manager = Service(
            name="Azure Resource Manager",
            scope=arm.SCOPE,
            credential=ground.credential,
            budget=ground.budget("resource-manager", settings.resource_manager_calls_per_minute),
        )
        self.power_platform = Service(
            name="Power Platform admin API",
            scope=power_platform_admin.SCOPE,
            credential=ground.credential,
        )
        vaults = Service(name="Key Vault", scope=key_vault.SCOPE, credential=ground.credential)
        self.vaults = key_vault.VaultContents(ground.http, vaults)
        self.dataverse = Dataverse(ground.http, ground.credential, self._dataverse_budget)
        self.resources = arm.ResourceManager(
            ground.http, self.resource_manager, settings.subscription_ids
        )

    def assessment_ports(self) -> AssessmentPorts:
        """Return what only an assessment asks."""
        from shared.adapters.dataverse.machine_groups import DataverseMachineGroups
        from shared.adapters.dataverse.organization import DataverseOrganization
        from shared.adapters.power_apps.connections import PowerAppsConnections

        http = self._ground.http
        return AssessmentPorts(
            connections=PowerAppsConnections(http, self.power_platform),
            canvas_apps=self.canvas_apps,
            machine_groups=DataverseMachineGroups(self.dataverse),
            organization=DataverseOrganization(self.dataverse),
        )

    def flow_pages(self) -> "FlowPages":
        """Return the lists of flows by pages; those of the flow service have a small budget."""
        from shared.adapters.flow_service.pages import OwnShare, ServiceFlowPages

        ground, whole = self._ground, self.flow_service
        calls = ground.settings.reconciliation_calls_per_minute
        share = OwnShare(ground.budget("reconciliation", calls), self._flow_budget)
        listing = replace(whole, budget=share)
        return ServiceFlowPages(ground.http, self.dataverse, listing)

    # --- what kinds may be built on, each told by `KindPorts` -----------------------------------

    @cached_property
    def environments(self) -> "Environments":
        from shared.adapters.power_platform.admin import PowerPlatformAdmin

        return PowerPlatformAdmin(self._ground.http, self.power_platform)

    @cached_property
    def workflows(self) -> "Workflows":
        from shared.adapters.dataverse.workflows import DataverseWorkflows

        return DataverseWorkflows(self.dataverse)

    @cached_property
    def environment_variables(self) -> "EnvironmentVariables":
        from shared.adapters.dataverse.environment_variables import DataverseEnvironmentVariables

        return DataverseEnvironmentVariables(self.dataverse)

    @cached_property
    def app_settings(self) -> "AppSettings":
        from shared.adapters.azure.app_settings import SiteAppSettings

        return SiteAppSettings(self.resources)

    @cached_property
    def secrets(self) -> "Secrets":
        from shared.adapters.azure.key_vault_secrets import VaultSecrets

        return VaultSecrets(self.vaults, self.resources)

    @cached_property
    def canvas_apps(self) -> "CanvasApps":
        from shared.adapters.power_apps.canvas_apps import PowerAppsCanvasApps

        return PowerAppsCanvasApps(self._ground.http, self.power_platform)

    def flow_access(self) -> "FlowAccess":
        """Return the access to flows: the application's, and the operator's if there is one."""
        from shared.adapters.entra.identity import OperatorCredential, OperatorSettings
        from shared.adapters.entra.no_operator import NoOperator
        from shared.adapters.flow_service.access import FlowServiceAccess

        settings = self._ground.settings
        operator: OperatorCredential | NoOperator = NoOperator()
        if settings.operator_client_id:
            chosen = OperatorSettings(
                tenant_id=settings.tenant_id,
                client_id=settings.operator_client_id,
                cache_secret=settings.operator_token_cache_secret,
            )
            operator = OperatorCredential(chosen, self.secrets)
        as_operator = replace(self.flow_service, credential=operator)
        return FlowServiceAccess(self._ground.http, self.flow_service, as_operator, operator)

    def _dataverse_budget(self, url: str) -> "CallBudget":
        host = urlsplit(url).hostname or url
        return self._ground.budget(host, self._ground.settings.dataverse_calls_per_minute)
