"""List the services of a tenant.

A new service is a module that a line here names, or one with `EXTERNAL`. A service module has
`HOSTS`, `build_routes(tenant) -> list[Route]` and `OPTIONS`. Its state is
`tenant.get_part(ItsState)`. A function that seed/tenant.py calls reads its section of the seed. A
module of `external_services` names its service and this function in `EXTERNAL`.
"""

from local_cloud.tenant.azure import app_configuration, key_vault, resource_manager, synapse
from local_cloud.tenant.core.routing import Service
from local_cloud.tenant.dataverse import web_api as dataverse
from local_cloud.tenant.entra import endpoints as entra
from local_cloud.tenant.entra import graph
from local_cloud.tenant.external_services import list_external_services
from local_cloud.tenant.flow_service import packages
from local_cloud.tenant.flow_service import routes as flow_service
from local_cloud.tenant.flows import trigger_endpoints
from local_cloud.tenant.power_platform import environments as bap
from local_cloud.tenant.power_platform import management_api, power_apps
from local_cloud.tenant.receivers import event_grid, teams, webhook
from local_cloud.tenant.time_stamps import endpoints as time_stamps

SERVICES: tuple[Service, ...] = (
    Service(name="entra", hosts=entra.HOSTS, routes=entra.build_routes, options=None),
    Service(name="graph", hosts=graph.HOSTS, routes=graph.build_routes, options=graph.OPTIONS),
    Service(
        name="bap",
        hosts=(*bap.HOSTS, packages.BLOB_HOST),
        routes=lambda tenant: [*bap.build_routes(tenant), *packages.build_bap_routes()],
        options=bap.OPTIONS | packages.OPTIONS,
    ),
    Service(
        name="flow_service",
        hosts=flow_service.HOSTS,
        routes=flow_service.build_routes,
        options=flow_service.OPTIONS,
    ),
    Service(
        name="power_platform_api",
        hosts=management_api.HOSTS,
        routes=management_api.build_routes,
        options=management_api.OPTIONS,
    ),
    Service(
        name="power_apps",
        hosts=power_apps.HOSTS,
        routes=power_apps.build_routes,
        options=power_apps.OPTIONS,
    ),
    Service(
        name="dataverse",
        hosts=dataverse.HOSTS,
        routes=dataverse.build_routes,
        options=dataverse.OPTIONS,
        query_refused="0x80060888",
    ),
    Service(
        name="triggers",
        hosts=trigger_endpoints.HOSTS,
        routes=trigger_endpoints.build_routes,
        options=None,
    ),
    Service(
        name="resource_manager",
        hosts=resource_manager.HOSTS,
        routes=resource_manager.build_routes,
        options=resource_manager.OPTIONS,
    ),
    Service(
        name="key_vault",
        hosts=key_vault.HOSTS,
        routes=key_vault.build_routes,
        options=key_vault.OPTIONS,
        query_refused="BadParameter",
    ),
    Service(
        name="app_configuration",
        hosts=app_configuration.HOSTS,
        routes=app_configuration.build_routes,
        options=app_configuration.OPTIONS,
    ),
    Service(
        name="synapse", hosts=synapse.HOSTS, routes=synapse.build_routes, options=synapse.OPTIONS
    ),
    *(one.service for one in list_external_services()),
    Service(
        name="event_grid",
        hosts=event_grid.HOSTS,
        routes=event_grid.build_routes,
        options=event_grid.OPTIONS,
    ),
    Service(
        name="time_stamps",
        hosts=time_stamps.HOSTS,
        routes=time_stamps.build_routes,
        options=time_stamps.OPTIONS,
    ),
    Service(
        name="webhook", hosts=webhook.HOSTS, routes=webhook.build_routes, options=webhook.OPTIONS
    ),
    # The address of a channel has options that its sender does not know.
    Service(name="teams", hosts=teams.HOSTS, routes=teams.build_routes, options=None),
)
