"""Wrap ports so that a grant of co-ownership takes effect late, or cannot be revoked."""

from dataclasses import replace
from typing import Any, cast

from shared.domain.flow import FlowServiceFlow
from shared.domain.platform_errors import NO_CO_OWNER
from shared.errors import CmkflowError, PlatformError
from tests.fakes.ports import Ports
from tests.fakes.tenant import FakeFlow
from tests.functional.scenarios.remediation_scenario import Scenario


class SlowRights:
    """A flow service in which a grant of co-ownership takes effect only after some requests."""

    def __init__(
        self, access: object, flow_name: str, refusals: int, *, definitions: int = 0
    ) -> None:
        """Reject the first `refusals` requests for the flow's URL, and the first `definitions`
        requests for its definition.
        """
        self._access: Any = access
        self._flow_name = flow_name
        self.refusals = refusals
        self._definitions = definitions

    def __getattr__(self, name: str) -> Any:
        return getattr(self._access, name)

    async def read_trigger_url(self, environment_id: str, flow_name: str, trigger: str) -> str:
        if self.refusals and flow_name == self._flow_name:
            self.refusals -= 1
            raise PlatformError("not yet", code=NO_CO_OWNER, status=403)
        return str(await self._access.read_trigger_url(environment_id, flow_name, trigger))

    async def read_definition(self, environment_id: str, flow_name: str) -> FlowServiceFlow:
        if self._definitions and flow_name == self._flow_name:
            self._definitions -= 1
            raise PlatformError("not yet", code=NO_CO_OWNER, status=403)
        return cast(
            "FlowServiceFlow", await self._access.read_definition(environment_id, flow_name)
        )


class KeptRights:
    """A wrapper of a port that raises an error at each revoke."""

    def __init__(self, port: object, error: CmkflowError | None = None) -> None:
        self._access: Any = port
        self.error = error or PlatformError("no", code="403", status=403)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._access, name)

    async def revoke(self, *_of: object, **_options: object) -> None:
        raise self.error


def delay_rights(scenario: Scenario, flow: FakeFlow, refusals: int) -> SlowRights:
    """Let grants for this flow take effect only after some requests, and return the wrapper."""
    access = SlowRights(scenario.fakes.ports.flow_access, flow.flow_name, refusals)

    def wrap_ports(ports: Ports) -> Ports:
        return replace(ports, flow_access=access)

    scenario.around = wrap_ports
    return access
