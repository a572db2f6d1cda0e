"""Every setting of the product, read from the environment once. Nothing else reads it."""

from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from shared.domain.principal import Role

#: Nothing is awaited backwards: with a negative quiet period an original would go at once.
type Duration = Annotated[timedelta, Field(ge=timedelta(0))]
type Count = Annotated[int, Field(ge=1)]


class OnOriginalEdited(StrEnum):
    """What to do with an original that was edited after it was copied."""

    BLOCK = "block"  #: a person compares, and retries
    COPY_AGAIN = "copy_again"  #: the edit is taken over


def _split(value: object) -> object:
    """Read `a, b` as two values: application settings are plain text."""
    if not isinstance(value, str):
        return value
    return tuple(item.strip() for item in value.split(",") if item.strip())


class AccessSettings(BaseSettings):
    """Who may call the API: needed already when the functions are registered."""

    model_config = SettingsConfigDict(
        env_prefix="CMK_", frozen=True, extra="ignore", hide_input_in_errors=True
    )

    #: Set by App Service where it signs callers in, and takes away what they say of themselves:
    #: learn.microsoft.com/azure/app-service/reference-app-settings#authentication--authorization.
    website_auth_enabled: str = Field("", validation_alias="WEBSITE_AUTH_ENABLED")
    #: What whoever has the function key may do, separated by commas; empty: the key is no way in.
    function_key_roles: Annotated[tuple[Role, ...], NoDecode, BeforeValidator(_split)] = ()

    @property
    def platform_signs_in(self) -> bool:
        """Say whether the platform tells who calls: else anybody can write its headers."""
        return self.website_auth_enabled.lower() == "true"


class Settings(AccessSettings):
    """Settings of the app; each is an application setting with the prefix `CMK_`."""

    #: Tenant to work in.
    tenant_id: str
    #: Subscriptions whose policies, sites, vaults and firewalls are watched, separated by commas.
    subscription_ids: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)] = ()
    #: Client id of a user-assigned identity; empty: the system-assigned one.
    client_id: str = ""

    #: Public client the operator signs in with (device code); empty: no operator.
    service_account_client_id: str = ""
    #: Key Vault secret that holds the operator's token cache, as its URL.
    service_account_token_cache_secret: str = ""

    #: Service Bus namespace (`name.servicebus.windows.net`), reached with the app's identity.
    service_bus_namespace: str = Field(
        "", validation_alias="ServiceBusConnection__fullyQualifiedNamespace"
    )
    #: Service Bus connection string; used where no namespace is named.
    service_bus_connection: str = Field("", validation_alias="ServiceBusConnection", repr=False)

    #: Folder for state and archives where no storage account is named.
    state_folder: Path = Path("var/state")
    #: Storage account for state (tables) and archives (blobs).
    storage_account: str = ""
    #: Key for archives in a folder (url-safe base64, 32 bytes); Azure encrypts blobs itself.
    archive_key: str = Field("", repr=False)

    #: Calls a minute to the flow service, to begin with (platform.md#flow-service-limits: 5 is
    #: known to be safe).
    flow_service_requests_per_minute: Count = 5
    #: As many are tried while it refuses none; none: four times those. The same number fixes them.
    flow_service_max_requests_per_minute: Count | None = None
    #: Writes an hour to it; none: as many as it takes calls in an hour to begin with
    #: (platform.md#flow-service-limits: 300).
    flow_service_writes_per_hour: Count | None = None
    #: Calls of it in 24 hours (platform.md#daily-requests: 40,000 for a user with a paid licence,
    #: else 6,000).
    flow_service_requests_per_day: Count = 40_000
    #: Calls a minute of them that a full reconciliation may take.
    full_comparison_requests_per_minute: Count = 2
    #: Calls a minute to each Dataverse environment (platform.md#dataverse-limits: 6,000 in 5
    #: minutes).
    dataverse_requests_per_minute: Count = 1000
    #: Calls a minute to Azure Resource Manager.
    resource_manager_requests_per_minute: Count = 200

    #: How long an original must be without a run before it is retired.
    no_call_period: Duration = timedelta(days=7)
    #: How long apps may use the old value of a secret they refer to, and flows that of an
    #: environment variable, after it was changed (platform.md#key-vault-references,
    #: #stale-variables): part of being quiet.
    secret_old_value_lifetime: Duration = timedelta(hours=24)
    variable_old_value_lifetime: Duration = timedelta(hours=1)
    #: How long a retired original stands at least before it may be deleted, by an order of its own.
    deletion_delay: Duration = timedelta(days=7)
    #: How long a swapped pair is watched before the original is retired.
    monitoring_period: Duration = timedelta(days=1)
    #: How long after a key event the environments are checked again.
    key_recheck_delay: Duration = timedelta(hours=24)
    #: How long to wait before asking again whether a migration has ended.
    platform_migration_poll_interval: Duration = timedelta(minutes=10)
    #: How long a job that waits for another job, a window or a switch waits before it looks again.
    wait_poll_interval: Duration = timedelta(minutes=5)
    #: How long a plan can be approved.
    approval_period: Duration = timedelta(days=7)
    #: How long what nobody approved is kept after a later plan has replaced it.
    plans_kept: Duration = timedelta(days=90)
    #: First and longest wait after a transient failure, and how many in a row before the job is
    #: blocked, or the message parked. A service that is out is waited for, and counts for nobody.
    backoff_initial_delay: Duration = timedelta(seconds=5)
    backoff_max_delay: Duration = timedelta(minutes=10)
    backoff_max_attempts: Count = 8
    #: So many calls in a row without an answer: the service is out.
    circuit_breaker_threshold: Count = 5
    #: So many deliveries in a row that end in a defect, or without a word: the job has failed.
    internal_error_max_attempts: Count = 5
    #: For so long a delivery of a flow job begins one step after another.
    invocation_time_limit: Duration = timedelta(minutes=4)
    #: How long one delivery may hold a job's row, and a caller's resource.
    job_lease_duration: Duration = timedelta(minutes=2)
    resource_lease_duration: Duration = timedelta(seconds=90)
    #: How long a job waits, once it has come to its callers, for others that have some in the same
    #: app, secret or flow, so that all are written at once; zero: for nobody.
    caller_batch_wait: Duration = timedelta(minutes=5)
    #: How long after its lease a delivery that did not end may still change something: the
    #: `functionTimeout` of host.json, and how long a write may be under way.
    in_flight_timeout: Duration = timedelta(minutes=12)
    #: For how long after a write reads may still show what was before (platform.md#reads-lag).
    read_lag: Duration = timedelta(minutes=1)
    #: How long a delivery itself waits for a read to show what it has written.
    read_back_interval: Duration = timedelta(seconds=5)
    #: How long the job waits for that, in all, before it is for a person.
    read_back_timeout: Duration = timedelta(minutes=5)
    #: A row overdue by this much gets its message again.
    overdue_delay: Duration = timedelta(minutes=1)
    #: How old a reading of the firewalls and service tags may be that lets a copy be proven.
    network_snapshot_max_age: Duration = timedelta(hours=4)
    #: Microsoft's list of service tags as a file; empty: Azure's discovery API is asked.
    service_tags_file: str = ""
    #: Service tags that firewalls have to let in beside `PowerPlatformPlex`, separated by commas:
    #: those that Microsoft's page on IP addresses asks for too (platform.md#three-tags).
    additional_required_tags: Annotated[
        tuple[Literal["LogicApps", "PowerPlatformInfra"], ...], NoDecode, BeforeValidator(_split)
    ] = ()
    #: What blocks within this time of the first flow, for the same reason, is told with it.
    notification_grouping_period: Duration = timedelta(minutes=5)
    #: Endpoint of an Event Grid custom topic that takes CloudEvents; empty: none.
    event_grid_topic: str = ""
    #: Address of a webhook, and the secret that signs for it (base64, `whsec_…`); empty: none.
    webhook: str = Field("", repr=False)
    webhook_secret: str = Field("", repr=False)
    #: Address of a webhook of the Workflows app in a channel of Teams; empty: none.
    teams_webhook: str = Field("", repr=False)
    #: The app's own host, set by App Service: for links, and to check function keys.
    website_host: str = Field("", validation_alias="WEBSITE_HOSTNAME")
    #: Whoever ordered a remediation may approve it too.
    allow_self_approval: bool = False
    #: What to do with an original that was edited after it was copied: `block` or `copy_again`.
    on_original_edited: OnOriginalEdited = OnOriginalEdited.BLOCK

    @property
    def own_address(self) -> str:
        """Return the address of this app, without a path; empty: it is not known.

        App Service takes TLS alone; a host on the developer's machine has none.
        """
        if not self.website_host:
            return ""
        has_tls = self.website_host.partition(":")[0] not in {"localhost", "127.0.0.1"}
        return f"http{'s' if has_tls else ''}://{self.website_host}"

    @property
    def channel_addresses(self) -> dict[str, str]:
        """Return the addresses of channels that may be flows, by setting: secrets."""
        return {"CMK_WEBHOOK": self.webhook, "CMK_TEAMS_WEBHOOK": self.teams_webhook}
