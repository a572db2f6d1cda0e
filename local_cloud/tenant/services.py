"""The services that a tenant has. A new service is a module and a line here.

A service module has `HOSTS` and `routes(tenant) -> list[Route]`; its state is
`tenant.part(ItsState)`, its seed section is read by a function that seed.py calls.
"""

from local_cloud.tenant import (
    azure_key_vault,
    azure_resource_manager,
    bap,
    dataverse,
    entra,
    flow_service,
    power_apps,
    trigger_endpoints,
)
from local_cloud.tenant.routing import Service

SERVICES: tuple[Service, ...] = (
    Service(name="entra", hosts=entra.HOSTS, routes=entra.routes),
    Service(name="bap", hosts=bap.HOSTS, routes=bap.routes),
    Service(name="flow_service", hosts=flow_service.HOSTS, routes=flow_service.routes),
    Service(name="power_apps", hosts=power_apps.HOSTS, routes=power_apps.routes),
    Service(name="dataverse", hosts=dataverse.HOSTS, routes=dataverse.routes),
    Service(name="triggers", hosts=trigger_endpoints.HOSTS, routes=trigger_endpoints.routes),
    Service(
        name="resource_manager",
        hosts=azure_resource_manager.HOSTS,
        routes=azure_resource_manager.routes,
    ),
    Service(name="key_vault", hosts=azure_key_vault.HOSTS, routes=azure_key_vault.routes),
)
