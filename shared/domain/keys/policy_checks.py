"""Check whether an enterprise policy can use a key.

See platform.md#enterprise-policies, #key-requirements.
"""

from collections.abc import Iterator

from shared.domain.finding import Finding, passed, problem, unknown, warning
from shared.domain.keys.key import EnterprisePolicy

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
