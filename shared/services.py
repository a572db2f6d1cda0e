"""The services that use cases and steps get: ports, tables, settings and cached values."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any

from shared.ports import (
    AlertSender,
    Archive,
    AssessmentPorts,
    CallerKind,
    Clock,
    FirewallKind,
    FunctionKeys,
    MessageSender,
    NoTelemetry,
    NotificationChannel,
    PlatformPorts,
    RequestBudget,
    StepPorts,
    Telemetry,
)
from shared.settings import Settings
from shared.state.tables import Tables

#: Maximum number of values; the least recently used is dropped first.
_MOST = 16


class Memory:
    """A cache of values by key.

    Each value is valid for one source, such as an ETag, and may be dropped at any time.
    """

    def __init__(self) -> None:
        self._made: dict[object, tuple[object, object]] = {}

    def find(self, key: object, source: object) -> object | None:
        """Return the cached value for this key and source, or None."""
        found = self._made.pop(key, None)
        if found is None or found[0] != source:
            return None
        self._made[key] = found
        return found[1]

    def keep(self, key: object, source: object, value: object) -> None:
        """Cache a value. It replaces the value of an earlier source."""
        self._made.pop(key, None)
        self._made[key] = (source, value)
        if len(self._made) > _MOST:
            del self._made[next(iter(self._made))]

    def get_or_make[S, T](self, key: object, source: S, make: Callable[[S], T], kind: type[T]) -> T:
        """Return the result of `make` for a source, of type `kind`. The result is cached for each
        source.
        """
        found = self.find(key, source)
        if isinstance(found, kind):
            return found
        value = make(source)
        self.keep(key, source, value)
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Services(StepPorts):
    """All dependencies of use cases and steps."""

    settings: Settings
    clock: Clock
    tables: Tables
    archive: Archive
    messages: MessageSender
    alerts: AlertSender
    function_keys: FunctionKeys
    #: Request budget of the flow service, which has the lowest limit.
    request_budget: RequestBudget
    #: Notification channels; may be empty.
    channels: tuple[NotificationChannel, ...] = ()
    #: By name of the kind.
    callers: Mapping[str, CallerKind]
    firewalls: Mapping[str, FirewallKind]
    assessment: AssessmentPorts
    telemetry: Telemetry = field(default_factory=NoTelemetry)
    memory: Memory = field(default_factory=Memory)

    @property
    def now(self) -> datetime:
        return self.clock.now()


def map_platform_ports(ports: PlatformPorts) -> dict[str, Any]:
    """Return the platform ports by the names of their fields in `Services`."""
    steps = {one.name: getattr(ports, one.name) for one in fields(StepPorts)}
    return {**steps, "assessment": ports}
