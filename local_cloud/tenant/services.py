"""The services that a tenant has. A new service is a module and a line here.

A service module has `HOSTS` and `routes(tenant) -> list[Route]`; its state is
`tenant.part(ItsState)`, its seed section is read by a function that seed.py calls.
"""

from local_cloud.tenant.routing import Service

SERVICES: tuple[Service, ...] = ()
