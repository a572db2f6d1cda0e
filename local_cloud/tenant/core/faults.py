"""Inject faults into requests.

A fault has a route, a kind, and the number of requests that it affects.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any


class FaultKind(StrEnum):
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
    """A fault of one route, or of all routes that match a pattern such as `flow_service.*`."""

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
    def parse(cls, fault: dict[str, Any]) -> "Fault":
        """Return the fault that a control request describes.

        Raises `TypeError` or `ValueError` if the request is malformed.
        """
        return cls(**{**fault, "kind": FaultKind(fault.get("kind", "fail"))})


class FaultPlan:
    """The faults that are still to be injected, oldest first."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []

    def add(self, fault: Fault) -> None:
        self._faults.append(fault)

    def clear(self) -> None:
        self._faults.clear()

    @property
    def is_empty(self) -> bool:
        return not self._faults

    def take(self, route: str) -> Fault | None:
        """Return the fault for a request of this route, or None.

        This uses up one of the fault's `times`.
        """
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
