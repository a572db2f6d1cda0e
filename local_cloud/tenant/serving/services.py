"""List the services of a tenant.

A new service is a module that a line here names, or one with `EXTERNAL`. A service module has
`HOSTS`, `build_routes(tenant) -> list[Route]` and `OPTIONS`. Its state is
`tenant.get_part(ItsState)`. A function that seed/tenant.py calls reads its section of the seed. A
module of `external_services` names its service and this function in `EXTERNAL`.
"""

from collections.abc import Mapping
from typing import Protocol

from starlette.routing import Route

from local_cloud.tenant.azure import app_configuration, key_vault, resource_manager, synapse
from local_cloud.tenant.core.routing import Service
from local_cloud.tenant.core.tenant import Tenant
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


class ServiceModule(Protocol):
    """A module that serves one service, with the options that its routes implement."""

    @property
    def HOSTS(self) -> tuple[str, ...]: ...  # noqa: N802 -- a module's constant

    @property
    def OPTIONS(self) -> Mapping[str, tuple[str, ...]]: ...  # noqa: N802

    def build_routes(self, tenant: Tenant) -> list[Route]: ...


def _build_service(
    name: str, module: ServiceModule, *, query_error: str = "InvalidQueryParameter"
) -> Service:
    return Service(
        name=name,
        hosts=module.HOSTS,
        routes=module.build_routes,
        options=module.OPTIONS,
        query_refused=query_error,
    )


SERVICES: tuple[Service, ...] = (
    Service(name="entra", hosts=entra.HOSTS, routes=entra.build_routes, options=None),
    _build_service("graph", graph),
    Service(
        name="bap",
        hosts=(*bap.HOSTS, packages.BLOB_HOST),
        routes=lambda tenant: [*bap.build_routes(tenant), *packages.build_bap_routes()],
        options=bap.OPTIONS | packages.OPTIONS,
    ),
    _build_service("flow_service", flow_service),
    _build_service("power_platform_api", management_api),
    _build_service("power_apps", power_apps),
    _build_service("dataverse", dataverse, query_error="0x80060888"),
    Service(
        name="triggers",
        hosts=trigger_endpoints.HOSTS,
        routes=trigger_endpoints.build_routes,
        options=None,
    ),
    _build_service("resource_manager", resource_manager),
    _build_service("key_vault", key_vault, query_error="BadParameter"),
    _build_service("app_configuration", app_configuration),
    _build_service("synapse", synapse),
    *(one.service for one in list_external_services()),
    _build_service("event_grid", event_grid),
    _build_service("time_stamps", time_stamps),
    _build_service("webhook", webhook),
    # The address of a channel has options that its sender does not know.
    Service(name="teams", hosts=teams.HOSTS, routes=teams.build_routes, options=None),
)
