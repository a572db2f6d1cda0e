"""Keys, vaults and enterprise policies as the readiness check reads them (contract §3, §4)."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
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


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyVault:
    """A vault's protection, as the readiness check needs it."""

    #: Azure resource id, lower case.
    id: str
    url: str
    soft_delete: bool
    purge_protection: bool
    #: Roles decide, not access policies; then the grants are not shown here.
    uses_rbac: bool
    #: Principal id → key permissions, lower case; empty with RBAC.
    key_permissions: dict[str, frozenset[str]]


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
