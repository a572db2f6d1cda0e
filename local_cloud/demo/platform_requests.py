"""Count the app's requests to the platform in each part of the scenario, for docs/performance.md.

`mark` ends a part. The app's poll of the environments is in every part: every two seconds here,
every five minutes in production.
"""

from collections import Counter
from dataclasses import dataclass, field

from local_cloud.demo.platform import Platform
from local_cloud.demo.received_notifications import PEOPLE

#: Services that are not counted: calls of flows, sign-ins, and notifications.
_NOT_THE_PLATFORM = ("triggers", "entra", *PEOPLE)
#: Services in the order of docs/performance.md, by their names in the tenant.
_SERVICES = {
    "flow_service": "flow service",
    "dataverse": "Dataverse",
    "resource_manager": "Resource Manager",
    "key_vault": "Key Vault",
    "bap": "admin API",
    "power_apps": "Power Apps",
}
#: The part for which the requests per flow are computed.
REMEDIATING = "Operations, from the approved plan to the last flow's end"


@dataclass(slots=True)
class RequestMeter:
    platform: Platform
    parts: dict[str, Counter[str]] = field(default_factory=dict)
    #: Flow jobs of the part `REMEDIATING`.
    flows: int = 0
    _before: Counter[str] = field(default_factory=Counter)

    async def mark(self, part: str) -> None:
        """End a part of the scenario: assign to it all requests since the previous mark."""
        now = await self._read_request_counts()
        self.parts[part] = self.parts.get(part, Counter()) + (now - self._before)
        self._before = now

    def compute_requests_per_flow(self) -> dict[str, float]:
        """Return the average number of requests to each service for a flow job.

        Only requests in the part `REMEDIATING` count. The result is empty without flow jobs.
        """
        calls = self.parts.get(REMEDIATING, Counter())
        if not self.flows:
            return {}
        names = [*_SERVICES.values(), *(calls.keys() - _SERVICES.values())]
        return {name: round(calls[name] / self.flows, 1) for name in names if calls[name]}

    async def _read_request_counts(self) -> Counter[str]:
        routes: dict[str, int] = (await self.platform.call_control("GET", "/calls"))["routes"]
        calls: Counter[str] = Counter()
        for route, number in routes.items():
            service = route.partition(".")[0]
            if service not in _NOT_THE_PLATFORM:
                own = self.platform.own_calls.get(route, 0)
                calls[_SERVICES.get(service, service)] += number - own
        return calls
