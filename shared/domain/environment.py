"""Define a Power Platform environment, its policy link, and its settings."""

import hashlib
import json
from dataclasses import dataclass, field, fields
from datetime import timedelta
from enum import StrEnum


class UrlSecretUse(StrEnum):
    """Which callers of a flow refer to its URL secret."""

    NONE = "none"  #: none: every caller holds the URL
    VERIFIED_CALLERS = "verified_callers"  #: those that the app has checked can read the secret
    #: Also keys of App Configuration, whose readers the app does not know.
    WITH_APP_CONFIGURATION = "with_app_configuration"


class PolicyLinkStatus(StrEnum):
    """The status of the link between an environment and its policy (platform.md#link-status)."""

    LINKING = "Linking"
    LINKED = "Linked"
    UNLINKING = "Unlinking"
    FAILED = "Failed"
    LINKING_ONLINE = "LinkingOnline"
    UNLINKING_ONLINE = "UnlinkingOnline"


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyLink:
    """The enterprise policy that an environment is linked to, and the link's status."""

    #: Azure resource id of the enterprise policy, lower case.
    policy_id: str
    #: `/regions/{geo}/providers/Microsoft.PowerPlatform/enterprisePolicies/{guid}`.
    system_id: str
    status: PolicyLinkStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """An environment as the admin API describes it."""

    id: str
    display_name: str
    #: Geography, such as `europe`; the policy's location must be the same.
    geography: str
    #: Primary Azure region, such as `westeurope`.
    region: str
    #: `Production`, `Sandbox`, `Trial`, `Teams`, `Developer`, `Default`.
    sku: str
    #: Whether it is a Managed Environment; None: the platform does not show it.
    is_managed: bool | None
    is_enabled: bool
    #: None: the environment has no customer-managed key.
    policy: PolicyLink | None
    #: Base URL of the Dataverse Web API (`https://org1.api.crm4.dynamics.com`); None: no Dataverse.
    dataverse_url: str | None

    @property
    def is_linked(self) -> bool:
        """Return whether the customer-managed key is in effect."""
        return self.policy is not None and self.policy.status is PolicyLinkStatus.LINKED


#: A platform migration takes up to four days (platform.md#migration-time). If movable flows remain
#: after that, the key was applied before keys covered flows, or the migration is blocked.
MIGRATION_LONGEST = timedelta(days=4)


class ApprovalPolicy(StrEnum):
    """Whether the app may write in an environment, and whether a plan needs approval."""

    READ_ONLY = "read_only"  #: read-only
    REQUIRED = "required"  #: write after an approver approved the plan
    AUTOMATIC = "automatic"  #: write without approval


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentSettings:
    """What an administrator allows the app to do in one environment."""

    environment_id: str
    #: Name of the environment when a setting was last changed; empty: unknown.
    display_name: str = ""
    approval_policy: ApprovalPolicy = ApprovalPolicy.READ_ONLY
    #: Flows per remediation, at most.
    max_flows: int = 100
    #: Workflow ids or flow names that the app never changes.
    excluded_flows: frozenset[str] = frozenset()
    #: Workflow ids or flow names of the pilot flows; the other flows start after these work.
    pilot_flows: frozenset[str] = frozenset()
    #: `HH:MM-HH:MM` in UTC; empty: no restriction.
    maintenance_window: str = ""
    #: Lower-case ids of the Azure resources whose firewalls a plan may change so that they allow
    #: the copies.
    writable_firewalls: frozenset[str] = frozenset()
    #: Whether the app may read the headers of calls to originals, to show who still calls.
    observe_callers: bool = False
    #: Whether the daily check reports yesterday's failed runs.
    report_failed_runs: bool = False
    #: E-mail addresses that notifications about the environment name as their recipients.
    notification_recipients: frozenset[str] = frozenset()
    #: Names of ignored firewall issues, each with the justification.
    ignored_issues: dict[str, str] = field(default_factory=dict)
    #: Whether callers may refer to URL secrets, if the app has a vault for them.
    has_url_secrets: bool = True
    #: Whether keys of App Configuration may refer to them too, whose readers the app does not know.
    has_url_secrets_in_app_configuration: bool = False

    @property
    def url_secret_use(self) -> UrlSecretUse:
        """Return which callers refer to URL secrets.

        An approver can choose otherwise for a flow.
        """
        if not self.has_url_secrets:
            return UrlSecretUse.NONE
        if self.has_url_secrets_in_app_configuration:
            return UrlSecretUse.WITH_APP_CONFIGURATION
        return UrlSecretUse.VERIFIED_CALLERS

    @property
    def version(self) -> str:
        """Return 16 hex digits that change with every setting except `display_name`."""
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        del values["display_name"]
        text = json.dumps(values, sort_keys=True, default=sorted)
        return hashlib.sha256(text.encode()).hexdigest()[:16]
