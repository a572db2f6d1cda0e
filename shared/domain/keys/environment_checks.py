"""Whether environments can be, and are, under a policy: geography, type, link, limit.

See platform.md#environment-requirements.
"""

from collections.abc import Iterator

from shared.domain.environment import Environment, PolicyLinkStatus
from shared.domain.finding import Finding, ok, problem, unknown, warning
from shared.domain.keys.key import EnterprisePolicy, KeySnapshot
from shared.domain.network.geographies import GEOGRAPHIES, canonical

#: Environments under customer-managed keys in a tenant, unless support raised the limit.
ENVIRONMENT_LIMIT = 25
ENVIRONMENT_WARNING = 20
_UNSUPPORTED_SKUS = frozenset({"trial", "subscriptionbasedtrial", "teams"})


def assess_environments(facts: KeySnapshot) -> Iterator[Finding]:
    """Yield a finding for every check of the environments on the policy."""
    assert facts.policy
    for environment in facts.on_policy:
        yield geography_finding(facts.policy, environment)
        yield managed_finding(environment)
        yield sku_finding(environment)
        yield _link(environment)
    count = sum(environment.policy is not None for environment in facts.environments)
    text = f"{count} environments of the tenant are under customer-managed keys"
    if count < ENVIRONMENT_WARNING:
        yield ok("environment_limit", f"{text}; the default limit is {ENVIRONMENT_LIMIT}.")
    else:
        yield warning(
            "environment_limit",
            f"{text}; the default limit for Power Automate is {ENVIRONMENT_LIMIT}.",
            "Ask Microsoft's support to raise the limit before the next environment is added.",
        )


def geography_finding(policy: EnterprisePolicy, environment: Environment) -> Finding:
    """Return whether the environment lies where its policy does."""
    own, wanted = canonical(environment.geography), canonical(policy.location)
    code, subject = "environment_geography", environment.id
    if own and own == wanted:
        return ok(code, f"{environment.display_name} lies in the policy's geography.", subject)
    text = f"{environment.display_name} lies in '{own}', the policy in '{wanted}'."
    if not {own, wanted} <= GEOGRAPHIES:
        return unknown(code, text, "Check that both are the same geography.", subject)
    return problem(code, text, "Use a policy of the environment's geography.", subject)


def managed_finding(environment: Environment) -> Finding:
    """Return whether it is a Managed Environment: a key wants that."""
    code, subject = "environment_managed", environment.id
    if environment.is_managed:
        return ok(code, f"{environment.display_name} is a Managed Environment.", subject)
    if environment.is_managed is None:
        return unknown(
            code,
            f"Whether {environment.display_name} is a Managed Environment is not told.",
            "Look at the environment in the admin center: a key wants a Managed Environment.",
            subject,
        )
    return problem(
        code,
        f"{environment.display_name} is not a Managed Environment.",
        "Enable Managed Environments for it.",
        subject,
    )


def sku_finding(environment: Environment) -> Finding:
    """Return whether environments of its type can have a key."""
    code, subject = "environment_type", environment.id
    text = f"{environment.display_name} is of the type {environment.sku or 'unknown'}."
    if not environment.sku:
        return unknown(code, text, "Check that it is neither Trial nor Teams.", subject)
    if environment.sku.lower() in _UNSUPPORTED_SKUS:
        return problem(code, text, "Convert it to Production, or take it off the policy.", subject)
    return ok(code, text, subject)


def _link(environment: Environment) -> Finding:
    """Return whether the policy is in force in the environment."""
    code, link, name = "environment_link", environment.policy, environment.display_name
    assert link
    if link.status is PolicyLinkStatus.LINKED:
        return ok(code, f"The policy is in force in {name}.", environment.id)
    if link.status is PolicyLinkStatus.FAILED:
        text = f"Applying the policy to {name} failed."
        instruction = "Add the environment to the policy again: it goes on where it stopped."
        return problem(code, text, instruction, environment.id)
    # On its way it is for days, and nobody has to do anything about it.
    return ok(code, f"The link of {name} to the policy is {link.status}.", environment.id)
