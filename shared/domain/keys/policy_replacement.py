"""How environments leave a policy that is pinned to a version of its key: in words, never done.

A policy that an environment is on cannot be changed (platform.md#policies-in-use), so that the way
to the newest version is another policy for the same key, and a swap of each environment to it.
"""

import json

from shared.domain.keys.key import KeySnapshot
from shared.domain.keys.vault_checks import ROLE

_POLICIES_VERSION = "2020-10-30"


def policy_replacement_steps(facts: KeySnapshot) -> tuple[str, ...]:
    """Return the steps for a pinned policy, in their order; none for one that follows its key."""
    policy, vault = facts.policy, facts.vault
    if policy is None or policy.key_version is None:
        return ()
    url = f"https://management.azure.com{policy.id}-versionless?api-version={_POLICIES_VERSION}"
    key_vault = {"id": facts.vault_id, "key": {"name": facts.key_name}}
    policy_body = {
        "location": policy.location,
        "kind": "Encryption",
        "identity": {"type": "SystemAssigned"},
        "properties": {"encryption": {"state": "Enabled", "keyVault": key_vault}},
    }
    make = f"`az rest --method put --url \"{url}\" --body '{json.dumps(policy_body)}'`"
    grant = (
        f"give it the role {ROLE} on {facts.vault_id}"
        if vault is None or vault.uses_rbac
        else f"give it get, wrapKey and unwrapKey in an access policy of {facts.vault_id}"
    )
    names = [
        f"{environment.display_name} ({environment.id})"
        for environment in sorted(facts.on_policy, key=lambda one: one.display_name)
    ]
    swaps = [
        f"Add {name} to the new policy in the admin center (Policies, Customer-managed encryption"
        f" keys), which takes it off {policy.name}; wait until its link is Linked, and try a flow."
        for name in names
    ]
    return (
        (
            "Let no remediation of these environments be under way: `cmkflow remediation list`."
            " What is planned for the old policy is not done under another."
        ),
        f"Make a policy without a version for the same key: {make}.",
        f"Take `identity.principalId` from its answer and {grant}. Wait five minutes.",
        "Check it: `cmkflow keys check` must find nothing wrong with the new policy.",
        *(swaps or ["No environment is on the old policy: there is none to swap."]),
        (
            f"Keep version {policy.key_version} enabled for 28 days more, and the old policy until"
            " no environment names it; then delete the policy."
        ),
    )
