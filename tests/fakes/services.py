"""The app's own bundle of ports, filled with fakes."""

from typing import Any

from shared.callers import build_caller_kinds
from shared.domain.principal import Role
from shared.firewalls import build_firewall_kinds
from shared.ports import CallerKind, PlatformPorts
from shared.services import Services, platform_ports
from shared.settings import Settings
from shared.tables import Tables
from tests.fakes.calls import PlentyOfCalls
from tests.fakes.circuits import with_circuits
from tests.fakes.function_keys import OneFunctionKey
from tests.fakes.ports import Ports

_EVERYBODY: dict[str, Any] = {
    "tenant_id": "fakes",
    "WEBSITE_AUTH_ENABLED": "True",
    "function_key_roles": tuple(Role),
}
_DEFAULT = Settings(**_EVERYBODY)


def build_fake_settings(**changes: Any) -> Settings:
    """Return the default settings, except that every caller has all roles. They are read from the
    environment once.

    Where one is, the platform signs people in as well.
    """
    return Settings(**{**_EVERYBODY, **changes}) if changes else _DEFAULT


def build_kinds(ports: PlatformPorts) -> dict[str, CallerKind]:
    """Return the caller kinds on these ports, as in a new process."""
    return build_caller_kinds(ports, build_fake_settings())


def build_fake_services(
    ports: Ports, *, settings: Settings | None = None, has_azure_firewalls: bool = False
) -> Services:
    """Return services on these ports, as in a new process; after a kill, build them again.

    `has_azure_firewalls`: firewalls are read from the raw Azure resources, by their kinds.
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
        request_budget=PlentyOfCalls(),
        function_keys=OneFunctionKey(),
        callers=build_caller_kinds(ports, settings),
        firewalls=(
            build_firewall_kinds(ports.resources)
            if has_azure_firewalls
            else {"any": ports.firewalls}
        ),
        **platform_ports(ports),
    )
