"""What the product knows of a Power Platform environment and its encryption policy."""

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum


class PolicyLinkStatus(StrEnum):
    """How far an environment is linked to its encryption policy (platform.md#link-status)."""

    LINKING = "Linking"
    LINKED = "Linked"
    UNLINKING = "Unlinking"
    FAILED = "Failed"
    LINKING_ONLINE = "LinkingOnline"
    UNLINKING_ONLINE = "UnlinkingOnline"


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyLink:
    """The encryption policy an environment names, and whether it is in force."""

    #: Azure resource id of the enterprise policy, lower case.
    policy_id: str
    #: `/regions/{geo}/providers/Microsoft.PowerPlatform/enterprisePolicies/{guid}`.
    system_id: str
    status: PolicyLinkStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """One environment as the admin API describes it."""

    id: str
    display_name: str
    #: Geography, such as `europe`: what must equal the policy's location.
    geography: str
    #: Primary Azure region, such as `westeurope`.
    region: str
    #: `Production`, `Sandbox`, `Trial`, `Teams`, `Developer`, `Default`.
    sku: str
    #: Whether it is a Managed Environment; None: the platform does not tell.
    is_managed: bool | None
    is_enabled: bool
    #: None: the environment is not under a customer-managed key.
    policy: PolicyLink | None
    #: Base of the Dataverse Web API (`https://org1.api.crm4.dynamics.com`); None: no Dataverse.
    dataverse_url: str | None

    @property
    def is_linked(self) -> bool:
        """Say whether the customer-managed key is in force."""
        return self.policy is not None and self.policy.status is PolicyLinkStatus.LINKED


#: A migration takes up to four days (platform.md#migration-time). Flows that could move and have
#: not by then were under the key before flows were covered, or something holds them.
MIGRATION_LONGEST = timedelta(days=4)


class ApprovalPolicy(StrEnum):
    """What the app may do in an environment."""

    ASSESS = "assess"  #: read only
    APPROVE = "approve"  #: write what an administrator approved
    AUTO = "auto"  #: write what the plan says


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentSettings:
    """What an administrator decided for one environment."""

    environment_id: str
    mode: ApprovalPolicy = ApprovalPolicy.ASSESS
    #: Flows per remediation.
    limit: int = 100
    #: Workflow ids or flow names that are never touched.
    excluded_flows: frozenset[str] = frozenset()
    #: Workflow ids or flow names that go first; the rest waits until they are past their cut-over.
    first_wave: frozenset[str] = frozenset()
    #: `HH:MM-HH:MM` in UTC; empty: any time.
    maintenance_window: str = ""
    #: Lower-case ids of Azure resources that a plan opens by itself, where they keep copies out.
    repaired_resources: frozenset[str] = frozenset()
    #: Names of firewall gaps that an administrator accepts, and why.
    waived_gaps: dict[str, str] = field(default_factory=dict)
