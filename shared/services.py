"""What use cases and steps are given: the ports, the tables and the settings, as one value."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from shared.ports import (
    Archive,
    CallerKind,
    CanvasApps,
    Clock,
    ConnectionReferences,
    Connections,
    Environments,
    FirewallKind,
    FlowAccess,
    FlowPages,
    FlowPlacement,
    FlowReports,
    FlowSharing,
    FlowSwitch,
    Keys,
    MachineGroups,
    Messages,
    Notices,
    Organization,
    Principals,
    ServiceTags,
    Solutions,
    Workflows,
)
from shared.rows import Tables
from shared.settings import Settings

KEY_EVENTS = "key-events"
POLICY_EVENTS = "policy-events"
ENVIRONMENT_JOBS = "environment-jobs"
FLOW_JOBS = "flow-jobs"
PARKED = "parked"


@dataclass(frozen=True, slots=True, kw_only=True)
class AssessmentPorts:
    """What only an assessment asks of the platform; all of it is read."""

    connections: Connections
    canvas_apps: CanvasApps
    machine_groups: MachineGroups
    organization: Organization


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Everything outside the rules. `bootstrap` fills it; tests fill it with twins."""

    settings: Settings
    clock: Clock
    tables: Tables
    archive: Archive
    messages: Messages
    notices: Notices
    environments: Environments
    flow_reports: FlowReports
    flow_pages: FlowPages
    flow_access: FlowAccess
    flow_switch: FlowSwitch
    flow_placement: FlowPlacement
    workflows: Workflows
    connection_references: ConnectionReferences
    flow_sharing: FlowSharing
    principals: Principals
    solutions: Solutions
    keys: Keys
    service_tags: ServiceTags
    #: By the name of the kind.
    callers: Mapping[str, CallerKind]
    firewalls: Mapping[str, FirewallKind]
    assessment: AssessmentPorts

    @property
    def now(self) -> datetime:
        """Return the present."""
        return self.clock.now()
