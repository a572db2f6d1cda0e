"""Keys, vaults and enterprise policies as the readiness check reads them.

See platform.md#enterprise-policies, #vault-api.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from shared.domain.environment import Environment


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyVersion:
    """One version of a key."""

    name: str
    version: str
    key_type: str
    #: Bits; None: not an RSA key, or not shown.
    size: int | None
    is_enabled: bool
    not_before: datetime | None
    expires: datetime | None
    created: datetime | None
    #: What it may be used for (`wrapKey`), lower case; empty: not shown.
    operations: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyVault:
    """A vault's protection, as the readiness check needs it."""

    #: Azure resource id, lower case.
    id: str
    url: str
    soft_delete: bool
    purge_protection: bool
    #: Roles decide, not access policies.
    uses_rbac: bool
    #: Principal id → key permissions, lower case; empty with RBAC.
    key_permissions: dict[str, frozenset[str]]
    #: `Enabled`, `Disabled`, `SecuredByPerimeter`.
    public_access: str
    #: What its network rules do with whom none of them names: `Allow` or `Deny`.
    default_action: str
    #: Whether Microsoft's trusted services pass the network rules.
    lets_trusted_services_in: bool

    @property
    def name(self) -> str:
        """Return what commands call it."""
        return self.id.rpartition("/")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleAssignment:
    """A role that a principal has at a vault, above it or below."""

    #: The GUID of the role's definition, lower case.
    role_id: str
    #: Azure resource id, lower case.
    scope: str
    #: It holds under a condition.
    is_conditional: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class EnterprisePolicy:
    """An encryption policy."""

    #: Azure resource id, lower case.
    id: str
    name: str
    location: str
    system_id: str
    #: `Enabled`, `Disabled`, `NotConfigured`.
    encryption_state: str
    vault_id: str
    key_name: str
    #: None: the policy follows the newest version.
    key_version: str | None
    #: `Undetermined`, `Healthy`, `Warning`, `Unhealthy`.
    health: str
    principal_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySnapshot:
    """What was read of one key, of the policy that names it and of the environments."""

    at: datetime
    #: Azure resource id, lower case.
    vault_id: str
    key_name: str
    #: None: no policy names the key yet.
    policy: EnterprisePolicy | None = None
    #: None: it cannot be read.
    vault: KeyVault | None
    #: Newest first; None: they cannot be read.
    versions: Sequence[KeyVersion] | None
    #: Those of the policy's identity; None: they cannot be read, or were not asked for.
    roles: Sequence[RoleAssignment] | None = None
    #: All of the tenant, since the limit counts all.
    environments: Sequence[Environment] = ()

    @property
    def on_policy(self) -> list[Environment]:
        """Return the environments that name the policy, whatever the state of their link."""
        policy_id = self.policy.id.lower() if self.policy else ""
        return [
            environment
            for environment in self.environments
            if environment.policy and environment.policy.policy_id.lower() == policy_id
        ]

    @property
    def stops(self) -> str:
        """Return, for a text, which environments stop where the key cannot be used."""
        names = sorted(environment.display_name for environment in self.on_policy)
        return f" These environments stop: {', '.join(names)}." if names else ""
