"""Whether a vault protects its keys, and lets the policy's identity use them.

Microsoft's validator wants the role *Key Vault Crypto Service Encryption User* on the vault, or an
access policy with get, wrapKey and unwrapKey. Roles that hold the same rights count too; a role
whose rights are not known here does not settle anything.

See platform.md#key-requirements, #key-grants.
"""

from collections.abc import Iterator

from shared.domain.finding import Finding, ok, problem, unknown
from shared.domain.keys.key import KeySnapshot, KeyVault

PERMISSIONS = frozenset({"get", "wrapkey", "unwrapkey"})
ROLE = "Key Vault Crypto Service Encryption User"
#: Azure's built-in roles that may read a key, wrap and unwrap with it.
_ROLES_THAT_WRAP = {
    "e147488a-f6f5-4113-8e2d-b22465e65bf6",  # Key Vault Crypto Service Encryption User
    "12338af0-0e69-4776-bea7-57ae8d297424",  # Key Vault Crypto User
    "14b46e9e-c2b7-41b4-b07b-48a6ebf60603",  # Key Vault Crypto Officer
    "00482a5a-887f-4fb3-b363-3b7fe8e74483",  # Key Vault Administrator
}


def vault_findings(facts: KeySnapshot) -> Iterator[Finding]:
    """Yield a finding for every check of the vault."""
    vault = facts.vault
    if vault is None:
        instruction = (
            f"Give the app the role Reader on {facts.vault_id}. If it was deleted, recover it at"
            f" once (`az keyvault recover --name {facts.vault_id.rpartition('/')[2]}`)."
        )
        codes = ("vault_soft_delete", "vault_purge_protection", "vault_network", "key_grants")
        for code in codes:
            yield unknown(code, "The vault cannot be read.", instruction, facts.vault_id)
        return
    if facts.policy and vault.id.lower() != facts.policy.vault_id.lower():
        yield problem(
            "policy_vault",
            f"The policy names another vault than the one examined: {facts.policy.vault_id}",
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
            option = title.lower().replace(" ", "-")
            yield problem(
                code,
                f"{title} is off.",
                f"Turn it on; it cannot be turned off again (`az keyvault update --name"
                f" {vault.name} --enable-{option} true`).",
                vault.id,
            )
    yield _network(facts, vault)
    yield _grants(facts, vault)


def _network(facts: KeySnapshot, vault: KeyVault) -> Finding:
    """Say whether the platform, which is a trusted service of Key Vault's, reaches it."""
    code = "vault_network"
    if vault.public_access.lower() == "securedbyperimeter":
        text = "A network security perimeter is before the vault, which is not read here."
        instruction = "Check that the perimeter lets Microsoft's trusted services reach the vault."
        return unknown(code, text, instruction, vault.id)
    is_closed = vault.public_access.lower() == "disabled" or vault.default_action.lower() == "deny"
    if not is_closed or vault.lets_trusted_services_in:
        return ok(code, "The vault's network rules let the platform reach it.", vault.id)
    return problem(
        code,
        "The vault's network rules keep Microsoft's trusted services out, so the platform does not"
        f" reach the key.{facts.stops}",
        "Let trusted services in at once (`az keyvault update --name"
        f" {vault.name} --bypass AzureServices`).",
        vault.id,
    )


def _grants(facts: KeySnapshot, vault: KeyVault) -> Finding:
    identity = facts.policy.principal_id if facts.policy else None
    if identity is None:
        return unknown(
            "key_grants",
            "No identity of a policy is known whose access could be looked at.",
            f"Give the identity of the policy that is to use the key the role {ROLE} on the vault,"
            " and check again.",
            vault.id,
        )
    return (_by_roles if vault.uses_rbac else _by_access_policies)(facts, vault, identity)


def _by_roles(facts: KeySnapshot, vault: KeyVault, identity: str) -> Finding:
    code = "key_grants"
    grant = (
        f"`az role assignment create --assignee-object-id {identity} --assignee-principal-type"
        f' ServicePrincipal --role "{ROLE}" --scope {vault.id}`'
    )
    if facts.roles is None:
        return unknown(
            code,
            "Roles decide who may use the key, and the app may not read them.",
            f"Give the app the role Reader on the vault, or check that the policy's identity has"
            f" the role {ROLE}.",
            vault.id,
        )
    # An assignment below the vault reaches the key only if it is the key's own.
    own = f"{vault.id}/keys/{facts.key_name.lower()}"
    reaching = [
        one for one in facts.roles if not one.scope.startswith(f"{vault.id}/") or one.scope == own
    ]
    wrapping = [one for one in reaching if one.role_id in _ROLES_THAT_WRAP]
    if any(not one.is_conditional for one in wrapping):
        return ok(code, "The policy's identity has a role that may use the key.", vault.id)
    if reaching:
        doubt = "under a condition only" if wrapping else "which may allow it or not"
        return unknown(
            code,
            f"The policy's identity has {len(reaching)} other role assignments, {doubt}.",
            f"Give it the role {ROLE} ({grant}), or see that what it has is enough.",
            vault.id,
        )
    return problem(
        code,
        f"The policy's identity has no role that may use the key.{facts.stops}",
        f"Give it the role {ROLE} on the vault ({grant}); it takes about five minutes.",
        vault.id,
    )


def _by_access_policies(facts: KeySnapshot, vault: KeyVault, identity: str) -> Finding:
    granted = vault.key_permissions.get(identity.lower(), frozenset())
    lacking = frozenset() if "all" in granted else PERMISSIONS - granted
    if not lacking:
        return ok("key_grants", "The policy's identity may use the key.", vault.id)
    return problem(
        "key_grants",
        f"The policy's identity lacks key permissions: {', '.join(sorted(lacking))}.{facts.stops}",
        f"Add them to its access policy (`az keyvault set-policy --name {vault.name} --object-id"
        f" {identity} --key-permissions get wrapKey unwrapKey`).",
        vault.id,
    )
