"""Read all settings of the app from the environment."""

import os
import re
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from shared.domain.clouds import CLOUDS, Cloud, CloudName
from shared.domain.principal import Role
from shared.validation_text import TextPattern, list_validation_errors

#: Durations must not be negative: a negative no-call period would retire an original at once.
#: Longer ones would reach before the first date.
type Duration = Annotated[timedelta, Field(ge=timedelta(0), le=timedelta(days=36_500))]
type Count = Annotated[int, Field(ge=1)]
#: Settings with the same prefix that the Functions host reads, for its timers.
SCHEDULES = (
    "CMK_POLICY_LINK_POLL_SCHEDULE",
    "CMK_DAILY_CHECK_SCHEDULE",
    "CMK_DUE_MESSAGES_SCHEDULE",
    "CMK_DELETION_SCHEDULE",
)


#: Empty, or the URL of a vault of any cloud.
_VAULT_URL = TextPattern(
    r"^(https://[a-z][a-z0-9-]{2,23}\.vault\.(azure\.net|azure\.cn|usgovcloudapi\.net)/?)?$",
    "Use the URL of a Key Vault, such as https://NAME.vault.azure.net.",
)

#: What precedes names of organizations, repositories, sites and subscriptions in a URL.
_URL_START = re.compile(r"^(https://((github|dev\.azure)\.com/)?|/subscriptions/)", re.IGNORECASE)


class OnOriginalEdited(StrEnum):
    """What to do with an original that was edited after it was copied."""

    BLOCK = "block"  #: a person compares, and retries
    COPY_AGAIN = "copy_again"  #: the edit is taken over


def _split_list(value: object) -> object:
    """Return `a, b` as two values, because application settings are plain text."""
    if not isinstance(value, str):
        return value
    return tuple(item.strip() for item in value.split(",") if item.strip())


def _split_place_names(value: object) -> object:
    """Return the names of places in a setting, each once, whatever its case.

    A person may paste a URL, so what `_URL_START` matches and final slashes are removed.
    """
    found = _split_list(value)
    if not isinstance(found, tuple):
        return found
    by_name: dict[str, str] = {}
    for name in (_URL_START.sub("", str(one)).rstrip("/") for one in found):
        by_name.setdefault(name.lower(), name)
    return tuple(by_name.values())


#: What reads a name reports a malformed one, which then affects no other.
Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split_place_names)]


class SignInSettings(BaseSettings):
    """Settings of the sign-in of people. An empty text means the default, and spaces around a text
    are ignored.
    """

    model_config = SettingsConfigDict(
        env_prefix="CMK_", frozen=True, extra="ignore", hide_input_in_errors=True
    )

    # learn.microsoft.com/azure/app-service/reference-app-settings#authentication--authorization
    #: Set by App Service: `True` if App Service authentication is on. Only then does the app trust
    #: what a request says of its sender.
    website_auth_enabled: str = Field("", validation_alias="WEBSITE_AUTH_ENABLED")

    @model_validator(mode="before")
    @classmethod
    def _drop_empty(cls, values: dict[str, object]) -> dict[str, object]:
        texts = {name: one.strip() for name, one in values.items() if isinstance(one, str)}
        return {name: one for name, one in (values | texts).items() if one != ""}

    @property
    def has_app_service_authentication(self) -> bool:
        """Return whether App Service authenticates users and programs. If not, its headers are not
        trusted.
        """
        return self.website_auth_enabled.lower() == "true"


class AccessSettings(SignInSettings):
    """Settings of the access to the API, which are needed when functions are registered."""

    #: Roles of the function key: `reader`, `operator`, `approver`, separated by commas. Empty: the
    #: key is not accepted.
    function_key_roles: Annotated[tuple[Role, ...], NoDecode, BeforeValidator(_split_list)] = ()


class Settings(AccessSettings):
    """Settings of the app, each an application setting with the prefix `CMK_`."""

    #: The tenant to work in.
    tenant_id: str
    #: The tenant's cloud: `public`, `gcc`, `gcc_high`, `dod` or `china`. The others are untested.
    cloud_name: CloudName = Field(CloudName.PUBLIC, validation_alias="CMK_CLOUD")
    #: Subscriptions to watch, separated by commas. Service tags are read in the first.
    subscription_ids: Names = ()
    #: Client id of the user-assigned identity. Empty: the system-assigned identity.
    client_id: str = ""

    #: App registration with which App Service authenticates callers, for programs that sign in.
    #: Empty: they must know it.
    sign_in_client_id: str = ""

    #: Public client that the service account signs in with. Empty: no trigger URL can be read, and
    #: jobs that need one are blocked (`service_account_signed_out`).
    service_account_client_id: str = ""
    #: URL, without a version, of the Key Vault secret with the service account's token cache.
    service_account_token_cache_secret: str = ""

    #: Service Bus namespace (`NAME.servicebus.windows.net`), reached with the app's identity.
    service_bus_namespace: str = Field(
        "", validation_alias="ServiceBusConnection__fullyQualifiedNamespace"
    )
    #: Connection string, used if no namespace is named.
    service_bus_connection: str = Field("", validation_alias="ServiceBusConnection", repr=False)

    #: Folder for state and archives, used if no storage account is named.
    state_folder: Path = Path("var/state")
    #: Storage account for state and archives. Must be set in Azure.
    storage_account: str = ""
    #: Key for archives in a folder, which then must be set: 32 bytes in URL-safe base64.
    archive_key: str = Field("", repr=False)

    #: Connection string of Application Insights, for traces and metrics. Set by the template.
    #: Empty: see the next setting.
    insights_connection: str = Field(
        "", validation_alias="APPLICATIONINSIGHTS_CONNECTION_STRING", repr=False
    )
    #: OpenTelemetry collector (OTLP over HTTP) that gets traces and metrics instead. Both empty:
    #: none are recorded.
    otlp_endpoint: str = Field("", validation_alias="OTEL_EXPORTER_OTLP_ENDPOINT")

    #: URL of the Key Vault key that signs evidence files and seals the audit log. Without a
    #: version, the current version signs. Empty: nothing is signed.
    evidence_key: str = ""
    #: URL of a time stamp authority (RFC 3161), which dates the signature of each evidence file.
    #: Empty: evidence files have no time stamp.
    time_stamp_authority: str = ""

    #: URL of the Key Vault (`https://NAME.vault.azure.net`) for one secret with each flow's trigger
    #: URL, to which callers then refer. Empty: callers hold the URL.
    trigger_url_vault: Annotated[str, _VAULT_URL] = ""
    #: Organizations of Azure DevOps, separated by commas, whose service hooks and variable groups
    #: may be callers. Empty: none is searched.
    azure_devops_organizations: Names = ()
    #: Repositories of GitHub (`OWNER/NAME`), separated by commas, whose webhooks and variables may
    #: be callers. Empty: none is searched.
    github_repositories: Names = ()
    #: Token that reads and writes the webhooks and variables of these repositories.
    github_token: str = Field("", repr=False)
    #: Sites of SharePoint (`contoso.sharepoint.com/sites/sales`), separated by commas, whose
    #: webhooks may be callers; the site scripts of their tenant, too. Empty: none is searched.
    sharepoint_sites: Names = ()

    # See platform.md#flow-service-limits.
    #: Requests a minute to the flow service at the start, for all instances. The app raises and
    #: lowers the rate.
    flow_service_requests_per_minute: Count = 5
    #: The highest rate of requests to the flow service. Empty: four times the rate at the start.
    flow_service_max_requests_per_minute: Count | None = None
    # See platform.md#flow-service-limits.
    #: Requests an hour to the flow service that are not `GET`. Empty: 60 times the rate at the
    #: start.
    flow_service_writes_per_hour: Count | None = None
    # See platform.md#daily-requests.
    #: Requests to the flow service in 24 hours; 6000 if the service account has only a Microsoft
    #: 365 licence. A tenth is kept for rollbacks and cutovers.
    flow_service_requests_per_day: Count = 40_000
    #: Requests a minute to the flow service that a full comparison may use.
    full_comparison_requests_per_minute: Count = 2
    # See platform.md#dataverse-limits.
    #: Requests a minute to each Dataverse environment.
    dataverse_requests_per_minute: Count = 1000
    #: Requests a minute to Azure Resource Manager.
    resource_manager_requests_per_minute: Count = 200

    #: How long an original must receive no call before it is retired; or, if longer, twice the
    #: longest time between two calls of the last 28 days.
    no_call_period: Duration = timedelta(days=7)
    # See platform.md#key-vault-references.
    #: How long apps may use the old value of a secret; added to the no-call period.
    secret_old_value_lifetime: Duration = timedelta(hours=24)
    # See platform.md#stale-variables.
    #: How long flows may use the old value of an environment variable; added to the no-call
    #: period.
    variable_old_value_lifetime: Duration = timedelta(hours=1)
    #: The shortest time between retirement and deletion; never shorter than the no-call period.
    deletion_delay: Duration = timedelta(days=7)
    #: How long a copy is monitored after a cutover.
    monitoring_period: Duration = timedelta(days=1)
    #: How long after a key event its environments are checked again.
    key_recheck_delay: Duration = timedelta(hours=24)
    #: How often the app checks whether a platform migration is complete.
    platform_migration_poll_interval: Duration = timedelta(minutes=10)
    #: How often a job checks a maintenance window, the kill switch or a flow run again.
    wait_poll_interval: Duration = timedelta(minutes=5)
    #: How long a plan can be approved.
    approval_period: Duration = timedelta(days=7)
    #: How long a replaced assessment is kept, and a replaced plan that did not start flow jobs.
    plans_kept: Duration = timedelta(days=90)
    #: How long a remediation, with its history, archived definitions and runs, is kept after its
    #: last original was deleted, at least 21 days. Empty: forever.
    remediations_kept: Duration | None = None
    #: How long audit entries are kept; those since the start of an open remediation stay. Empty:
    #: forever.
    audit_log_kept: Duration | None = None
    #: First delay after a temporary failure; each further delay doubles.
    backoff_initial_delay: Duration = timedelta(seconds=5)
    #: Longest delay after a temporary failure.
    backoff_max_delay: Duration = timedelta(minutes=10)
    #: Temporary failures in a row after which a job is blocked, or a message becomes a poison
    #: message.
    backoff_max_attempts: Count = 8
    #: Unanswered requests in a row after which the app treats a service as unavailable.
    circuit_breaker_threshold: Count = 5
    #: Invocations in a row with an internal error, or without a stored result, after which a job
    #: fails.
    internal_error_max_attempts: Count = 5
    #: How long one invocation continues a flow job. `PT0S`: each invocation does one step.
    invocation_time_limit: Duration = timedelta(minutes=4)
    #: How long one invocation may lease a job, and how long the job waits after a crash.
    job_lease_duration: Duration = timedelta(minutes=2)
    #: How long one job may lease a caller that is written as a whole.
    resource_lease_duration: Duration = timedelta(seconds=90)
    #: How long a job waits for others with callers in the same app, secret or flow.
    caller_batch_wait: Duration = timedelta(minutes=5)
    #: How long after its lease an invocation may still write: `functionTimeout` and two minutes.
    in_flight_timeout: Duration = timedelta(minutes=12)
    # See platform.md#reads-lag.
    #: How long after a write the platform may return older data.
    read_lag: Duration = timedelta(minutes=1)
    #: How long an invocation waits to read what it has written. Then the job waits
    #: (`write_not_visible`).
    read_back_interval: Duration = timedelta(seconds=5)
    #: How long a job waits until it reads what it has written, before it is blocked or, in a
    #: cutover, turns the original on again.
    read_back_timeout: Duration = timedelta(minutes=5)
    #: How long a job may be overdue before its message is sent again.
    overdue_delay: Duration = timedelta(minutes=1)
    #: Largest age of a network snapshot that may verify a copy.
    network_snapshot_max_age: Duration = timedelta(hours=4)
    #: Path of Microsoft's service tag list, deployed with the app. Empty: the app asks Azure.
    service_tags_file: str = ""
    # See platform.md#three-tags.
    #: Tags that firewalls must allow besides `PowerPlatformPlex`: `LogicApps`,
    #: `PowerPlatformInfra`, or both with a comma.
    additional_required_tags: Annotated[
        tuple[Literal["LogicApps", "PowerPlatformInfra"], ...],
        NoDecode,
        BeforeValidator(_split_list),
    ] = ()
    #: Flows that are blocked for one reason within this time are reported together.
    notification_grouping_period: Duration = timedelta(minutes=5)
    #: Endpoint of an Event Grid topic for CloudEvents, for notifications.
    event_grid_topic: str = ""
    #: Address of a webhook for notifications.
    webhook: str = Field("", repr=False)
    #: Key that signs the notifications to the webhook: `whsec_` and at least 24 bytes in base64.
    webhook_secret: str = Field("", repr=False)
    #: Address of a Workflows webhook in a Teams channel, for notifications.
    teams_webhook: str = Field("", repr=False)
    #: Set by App Service: the app's host name, for links and to check function keys.
    website_host: str = Field("", validation_alias="WEBSITE_HOSTNAME")
    #: Whether the person who started a remediation may approve its plans and deletions.
    allow_self_approval: bool = False
    #: What to do with an original that was edited after it was copied: `block` or `copy_again`.
    on_original_edited: OnOriginalEdited = OnOriginalEdited.BLOCK

    @property
    def cloud(self) -> Cloud:
        """Return the hosts and token audiences of the tenant's cloud."""
        return CLOUDS[self.cloud_name]

    @property
    def own_address(self) -> str:
        """Return the URL of this app without a path, or "" if unknown.

        App Service accepts only HTTPS; a host on a developer machine has no TLS.
        """
        if not self.website_host:
            return ""
        has_tls = self.website_host.partition(":")[0] not in {"localhost", "127.0.0.1"}
        return f"http{'s' if has_tls else ''}://{self.website_host}"

    @property
    def channel_addresses(self) -> dict[str, str]:
        """Return the secret URLs of notification channels, by setting. Any of them may be a trigger
        URL.
        """
        return {"CMK_WEBHOOK": self.webhook, "CMK_TEAMS_WEBHOOK": self.teams_webhook}


def get_setting_name(field_name: str) -> str:
    """Return the name of the application setting for a field of `Settings`."""
    return str(Settings.model_fields[field_name].validation_alias or f"CMK_{field_name.upper()}")


def describe_invalid_settings(err: ValidationError) -> dict[str, str]:
    """Return sentences that say what is wrong with each invalid setting, by setting.

    The sentences do not contain its value.
    """
    faults: dict[str, str] = {}
    for (name, *position), text in list_validation_errors(err):
        setting = get_setting_name(str(name)) if name in Settings.model_fields else str(name)
        of = "".join(f"Value {int(number) + 1} of the list: " for number in position)
        faults[setting] = " ".join(filter(None, (faults.get(setting), f"{of}{text}")))
    return faults


def find_unknown_settings() -> list[str]:
    """Return the application settings with the prefix `CMK_` that this version does not read."""
    fields = Settings.model_fields.items()
    known = {str(field.validation_alias or f"CMK_{name}").upper() for name, field in fields}
    known.update(SCHEDULES)
    return sorted(
        name for name in os.environ if name.upper().startswith("CMK_") and name.upper() not in known
    )
