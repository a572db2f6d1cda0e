"""Whether a customer-managed key can do its work: Microsoft's own pre-flight checks, and more.

The checks are those of contract §4. Every one gives a finding, good ones too, so that a report can
show what was looked at; what the platform does not show is `unknown` and for a person to look at.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import pairwise

from shared.domain.environment import Environment
from shared.domain.finding import Finding, Level, ok, problem, unknown, warning, worst
from shared.domain.keys.environment_readiness import assess_environments
from shared.domain.keys.key import EnterprisePolicy, Key, KeyVault

__all__ = ["Finding", "Level", "assess_key", "worst"]

#: A previous version has to stay enabled this long: databases are restored with it.
PREVIOUS_VERSION_KEPT = timedelta(days=28)
#: An expired key locks every environment on it, so it is announced this long before.
EXPIRY_WARNING = timedelta(days=30)
KEY_SIZES = frozenset({2048, 3072})
KEY_TYPES = frozenset({"rsa", "rsa-hsm"})
PERMISSIONS = frozenset({"get", "wrapkey", "unwrapkey"})
ROLE = "Key Vault Crypto Service Encryption User"


def assess_key(
    policy: EnterprisePolicy,
    vault: KeyVault | None,
    versions: Sequence[Key] | None,
    now: datetime,
    environments: Sequence[Environment],
) -> tuple[Finding, ...]:
    """Return a finding for every check of a policy, its vault, its key and its environments.

    `versions` come newest first; None for them or for the vault means that they could not be read.
    `environments` are all of the tenant, since the limit counts all.
    """
    return (
        *_policy_findings(policy),
        *_vault_findings(policy, vault),
        *_key_findings(policy, versions, now),
        *assess_environments(policy, environments),
    )


# --- policy --------------------------------------------------------------------------------------


def _policy_findings(policy: EnterprisePolicy) -> Iterator[Finding]:
    match policy.encryption_state:
        case "Enabled":
            yield ok("policy_state", "Encryption is enabled in the policy.")
        case "Disabled" | "NotConfigured" as state:
            yield problem(
                "policy_state",
                f"Encryption is {state} in the policy.",
                "Enable encryption in the enterprise policy.",
            )
        case state:
            yield unknown("policy_state", f"The policy's encryption state is '{state}'.")
    match policy.health:
        case "Healthy":
            yield ok("policy_health", "The policy is healthy.")
        case "Warning":
            yield warning(
                "policy_health",
                "The platform reports a warning for the policy.",
                "Check the key, its vault and the grants below.",
            )
        case "Unhealthy":
            yield problem(
                "policy_health",
                "The platform reports the policy as unhealthy.",
                "Check the key, its vault and the grants below: its environments may be locked.",
            )
        case health:
            yield unknown("policy_health", f"The platform has not determined its health: {health}")
    if policy.key_version is None:
        yield ok("key_pinned", "The policy follows the newest version of the key.")
    else:
        yield warning(
            "key_pinned",
            f"The policy is pinned to version {policy.key_version}: a rotation changes nothing.",
            "Create a policy without a version and swap the environments to it.",
        )
    if policy.principal_id is None:
        yield problem(
            "policy_identity",
            "The policy has no system-assigned identity, so it cannot use a key.",
            "Assign an identity to the policy and grant it access to the vault.",
        )
    else:
        yield ok("policy_identity", "The policy has an identity.")


# --- vault ---------------------------------------------------------------------------------------


def _vault_findings(policy: EnterprisePolicy, vault: KeyVault | None) -> Iterator[Finding]:
    if vault is None:
        instruction = f"Give the app the role Reader on {policy.vault_id}."
        for code in ("vault_soft_delete", "vault_purge_protection", "key_grants"):
            yield unknown(code, "The vault cannot be read.", instruction, policy.vault_id)
        return
    if vault.id.lower() != policy.vault_id.lower():
        yield problem(
            "policy_vault",
            f"The policy names another vault than the one examined: {policy.vault_id}",
            "Examine the vault that the policy names.",
            vault.id,
        )
    for code, title, is_on in (
        ("vault_soft_delete", "Soft delete", vault.soft_delete),
        ("vault_purge_protection", "Purge protection", vault.purge_protection),
    ):
        if is_on:
            yield ok(code, f"{title} is on.", vault.id)
        else:
            instruction = f"Turn {title.lower()} on for the vault; it cannot be turned off again."
            yield problem(code, f"{title} is off.", instruction, vault.id)
    yield _grants(policy, vault)


def _grants(policy: EnterprisePolicy, vault: KeyVault) -> Finding:
    if vault.uses_rbac:
        return unknown(
            "key_grants",
            "Roles decide who may use the key, and the vault does not show them.",
            f"Check that the policy's identity has the role {ROLE} on the vault.",
            vault.id,
        )
    granted = vault.key_permissions.get(policy.principal_id or "", frozenset())
    lacking = frozenset() if "all" in granted else PERMISSIONS - granted
    if not lacking:
        return ok("key_grants", "The policy's identity may use the key.", vault.id)
    return problem(
        "key_grants",
        f"The policy's identity lacks key permissions: {', '.join(sorted(lacking))}",
        "Add them to its access policy of the vault.",
        vault.id,
    )


# --- key -----------------------------------------------------------------------------------------


def _key_findings(
    policy: EnterprisePolicy, versions: Sequence[Key] | None, now: datetime
) -> Iterator[Finding]:
    if versions is None:
        instruction = "Give the app the role Key Vault Reader on the vault."
        for code in ("key_enabled", "key_validity", "key_type", "previous_versions"):
            yield unknown(code, "The key cannot be read.", instruction, policy.key_name)
        return
    pinned = policy.key_version
    used = next((key for key in versions if pinned in {None, key.version}), None)
    if used is None:
        what = f"version {pinned} of the key" if pinned else "the key"
        yield problem(
            "key_enabled",
            f"There is no {what} {policy.key_name}.",
            "Recover it from the vault's deleted keys at once: its environments get locked.",
            policy.key_name,
        )
        return
    if used.is_enabled:
        yield ok("key_enabled", "The key is enabled.", used.version)
    else:
        yield problem(
            "key_enabled",
            "The key is disabled.",
            "Enable it at once: all environments on it get locked.",
            used.version,
        )
    yield _validity(used, now)
    yield _type(used)
    yield from _previous_versions(versions, now)


def _validity(key: Key, now: datetime) -> Finding:
    renew = "Rotate the key, or set a later expiry date, before its environments get locked."
    if key.not_before and key.not_before > now:
        text = f"The key is not valid before {key.not_before:%Y-%m-%d %H:%M} UTC."
        return problem("key_validity", text, "Set an earlier activation date.", key.version)
    if key.expires is None:
        return ok("key_validity", "The key does not expire.", key.version)
    text = f"{key.expires:%Y-%m-%d %H:%M} UTC"
    if key.expires <= now:
        return problem("key_validity", f"The key expired at {text}.", renew, key.version)
    if key.expires - now <= EXPIRY_WARNING:
        return warning("key_validity", f"The key expires at {text}.", renew, key.version)
    return ok("key_validity", f"The key is valid until {text}.", key.version)


def _type(key: Key) -> Finding:
    wanted = "Create an RSA or RSA-HSM key of 2048 or 3072 bits and a policy for it."
    if key.key_type.lower() not in KEY_TYPES:
        return problem("key_type", f"Its type is {key.key_type}.", wanted, key.version)
    if key.size is None:
        text = f"Its type is {key.key_type}; its size is not shown."
        return unknown("key_type", text, "Check that it has 2048 or 3072 bits.", key.version)
    text = f"It is an {key.key_type} key of {key.size} bits."
    if key.size not in KEY_SIZES:
        return problem("key_type", text, wanted, key.version)
    return ok("key_type", text, key.version)


def _previous_versions(versions: Sequence[Key], now: datetime) -> Iterator[Finding]:
    """Judge each version by when the next one took over."""
    code = "previous_versions"
    found: list[Finding] = []
    for newer, older in pairwise(versions):
        if older.is_enabled:
            continue
        if newer.created is None:
            text = "It is disabled, and when it was replaced is not shown."
            found.append(unknown(code, text, "Check that it was 28 days ago.", older.version))
        elif now - newer.created < PREVIOUS_VERSION_KEPT:
            until = newer.created + PREVIOUS_VERSION_KEPT
            found.append(
                problem(
                    code,
                    "A previous version is disabled, but databases may still need it.",
                    f"Enable it again, and keep it enabled until {until:%Y-%m-%d}.",
                    older.version,
                )
            )
    yield from found or [ok(code, "Every previous version is enabled as long as it has to be.")]
