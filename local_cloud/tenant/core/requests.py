"""Count each request to the tenant, and throttle a service that exceeds its budget."""

import math
from collections import Counter, defaultdict, deque
from dataclasses import dataclass
from datetime import datetime, timedelta

from local_cloud.tenant.core.clock import SimulatedClock
from local_cloud.tenant.core.platform_error import SimulatedPlatformError

#: Route of a request that holds operations.
BATCH = "dataverse.run_batch"
_READ, _WRITE = ".read", ".write"


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """How many requests are allowed within a sliding window of time."""

    calls: int
    seconds: float


class CallLog:
    """Counts the requests to each route (`flow_service.get_flow`) and each capability.

    A capability is the reads or the writes of a service, such as `flow_service.read`. A budget is
    set for a capability or for a whole service (`flow_service`).
    """

    def __init__(self, clock: SimulatedClock) -> None:
        self._clock = clock
        self.routes: Counter[str] = Counter()
        self.capabilities: Counter[str] = Counter()
        #: Operations inside of batches, by route: a batch is one call of a budget.
        self.batched: Counter[str] = Counter()
        self.throttled: Counter[str] = Counter()
        self.budgets: dict[str, Budget] = {}
        self._recent: defaultdict[str, deque[datetime]] = defaultdict(deque)

    def count(self, route: str, method: str) -> None:
        """Count a request. Rejects it (429 with `Retry-After`) if a budget is exceeded."""
        service, capability = route.partition(".")[0], _name_capability(route, method)
        self.routes[route] += 1
        self.capabilities[capability] += 1
        for name in (capability, service):
            if budget := self.budgets.get(name):
                self._spend_request(name, budget)

    def count_batched(self, route: str, method: str) -> None:
        """Count an operation inside a batch by its route.

        Only a write also counts for its capability. The batch itself counts as one request.
        """
        self.batched[route] += 1
        capability = _name_capability(route, method)
        if capability.endswith(_WRITE):
            self.capabilities[capability] += 1

    def _spend_request(self, name: str, budget: Budget) -> None:
        now, window = self._clock.now(), timedelta(seconds=budget.seconds)
        recent = self._recent[name]
        while recent and recent[0] <= now - window:
            recent.popleft()
        if len(recent) >= budget.calls:
            self.throttled[name] += 1
            wait = max(1, math.ceil((recent[0] + window - now).total_seconds()))
            raise build_throttling_error(name, budget, wait)
        recent.append(now)

    def reset(self) -> None:
        for counter in (self.routes, self.capabilities, self.batched, self.throttled):
            counter.clear()


def _name_capability(route: str, method: str) -> str:
    is_read = method in ("GET", "HEAD") or route == BATCH
    return route.partition(".")[0] + (_READ if is_read else _WRITE)


def build_throttling_error(name: str, budget: Budget, wait: int) -> SimulatedPlatformError:
    headers = {"Retry-After": str(wait)}
    if name.startswith("dataverse"):
        message = (
            f"Number of requests exceeded the limit of {budget.calls} "
            f"over time window of {budget.seconds:.0f} seconds."
        )
        return SimulatedPlatformError(429, "0x80072322", message, headers=headers)
    message = f"Rate limit is exceeded. Try again in {wait} seconds."
    return SimulatedPlatformError(429, "TooManyRequests", message, headers=headers)
