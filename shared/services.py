"""The services that use cases and steps get: ports, tables and settings."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any

from shared.memory import Memory
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
from shared.tables import Tables


@dataclass(frozen=True, slots=True, kw_only=True)
class Services(StepPorts):
    """All dependencies of use cases and steps. `bootstrap` provides adapters, tests their own."""

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
        """Return the current time."""
        return self.clock.now()


def map_platform_ports(ports: PlatformPorts) -> dict[str, Any]:
    """Return the platform ports by the names of their fields in `Services`."""
    steps = {one.name: getattr(ports, one.name) for one in fields(StepPorts)}
    return {**steps, "assessment": ports}
