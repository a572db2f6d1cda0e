"""Describe how environments leave a policy with a fixed key version. The app makes none of these
changes.

A policy that is applied to an environment cannot be changed (platform.md#policies-in-use). To
follow the newest version, each environment moves to another policy for the same key.
"""

import json

from shared.domain.keys.key import KeySnapshot
from shared.domain.keys.vault_checks import ROLE

_POLICIES_VERSION = "2020-10-30"


def list_policy_replacement_steps(facts: KeySnapshot) -> tuple[str, ...]:
    """Return the steps in order; none for a policy that follows its key."""
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
