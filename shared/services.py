"""What use cases and steps are given: the ports, the tables and the settings, as one value."""

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
    NotificationChannel,
    PlatformPorts,
    RequestBudget,
    StepPorts,
)
from shared.settings import Settings
from shared.tables import Tables


@dataclass(frozen=True, slots=True, kw_only=True)
class Services(StepPorts):
    """Everything outside the rules. `bootstrap` fills it; so do tests."""

    settings: Settings
    clock: Clock
    tables: Tables
    archive: Archive
    messages: MessageSender
    alerts: AlertSender
    function_keys: FunctionKeys
    #: Of the flow service, which takes the fewest calls.
    request_budget: RequestBudget
    #: Ways to tell people; none is set up: they look for themselves.
    channels: tuple[NotificationChannel, ...] = ()
    #: By the name of the kind.
    callers: Mapping[str, CallerKind]
    firewalls: Mapping[str, FirewallKind]
    assessment: AssessmentPorts
    memory: Memory = field(default_factory=Memory)

    @property
    def now(self) -> datetime:
        """Return the present."""
        return self.clock.now()


def platform_ports(ports: PlatformPorts) -> dict[str, Any]:
    """Return the part of `Services` that is on the platform, by the names of its fields."""
    steps = {one.name: getattr(ports, one.name) for one in fields(StepPorts)}
    return {**steps, "assessment": ports}
