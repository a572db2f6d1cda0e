"""Build the app's services on fakes of the ports."""

from typing import Any

from shared.callers import build_caller_kinds
from shared.domain.principal import Role
from shared.firewalls import build_firewall_kinds
from shared.ports import CallerKind, PlatformPorts
from shared.services import Services, map_platform_ports
from shared.settings import Settings
from shared.state.tables import Tables
from tests.fakes.circuits import with_circuits
from tests.fakes.ports import Ports
from tests.fakes.runtime import OneFunctionKey, UnlimitedRequests

_EVERYBODY: dict[str, Any] = {
    "tenant_id": "fakes",
    "WEBSITE_AUTH_ENABLED": "True",
    "function_key_roles": tuple(Role),
}
_DEFAULT = Settings(**_EVERYBODY)


def build_fake_settings(**changes: Any) -> Settings:
    """Return the default settings, except that every caller of the API has all roles.

    Without `changes`, the environment variables are read only once per test run.
    """
    return Settings(**{**_EVERYBODY, **changes}) if changes else _DEFAULT


def build_kinds(ports: PlatformPorts) -> dict[str, CallerKind]:
    """Return new objects of the caller kinds, as in a new process, on these ports."""
    return build_caller_kinds(ports, build_fake_settings())


def build_fake_services(
    ports: Ports, *, settings: Settings | None = None, has_azure_firewalls: bool = False
) -> Services:
    """Return new services on these ports, as in a new process.

    With `has_azure_firewalls`, the firewall kinds read the Azure resources of the fakes.
    """
    settings = settings or build_fake_settings()
    tables = Tables(ports.store)
    ports = with_circuits(ports, tables, settings)
    return Services(
        settings=settings,
        clock=ports.clock,
        tables=tables,
        archive=ports.archive,
        messages=ports.messages,
        alerts=ports.notices,
        request_budget=UnlimitedRequests(),
        function_keys=OneFunctionKey(),
        callers=build_caller_kinds(ports, settings),
        firewalls=(
            build_firewall_kinds(ports.resources)
            if has_azure_firewalls
            else {"any": ports.firewalls}
        ),
        **map_platform_ports(ports),
    )
