"""Define the hosts, token audiences and domains of Microsoft's clouds.

The values of all clouds except the public one are untested: they come from Microsoft's PowerShell
module and documentation (platform.md#clouds).
"""

from dataclasses import dataclass, replace
from enum import StrEnum


class CloudName(StrEnum):
    """The Microsoft cloud in which a tenant is."""

    PUBLIC = "public"
    GCC = "gcc"  #: Power Platform for US Government; Azure and Entra are those of the public cloud
    GCC_HIGH = "gcc_high"
    DOD = "dod"
    CHINA = "china"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cloud:
    """The hosts, audiences and domains of a cloud. Hosts and domains have no scheme."""

    #: Host of Microsoft Entra ID, which issues tokens.
    sign_in_host: str
    resource_manager_host: str
    #: Host of the admin API (BAP), and of Power Apps. Both have the same token audience.
    power_platform_admin_host: str
    power_apps_host: str
    power_apps_audience: str
    #: All hosts of the flow service are this one or its subdomains.
    flow_service_host: str
    flow_service_audience: str
    #: Host of Power Automate's pages for makers.
    maker_portal_host: str
    #: Domain of the hosts of environments, and the digits of the id that their last label has.
    power_platform_domain: str
    environment_digits: int
    #: Parent domain of the earlier hosts of trigger URLs.
    logic_apps_domain: str
    dataverse_domain: str
    key_vault_domain: str
    app_configuration_audience: str
    #: Domain of the development endpoints of workspaces.
    synapse_domain: str
    storage_domain: str
    app_service_domain: str

    @property
    def authority_url(self) -> str:
        return f"https://{self.sign_in_host}"

    @property
    def resource_manager_url(self) -> str:
        return f"https://{self.resource_manager_host}"

    @property
    def resource_manager_scope(self) -> str:
        """Return the scope of tokens for Azure Resource Manager."""
        return f"{self.resource_manager_url}/.default"

    @property
    def power_apps_scope(self) -> str:
        """Return the scope of tokens for the admin API and Power Apps."""
        return f"{self.power_apps_audience}/.default"

    @property
    def flow_service_scope(self) -> str:
        """Return the scope of tokens for the flow service.

        The audience ends in a slash, which the scope keeps (platform.md#audience-slash).
        """
        return f"{self.flow_service_audience}//.default"

    @property
    def key_vault_scope(self) -> str:
        """Return the scope of tokens for Key Vault's data plane."""
        return f"https://{self.key_vault_domain}/.default"

    @property
    def app_configuration_scope(self) -> str:
        """Return the scope of tokens for App Configuration's data plane."""
        return f"{self.app_configuration_audience}/.default"

    @property
    def service_bus_domain(self) -> str:
        """Return the parent domain of Service Bus namespaces."""
        return self.storage_domain.replace("core.", "servicebus.", 1)

    @property
    def synapse_scope(self) -> str:
        """Return the scope of tokens for the development endpoints of Synapse."""
        return f"https://{self.synapse_domain}/.default"

    @property
    def domains(self) -> frozenset[str]:
        """Return domains of the hosts of Microsoft's services."""
        return frozenset(
            {
                self.sign_in_host,
                self.resource_manager_host,
                self.power_platform_admin_host,
                self.power_apps_host,
                self.flow_service_host,
                self.power_platform_domain,
                self.logic_apps_domain,
                self.dataverse_domain,
                self.key_vault_domain,
                self.storage_domain,
                self.app_service_domain,
            }
        )

    def build_runs_url(self, environment_id: str, flow_name: str) -> str:
        """Return the URL of the page with the runs of a flow."""
        place = f"environments/{environment_id}/flows/{flow_name}/runs"
        return f"https://{self.maker_portal_host}/{place}"

    def derive_environment_host(self, environment_id: str) -> str:
        """Return the host of an environment's trigger URLs, derived as in Microsoft's clients."""
        name, digits = environment_id.replace("-", "").lower(), self.environment_digits
        return f"{name[:-digits]}.{name[-digits:]}.environment.{self.power_platform_domain}"


PUBLIC = Cloud(
    sign_in_host="login.microsoftonline.com",
    resource_manager_host="management.azure.com",
    power_platform_admin_host="api.bap.microsoft.com",
    power_apps_host="api.powerapps.com",
    power_apps_audience="https://service.powerapps.com",
    flow_service_host="api.flow.microsoft.com",
    flow_service_audience="https://service.flow.microsoft.com",
    maker_portal_host="make.powerautomate.com",
    power_platform_domain="api.powerplatform.com",
    environment_digits=2,
    logic_apps_domain="logic.azure.com",
    dataverse_domain="dynamics.com",
    key_vault_domain="vault.azure.net",
    app_configuration_audience="https://azconfig.io",
    synapse_domain="dev.azuresynapse.net",
    storage_domain="core.windows.net",
    app_service_domain="azurewebsites.net",
)
_GCC = replace(
    PUBLIC,
    power_platform_admin_host="gov.api.bap.microsoft.us",
    power_apps_host="gov.api.powerapps.us",
    power_apps_audience="https://gov.service.powerapps.us",
    flow_service_host="gov.api.flow.microsoft.us",
    flow_service_audience="https://gov.service.flow.microsoft.us",
    maker_portal_host="make.gov.powerautomate.us",
    power_platform_domain="api.gov.powerplatform.microsoft.us",
    environment_digits=1,
    logic_apps_domain="logic.azure.us",
)
_GCC_HIGH = Cloud(
    sign_in_host="login.microsoftonline.us",
    resource_manager_host="management.usgovcloudapi.net",
    power_platform_admin_host="high.api.bap.microsoft.us",
    power_apps_host="high.api.powerapps.us",
    power_apps_audience="https://high.service.powerapps.us",
    flow_service_host="high.api.flow.microsoft.us",
    flow_service_audience="https://high.service.flow.microsoft.us",
    maker_portal_host="make.high.powerautomate.us",
    power_platform_domain="api.high.powerplatform.microsoft.us",
    environment_digits=1,
    logic_apps_domain="logic.azure.us",
    dataverse_domain="microsoftdynamics.us",
    key_vault_domain="vault.usgovcloudapi.net",
    app_configuration_audience="https://appconfig.azure.us",
    synapse_domain="dev.azuresynapse.usgovcloudapi.net",
    storage_domain="core.usgovcloudapi.net",
    app_service_domain="azurewebsites.us",
)
_DOD = replace(
    _GCC_HIGH,
    power_platform_admin_host="api.bap.appsplatform.us",
    power_apps_host="api.apps.appsplatform.us",
    power_apps_audience="https://service.apps.appsplatform.us",
    flow_service_host="api.flow.appsplatform.us",
    flow_service_audience="https://service.flow.appsplatform.us",
    maker_portal_host="make.powerautomate.appsplatform.us",
    power_platform_domain="api.appsplatform.us",
    dataverse_domain="appsplatform.us",
)
_CHINA = Cloud(
    sign_in_host="login.partner.microsoftonline.cn",
    resource_manager_host="management.chinacloudapi.cn",
    power_platform_admin_host="api.bap.partner.microsoftonline.cn",
    power_apps_host="api.powerapps.cn",
    power_apps_audience="https://service.powerapps.cn",
    flow_service_host="api.powerautomate.cn",
    flow_service_audience="https://service.powerautomate.cn",
    maker_portal_host="make.powerautomate.cn",
    power_platform_domain="api.powerplatform.partner.microsoftonline.cn",
    environment_digits=1,
    logic_apps_domain="logic.azure.cn",
    dataverse_domain="dynamics.cn",
    key_vault_domain="vault.azure.cn",
    app_configuration_audience="https://appconfig.azure.cn",
    synapse_domain="dev.azuresynapse.azure.cn",
    storage_domain="core.chinacloudapi.cn",
    app_service_domain="chinacloudsites.cn",
)
CLOUDS = {
    CloudName.PUBLIC: PUBLIC,
    CloudName.GCC: _GCC,
    CloudName.GCC_HIGH: _GCC_HIGH,
    CloudName.DOD: _DOD,
    CloudName.CHINA: _CHINA,
}


def find_cloud_of_vault(url: str) -> Cloud:
    """Return the cloud of a vault from its URL, or the public cloud if none matches."""
    host = url.partition("://")[2].partition("/")[0].partition(":")[0].lower()
    found = (one for one in CLOUDS.values() if host.endswith(f".{one.key_vault_domain}"))
    return next(found, PUBLIC)
