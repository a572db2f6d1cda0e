"""Define what the app needs from outside as protocols, which adapters and tests implement.

A method that sends a request may raise `TransientError` (retry later), `PlatformError` (rejected),
and `NotFound` if an item that it names does not exist. Its docstring names any further errors.
"""

from shared.ports.assessment import CanvasApps, Connections, MachineGroups
from shared.ports.azure import (
    AppConfiguration,
    AppSettings,
    Keys,
    KeyValue,
    PagedResourceReader,
    PolicyRestrictions,
    ResourceReader,
    ResourceSecrets,
    ResourceWriter,
    Secret,
    Secrets,
    ServiceTags,
    SigningKeys,
    Site,
    SiteFile,
    SiteFiles,
    SynapseArtifacts,
    TaggedResource,
    TaggedResourceReader,
)
from shared.ports.dataverse import Organization, TextColumn, TextRow, TextRows
from shared.ports.json_api import JsonApi, JsonService
from shared.ports.kinds import (
    AppliesFixes,
    CallerKind,
    FirewallKind,
    FlowsToSave,
    FoundInDefinitions,
    HasUnknownReaders,
    InJsonService,
    KeepsVersions,
    ReadOnSave,
    ReadsByHost,
    RefersToSecrets,
    SearchesScopes,
    WritesWholeResource,
)
from shared.ports.notification_channel import AlertSender, NotificationChannel, UnusableChannel
from shared.ports.platform import AssessmentPorts, PlatformPorts, StepPorts
from shared.ports.power_platform import (
    ConnectionReferences,
    Environments,
    EnvironmentVariable,
    EnvironmentVariables,
    FlowPages,
    FlowReports,
    FlowsAsServiceAccount,
    NonSolutionFlows,
    ResultPage,
    SolutionPlacement,
    Workflows,
)
from shared.ports.runtime import (
    Clock,
    FunctionKeys,
    MessageSender,
    QueueMessage,
    RequestBudget,
    TimeStamps,
)
from shared.ports.sharing import FlowSharing, PrincipalDirectory, Solutions
from shared.ports.store import (
    Archive,
    Condition,
    DeclaredCallers,
    DeleteRow,
    InsertRow,
    Operation,
    ReplaceRow,
    Scalar,
    Store,
    StoreRow,
    UpsertRow,
)
from shared.ports.telemetry import NoTelemetry, Span, Telemetry
