"""The services that a tenant has. A new service is a module and a line here.

A service module has `HOSTS` and `routes(tenant) -> list[Route]`; its state is
`tenant.part(ItsState)`, its seed section is read by a function that seed/tenant.py calls.
"""

from local_cloud.tenant.azure import key_vault, resource_manager
from local_cloud.tenant.core.routing import Service
from local_cloud.tenant.dataverse import web_api as dataverse
from local_cloud.tenant.entra import endpoints as entra
from local_cloud.tenant.flow_service import routes as flow_service
from local_cloud.tenant.flows import trigger_endpoints
from local_cloud.tenant.power_platform import environments as bap
from local_cloud.tenant.power_platform import power_apps

SERVICES: tuple[Service, ...] = (
    Service(name="entra", hosts=entra.HOSTS, routes=entra.routes),
    Service(name="bap", hosts=bap.HOSTS, routes=bap.routes),
    Service(name="flow_service", hosts=flow_service.HOSTS, routes=flow_service.routes),
    Service(name="power_apps", hosts=power_apps.HOSTS, routes=power_apps.routes),
    Service(name="dataverse", hosts=dataverse.HOSTS, routes=dataverse.routes),
    Service(name="triggers", hosts=trigger_endpoints.HOSTS, routes=trigger_endpoints.routes),
    Service(
        name="resource_manager",
        hosts=resource_manager.HOSTS,
        routes=resource_manager.routes,
    ),
    Service(name="key_vault", hosts=key_vault.HOSTS, routes=key_vault.routes),
)
