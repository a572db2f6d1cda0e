"""Define keys, vaults and enterprise policies as the key check reads them.

See platform.md#enterprise-policies, #vault-api.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from shared.domain.environment import Environment


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyVersion:
    name: str
    version: str
    key_type: str
    #: Bits; None: not an RSA key, or not shown.
    size: int | None
    is_enabled: bool
    valid_from: datetime | None
    expires_at: datetime | None
    created_at: datetime | None
    #: The allowed operations (`wrapKey`), in lower case; empty: not shown.
    operations: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyVault:
    """A key vault's settings that protect its keys."""

    #: Azure resource id, lower case.
    id: str
    url: str
    soft_delete: bool
    purge_protection: bool
    #: Whether roles decide about access, instead of access policies.
    uses_rbac: bool
    #: Key permissions by principal id, in lower case; empty with RBAC.
    key_permissions: dict[str, frozenset[str]]
    #: Permissions for secrets, in the same way.
    secret_permissions: dict[str, frozenset[str]] = field(default_factory=dict)
    #: `Enabled`, `Disabled`, `SecuredByPerimeter`.
    public_access: str
    #: The action of its network rules for addresses without a rule: `Allow` or `Deny`.
    default_action: str
    #: Whether Microsoft's trusted services bypass the network rules.
    lets_trusted_services_in: bool

    @property
    def name(self) -> str:
        return self.id.rpartition("/")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleAssignment:
    """A role assignment of a principal that may affect a vault: at the vault, above or below it."""

    #: The GUID of the role definition, in lower case.
    role_id: str
    #: Azure resource id, lower case.
    scope: str
    #: Whether it has a condition.
    is_conditional: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class EnterprisePolicy:
    """An enterprise policy for encryption."""

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
    """The facts about one key, its policy and its environments, as read for a check."""

    read_at: datetime
    #: Azure resource id, lower case.
    vault_id: str
    key_name: str
    #: None: no policy names the key yet.
    policy: EnterprisePolicy | None = None
    #: None: it could not be read.
    vault: KeyVault | None
    #: Newest first; None: they could not be read.
    versions: Sequence[KeyVersion] | None
    #: Role assignments of the policy's identity; None: they could not be read, or were not needed.
    roles: Sequence[RoleAssignment] | None = None
    #: All environments of the tenant, because the limit counts all.
    environments: Sequence[Environment] = ()

    @property
    def environments_on_policy(self) -> list[Environment]:
        """Return the environments that have a link to the policy, whatever its status."""
        policy_id = self.policy.id.lower() if self.policy else ""
        return [
            environment
            for environment in self.environments
            if environment.policy and environment.policy.policy_id.lower() == policy_id
        ]

    @property
    def stopped_environments(self) -> str:
        """Return a text that names the environments that stop without the key, or ""."""
        on_policy = self.environments_on_policy
        disabled = sorted(one.display_name for one in on_policy if not one.is_enabled)
        if disabled:
            return (
                f" These environments are disabled: {', '.join(disabled)}. Their flows do not run, "
                "and the app waits until the key works again."
            )
        names = sorted(environment.display_name for environment in on_policy)
        return f" These environments stop: {', '.join(names)}." if names else ""
