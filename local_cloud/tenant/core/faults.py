"""Faults on purpose: a test or the demo says which route fails, how often and in which way."""

from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any


class FaultKind(StrEnum):
    """What happens to a call."""

    #: Answer with `status` instead of doing anything.
    FAIL = "fail"
    #: Wait `delay` seconds, then go on as usual.
    DELAY = "delay"
    #: Close the connection before doing anything.
    DROP_BEFORE = "drop_before"
    #: Do it, then close the connection instead of answering.
    DROP_AFTER = "drop_after"
    #: Answer 504 at once, and do it `delay` seconds later (0: as the tenant assumes).
    LATE = "late"


@dataclass(slots=True, kw_only=True)
class Fault:
    """One order for one route, or for all that a pattern names (`flow_service.*`)."""

    route: str
    kind: FaultKind = FaultKind.FAIL
    #: How many calls it hits; None: all until it is cleared.
    times: int | None = 1
    #: How many calls it lets pass first.
    skip: int = 0
    status: int = 503
    code: str = "ServiceUnavailable"
    message: str = "The service is unavailable."
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0

    @classmethod
    def from_json(cls, fault: dict[str, Any]) -> "Fault":
        """A fault as the control API takes it; TypeError or ValueError for what it is not."""
        return cls(**{**fault, "kind": FaultKind(fault.get("kind", "fail"))})


class FaultPlan:
    """The faults still to come, oldest first."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Order a fault."""
        self._faults.append(fault)

    def clear(self) -> None:
        """Forget all orders."""
        self._faults.clear()

    @property
    def is_empty(self) -> bool:
        """True when every order has been carried out, or there is none."""
        return not self._faults

    def take(self, route: str) -> Fault | None:
        """The fault that this call of a route meets, if any; counts it as used."""
        for fault in self._faults:
            if not fnmatchcase(route, fault.route):
                continue
            if fault.skip > 0:
                fault.skip -= 1
                continue
            if fault.times is not None:
                fault.times -= 1
                if fault.times <= 0:
                    self._faults.remove(fault)
            return fault
        return None
