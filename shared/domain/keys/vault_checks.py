"""Check whether a vault protects its keys and lets the policy's identity use them.

Microsoft requires the role *Key Vault Crypto Service Encryption User* on the vault, or an access
policy with get, wrapKey and unwrapKey. Other built-in roles with these rights count too. If the
identity has only roles that the app does not know, the finding is `unknown`. See
platform.md#key-requirements, #key-grants.
"""

from collections.abc import Iterator

from shared.domain.finding import Finding, passed, problem, unknown
from shared.domain.keys.key import KeySnapshot, KeyVault

PERMISSIONS = frozenset({"get", "wrapkey", "unwrapkey"})
ROLE = "Key Vault Crypto Service Encryption User"
#: Azure's built-in roles that may read a key and wrap and unwrap with it.
_ROLES_THAT_WRAP = {
    "e147488a-f6f5-4113-8e2d-b22465e65bf6",  # Key Vault Crypto Service Encryption User
    "12338af0-0e69-4776-bea7-57ae8d297424",  # Key Vault Crypto User
    "14b46e9e-c2b7-41b4-b07b-48a6ebf60603",  # Key Vault Crypto Officer
    "00482a5a-887f-4fb3-b363-3b7fe8e74483",  # Key Vault Administrator
}


def list_vault_findings(facts: KeySnapshot) -> Iterator[Finding]:
    """Yield a finding for each check of the vault."""
    vault = facts.vault
    if vault is None:
        fix = (
            f"Give the app the role Reader on {facts.vault_id}. If the vault was deleted, recover "
            f"it now (`az keyvault recover --name {facts.vault_id.rpartition('/')[2]}`)."
        )
        codes = ("vault_soft_delete", "vault_purge_protection", "vault_network", "key_grants")
        for code in codes:
            yield unknown(code, "The vault cannot be read.", fix, facts.vault_id)
        return
    if facts.policy and vault.id.lower() != facts.policy.vault_id.lower():
        yield problem(
            "policy_vault",
            f"The policy names another vault than the checked one: {facts.policy.vault_id}",
            "Check the vault that the policy names.",
            vault.id,
        )
    for code, title, is_on in (
        ("vault_soft_delete", "Soft delete", vault.soft_delete),
        ("vault_purge_protection", "Purge protection", vault.purge_protection),
    ):
        if is_on:
            yield passed(code, f"{title} is on.", vault.id)
        else:
            option = title.lower().replace(" ", "-")
            yield problem(
                code,
                f"{title} is off.",
                f"Turn it on (`az keyvault update --name"
                f" {vault.name} --enable-{option} true`). It cannot be turned off again.",
                vault.id,
            )
    yield _check_network(facts, vault)
    yield _check_access(facts, vault)


def _check_network(facts: KeySnapshot, vault: KeyVault) -> Finding:
    code = "vault_network"
    if vault.public_access.lower() == "securedbyperimeter":
        text = (
            "A network security perimeter protects the vault, and the app does not read perimeters."
        )
        fix = "Check that the perimeter allows Microsoft's trusted services."
        return unknown(code, text, fix, vault.id)
    is_closed = vault.public_access.lower() == "disabled" or vault.default_action.lower() == "deny"
    if not is_closed or vault.lets_trusted_services_in:
        return passed(code, "The vault's network rules allow the platform.", vault.id)
    return problem(
        code,
        "The vault's network rules deny Microsoft's trusted services, so the platform cannot "
        f"reach the key.{facts.stopped_environments}",
        "Allow trusted services now (`az keyvault update --name"
        f" {vault.name} --bypass AzureServices`).",
        vault.id,
    )


def _check_access(facts: KeySnapshot, vault: KeyVault) -> Finding:
    identity = facts.policy.principal_id if facts.policy else None
    if identity is None:
        return unknown(
            "key_grants",
            "No policy is known, so the app cannot check the access of its identity.",
            f"Grant the identity of the policy that is to use the key the role {ROLE} on the "
            "vault, then check again.",
            vault.id,
        )
    return (_check_role if vault.uses_rbac else _check_access_policy)(facts, vault, identity)


def _check_role(facts: KeySnapshot, vault: KeyVault, identity: str) -> Finding:
    code = "key_grants"
    grant = (
        f"`az role assignment create --assignee-object-id {identity} --assignee-principal-type"
        f' ServicePrincipal --role "{ROLE}" --scope {vault.id}`'
    )
    if facts.roles is None:
        return unknown(
            code,
            "The vault uses role assignments, and the app may not read them.",
            f"Give the app the role Reader on the vault, or check that the policy's identity has"
            f" the role {ROLE}.",
            vault.id,
        )
    # An assignment below the vault applies only if its scope is this key.
    own = f"{vault.id}/keys/{facts.key_name.lower()}"
    reaching = [
        one for one in facts.roles if not one.scope.startswith(f"{vault.id}/") or one.scope == own
    ]
    wrapping = [one for one in reaching if one.role_id in _ROLES_THAT_WRAP]
    if any(not one.is_conditional for one in wrapping):
        return passed(code, "The policy's identity has a role that may use the key.", vault.id)
    if reaching:
        doubt = "all with a condition" if wrapping else "which may or may not allow it"
        return unknown(
            code,
            f"The policy's identity has {len(reaching)} other role assignments, {doubt}.",
            f"Grant it the role {ROLE} ({grant}), or check that its roles suffice.",
            vault.id,
        )
    return problem(
        code,
        f"The policy's identity has no role that may use the key.{facts.stopped_environments}",
        (
            f"Grant it the role {ROLE} on the vault ({grant}). This takes about five minutes to "
            "take effect."
        ),
        vault.id,
    )


def _check_access_policy(facts: KeySnapshot, vault: KeyVault, identity: str) -> Finding:
    granted = vault.key_permissions.get(identity.lower(), frozenset())
    lacking = frozenset() if "all" in granted else PERMISSIONS - granted
    if not lacking:
        return passed("key_grants", "The policy's identity may use the key.", vault.id)
    return problem(
        "key_grants",
        f"The policy's identity lacks key permissions: {', '.join(sorted(lacking))}."
        f"{facts.stopped_environments}",
        f"Add them to its access policy (`az keyvault set-policy --name {vault.name} --object-id"
        f" {identity} --key-permissions get wrapKey unwrapKey`).",
        vault.id,
    )
