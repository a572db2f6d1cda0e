"""Store the state of the tenant's Azure side.

`resources` contains the documents of Resource Manager. Data without a document is stored beside
them: contents of vaults, restarts, and the hosts of network security groups. A service gets the
state with `tenant.get_part(Azure)`.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from local_cloud.tenant.azure.key_values import SimulatedKeyValue
from local_cloud.tenant.azure.references import ResolvedReference
from local_cloud.tenant.azure.resources import JsonObject, ResourceStore
from local_cloud.tenant.azure.service_tags import SimulatedServiceTags, build_published_service_tags
from local_cloud.tenant.azure.vault_contents import VaultContents

POLICIES = "Microsoft.PowerPlatform/enterprisePolicies"
VAULTS = "Microsoft.KeyVault/vaults"
SITES = "Microsoft.Web/sites"
SLOTS = "Microsoft.Web/sites/slots"
SERVER_FARMS = "Microsoft.Web/serverfarms"
SECURITY_GROUPS = "Microsoft.Network/networkSecurityGroups"


class EventSchema(StrEnum):
    """The `eventDeliverySchema` with which Event Grid sends events to the app."""

    EVENT_GRID = "EventGridSchema"
    CLOUD_EVENTS = "CloudEventSchemaV1_0"


class EpochForm(StrEnum):
    """The format of `NBF` and `EXP` in a key event; Microsoft's samples show both.

    See platform.md#key-events.
    """

    NUMBER = "number"
    STRING = "string"


@dataclass(slots=True, kw_only=True)
class EventSettings:
    """The schema of the tenant's events, and variations that real events have."""

    schema: EventSchema = EventSchema.EVENT_GRID
    epoch_form: EpochForm = EpochForm.NUMBER
    #: Write `"ObjectName "` and `" <version>"`, with blanks, as Microsoft's own sample does.
    has_stray_blanks: bool = False
    #: How often each event arrives: delivery is at least once.
    copies: int = 1
    key_queue: str = "key-events"
    policy_queue: str = "policy-events"


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardedHost:
    group_id: str
    #: Its address inside the network, which rules may name as their destination.
    address: str


@dataclass(slots=True, kw_only=True)
class Azure:
    #: Id → display name.
    subscriptions: dict[str, str] = field(default_factory=dict)
    resources: ResourceStore = field(default_factory=ResourceStore)
    #: By lower-case id.
    role_assignments: dict[str, JsonObject] = field(default_factory=dict)
    #: Lower-case id of a subscription or resource group → the permissions of the app's identity
    #: there. Without an entry, it has all permissions.
    permissions: dict[str, list[JsonObject]] = field(default_factory=dict)
    #: By lower-case name.
    vaults: dict[str, VaultContents] = field(default_factory=dict)
    service_tags: SimulatedServiceTags = field(default_factory=build_published_service_tags)
    events: EventSettings = field(default_factory=EventSettings)
    #: Site, slot or container app in lower case → how often a change restarted it.
    restarts: Counter[str] = field(default_factory=Counter)
    #: Id of the configuration (`…/config/appsettings`) in lower case → setting → what the running
    #: site knows of its reference.
    references: dict[str, dict[str, ResolvedReference]] = field(default_factory=dict)
    #: Id of a named value in lower case → why its last write failed after it was accepted.
    failed_writes: dict[str, str] = field(default_factory=dict)
    #: Revision of a container app in lower case → its variables as its containers read them.
    container_variables: dict[str, dict[str, str]] = field(default_factory=dict)
    #: The same → when its containers started.
    container_starts: dict[str, datetime] = field(default_factory=dict)
    #: Host name → what stands before it.
    guarded_hosts: dict[str, GuardedHost] = field(default_factory=dict)
    #: Whether disabling a key version within 28 days of its successor locks environments
    #: (platform.md#key-versions).
    is_early_disabling_fatal: bool = True
    #: As Resource Manager shows them.
    locks: list[JsonObject] = field(default_factory=list)
    #: Of Azure Policy; each denies what matches its condition.
    policy_assignments: list[JsonObject] = field(default_factory=list)
    #: Items per page of every list.
    page_size: int = 100

    #: By lower-case id of the site or slot, then by path.
    site_files: defaultdict[str, dict[str, bytes]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    #: By lower-case name of the store, then by key and label.
    configuration_stores: dict[str, dict[tuple[str, str | None], SimulatedKeyValue]] = field(
        default_factory=dict
    )

    def find_vault(self, name: str) -> VaultContents | None:
        return self.vaults.get(name.lower())
