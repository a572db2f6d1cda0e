"""What the product needs of the world, as protocols. Adapters and the tests' twins implement them.

Every method may raise `Transient` (try later), `Refused` (the platform says no), and where it names
one item `NotFound`. Beyond that each says what it raises.
"""

from shared.ports.alerts import Notices
from shared.ports.assessment import CanvasApps, Connections, MachineGroups, Organization
from shared.ports.azure import (
    AppSettings,
    Keys,
    ResourceReader,
    ResourceWriter,
    Secret,
    Secrets,
    ServiceTags,
    Site,
)
from shared.ports.clock import Clock
from shared.ports.function_keys import FunctionKeys
from shared.ports.kinds import (
    AppliesRepairs,
    CallerKind,
    FirewallKind,
    FlowsToSave,
    FoundInFlows,
    KeepsVersions,
    ReadOnSave,
    WritesTogether,
)
from shared.ports.message_sender import Messages, OutgoingMessage
from shared.ports.notification_channel import Channel, UnusableChannel
from shared.ports.platform import AssessmentPorts, PlatformPorts, StepPorts
from shared.ports.power_platform import (
    ConnectionReferences,
    Environments,
    EnvironmentVariable,
    EnvironmentVariables,
    FlowAccess,
    FlowPages,
    FlowPlacement,
    FlowReports,
    FlowSwitch,
    Page,
    Workflows,
)
from shared.ports.request_budget import CallBlocks
from shared.ports.sharing import FlowSharing, Principals, Solutions
from shared.ports.store import (
    Archive,
    Condition,
    Delete,
    Insert,
    Operation,
    Replace,
    Row,
    Scalar,
    Store,
    Upsert,
)

__all__ = [
    "AppSettings",
    "AppliesRepairs",
    "Archive",
    "AssessmentPorts",
    "CallBlocks",
    "CallerKind",
    "CanvasApps",
    "Channel",
    "Clock",
    "Condition",
    "ConnectionReferences",
    "Connections",
    "Delete",
    "EnvironmentVariable",
    "EnvironmentVariables",
    "Environments",
    "FirewallKind",
    "FlowAccess",
    "FlowPages",
    "FlowPlacement",
    "FlowReports",
    "FlowSharing",
    "FlowSwitch",
    "FlowsToSave",
    "FoundInFlows",
    "FunctionKeys",
    "Insert",
    "KeepsVersions",
    "Keys",
    "MachineGroups",
    "Messages",
    "Notices",
    "Operation",
    "Organization",
    "OutgoingMessage",
    "Page",
    "PlatformPorts",
    "Principals",
    "ReadOnSave",
    "Replace",
    "ResourceReader",
    "ResourceWriter",
    "Row",
    "Scalar",
    "Secret",
    "Secrets",
    "ServiceTags",
    "Site",
    "Solutions",
    "StepPorts",
    "Store",
    "UnusableChannel",
    "Upsert",
    "Workflows",
    "WritesTogether",
]
