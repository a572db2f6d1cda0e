"""Ports whose grants of co-ownership are slow or cannot be revoked."""

from dataclasses import replace
from typing import Any, cast

from shared.domain.flow import FlowServiceFlow
from shared.domain.platform_errors import NO_CO_OWNER
from shared.errors import CmkflowError, PlatformError
from tests.fakes.ports import Ports
from tests.fakes.tenant import FakeFlow
from tests.functional.scenarios.remediation_scenario import Scenario


class SlowRights:
    """A flow service where new rights take effect only after some requests."""

    def __init__(
        self, access: object, flow_name: str, refusals: int, *, definitions: int = 0
    ) -> None:
        """Reject this number of requests for the URL and for the definition."""
        self._access: Any = access
        self._flow_name = flow_name
        self.refusals = refusals
        self._definitions = definitions

    def __getattr__(self, name: str) -> Any:
        """Return the attribute of the port."""
        return getattr(self._access, name)

    async def read_trigger_url(self, environment_id: str, flow_name: str, trigger: str) -> str:
        """Return the trigger URL, or reject the request."""
        if self.refusals and flow_name == self._flow_name:
            self.refusals -= 1
            raise PlatformError("not yet", code=NO_CO_OWNER, status=403)
        return str(await self._access.read_trigger_url(environment_id, flow_name, trigger))

    async def read_definition(self, environment_id: str, flow_name: str) -> FlowServiceFlow:
        """Return the flow, or reject the request."""
        if self._definitions and flow_name == self._flow_name:
            self._definitions -= 1
            raise PlatformError("not yet", code=NO_CO_OWNER, status=403)
        return cast(
            "FlowServiceFlow", await self._access.read_definition(environment_id, flow_name)
        )


class KeptRights:
    """A port that cannot revoke the co-ownership."""

    def __init__(self, port: object, error: CmkflowError | None = None) -> None:
        """Wrap the port; revoking raises `error`."""
        self._access: Any = port
        self.error = error or PlatformError("no", code="403", status=403)

    def __getattr__(self, name: str) -> Any:
        """Return the attribute of the port."""
        return getattr(self._access, name)

    async def revoke(self, *_of: object, **_options: object) -> None:
        """Raise the error."""
        raise self.error


def delay_rights(scenario: Scenario, flow: FakeFlow, refusals: int) -> SlowRights:
    """Let rights on this flow take effect only after some requests."""
    access = SlowRights(scenario.fakes.ports.flow_access, flow.flow_name, refusals)

    def wrap_ports(ports: Ports) -> Ports:
        return replace(ports, flow_access=access)

    scenario.around = wrap_ports
    return access
