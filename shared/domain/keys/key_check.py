"""Check whether a customer-managed key works.

What the platform does not show is `unknown`, and a person has to check it. See
platform.md#key-requirements, #key-grants.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass

from shared.domain.finding import (
    Finding,
    FindingLevel,
    find_highest_level,
    passed,
    problem,
    unknown,
    warning,
)
from shared.domain.keys.environment_checks import list_environment_findings
from shared.domain.keys.key import EnterprisePolicy, KeySnapshot
from shared.domain.keys.vault_checks import ROLE, list_vault_findings
from shared.domain.keys.version_checks import list_version_findings

#: Code of the platform's own opinion, which has the cause only if no other finding has.
POLICY_HEALTH = "policy_health"


def list_policy_findings(policy: EnterprisePolicy) -> Iterator[Finding]:
    """Yield a finding for each check of the policy itself."""
    yield _check_state(policy)
    yield _check_health(policy)
    if policy.key_version is None:
        yield passed("key_pinned", "The policy follows the newest version of the key.")
    else:
        yield warning(
            "key_pinned",
            (
                f"The policy has the fixed key version {policy.key_version}, so a rotation of the "
                "key has no effect."
            ),
            "Create a policy without a key version and move the environments to it: `cmkflow "
            "key check` shows the steps.",
        )
    if policy.principal_id is None:
        yield problem(
            "policy_identity",
            "The policy has no system-assigned identity, so it cannot use a key.",
            "Assign an identity to the policy and grant it access to the vault.",
        )
    else:
        yield passed("policy_identity", "The policy has an identity.")


def _check_state(policy: EnterprisePolicy) -> Finding:
    code = "policy_state"
    match policy.encryption_state:
        case "Enabled":
            return passed(code, "Encryption is enabled in the policy.")
        case "Disabled" | "NotConfigured" as state:
            text = f"Encryption is {state} in the policy."
            return problem(code, text, "Enable encryption in the enterprise policy.")
        case state:
            return unknown(code, f"The policy's encryption state is '{state}'.")


def _check_health(policy: EnterprisePolicy) -> Finding:
    code, check = POLICY_HEALTH, "Check the key, its vault and the permissions below"
    match policy.health:
        case "Healthy":
            return passed(code, "The policy is healthy.")
        case "Warning":
            return warning(code, "The platform reports a warning for the policy.", f"{check}.")
        case "Unhealthy":
            text = "The platform reports the policy as unhealthy."
            return problem(code, text, f"{check}: its environments may be locked.")
        case health:
            return unknown(code, f"The platform has not determined its health: {health}")


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyCheckResult:
    """The result of the check of one key with one of the policies that name it."""

    #: Both empty: no policy names the key yet.
    policy_id: str = ""
    policy_name: str = ""
    vault_id: str
    key_name: str
    #: Names of the environments on the policy.
    environments: tuple[str, ...] = ()
    findings: tuple[Finding, ...]
    #: How the environments leave a policy with a fixed key version; empty: it has none.
    policy_replacement_steps: tuple[str, ...] = ()

    @property
    def level(self) -> FindingLevel:
        return find_highest_level(self.findings)


def list_key_findings(facts: KeySnapshot) -> Iterator[Finding]:
    """Yield a finding for each check of a key, its vault and its policy."""
    if facts.policy:
        yield from list_policy_findings(facts.policy)
    yield from list_vault_findings(facts)
    yield from list_version_findings(facts)


def check_key(facts: KeySnapshot) -> KeyCheckResult:
    """Return the result of all checks, including those of the policy's environments."""
    policy = facts.policy
    return KeyCheckResult(
        policy_id=policy.id if policy else "",
        policy_name=policy.name if policy else "",
        vault_id=facts.vault_id,
        key_name=facts.key_name,
        environments=tuple(sorted(one.display_name for one in facts.environments_on_policy)),
        findings=(*list_key_findings(facts), *(list_environment_findings(facts) if policy else ())),
        policy_replacement_steps=list_policy_replacement_steps(facts),
    )


_POLICIES_VERSION = "2020-10-30"


def list_policy_replacement_steps(facts: KeySnapshot) -> tuple[str, ...]:
    """Return the steps by which a person replaces a policy that has a fixed version of its key.

    Returns no steps for a policy that always uses the newest version.
    """
    policy, vault = facts.policy, facts.vault
    if policy is None or policy.key_version is None:
        return ()
    url = f"{policy.id}-versionless?api-version={_POLICIES_VERSION}"
    key_vault = {"id": facts.vault_id, "key": {"name": facts.key_name}}
    policy_body = {
        "location": policy.location,
        "kind": "Encryption",
        "identity": {"type": "SystemAssigned"},
        "properties": {"encryption": {"state": "Enabled", "keyVault": key_vault}},
    }
    create = f"`az rest --method put --url \"{url}\" --body '{json.dumps(policy_body)}'`"
    grant = (
        f"grant it the role {ROLE} on {facts.vault_id}"
        if vault is None or vault.uses_rbac
        else f"grant it get, wrapKey and unwrapKey in an access policy of {facts.vault_id}"
    )
    names = [
        f"{environment.display_name} ({environment.id})"
        for environment in sorted(facts.environments_on_policy, key=lambda one: one.display_name)
    ]
    moves = [
        f"Add {name} to the new policy in the admin center (Policies, Customer-managed encryption "
        f"keys), which removes it from {policy.name}. Wait until its link is Linked, then test a "
        "flow."
        for name in names
    ]
    return (
        (
            "Make sure that no remediation of these environments is in progress: `cmkflow "
            "remediation list`. A plan for the old policy is not carried out under another."
        ),
        f"Create a policy without a key version for the same key: {create}.",
        f"Take `identity.principalId` from the response and {grant}. Wait five minutes.",
        "Run `cmkflow key check`. It must find no problem with the new policy.",
        *(moves or ["No environment is on the old policy, so there is none to move."]),
        (
            f"Keep version {policy.key_version} enabled for 28 more days. Keep the old policy "
            "until no environment is linked to it, then delete it."
        ),
    )
