"""Check whether environments can use a policy's key, and whether their number is near the limit.

See platform.md#environment-requirements.
"""

from collections.abc import Iterator

from shared.domain.environment import Environment, PolicyLinkStatus
from shared.domain.finding import Finding, passed, problem, unknown, warning
from shared.domain.keys.key import EnterprisePolicy, KeySnapshot
from shared.domain.network.geographies import GEOGRAPHIES, normalize_geography

#: Environments with customer-managed keys per tenant, unless support raised the limit.
ENVIRONMENT_LIMIT = 25
ENVIRONMENT_WARNING = 20
_UNSUPPORTED_SKUS = frozenset({"trial", "subscriptionbasedtrial", "teams"})


def list_environment_findings(facts: KeySnapshot) -> Iterator[Finding]:
    """Yield findings about the policy's environments and the number of environments on keys."""
    assert facts.policy
    for environment in facts.environments_on_policy:
        yield check_geography(facts.policy, environment)
        yield check_managed_environment(environment)
        yield check_environment_type(environment)
        yield _check_link(environment)
    count = sum(environment.policy is not None for environment in facts.environments)
    are = "environment of the tenant is" if count == 1 else "environments of the tenant are"
    text = f"{count} {are} on customer-managed keys"
    if count < ENVIRONMENT_WARNING:
        yield passed("environment_limit", f"{text}; the default limit is {ENVIRONMENT_LIMIT}.")
    else:
        yield warning(
            "environment_limit",
            f"{text}; the default limit for Power Automate is {ENVIRONMENT_LIMIT}.",
            "Ask Microsoft's support to raise the limit before the next environment is added.",
        )


def check_geography(policy: EnterprisePolicy, environment: Environment) -> Finding:
    """Return a finding on whether the environment is in its policy's geography."""
    own, wanted = normalize_geography(environment.geography), normalize_geography(policy.location)
    code, subject = "environment_geography", environment.id
    if own and own == wanted:
        return passed(code, f"{environment.display_name} is in the policy's geography.", subject)
    text = f"{environment.display_name} is in '{own}', its policy in '{wanted}'."
    if not {own, wanted} <= GEOGRAPHIES:
        return unknown(code, text, "Check that both names mean the same geography.", subject)
    return problem(code, text, "Use a policy in the environment's geography.", subject)


def check_managed_environment(environment: Environment) -> Finding:
    """Return a finding on whether the environment is a Managed Environment, which a key
    requires.
    """
    code, subject = "environment_managed", environment.id
    if environment.is_managed:
        return passed(code, f"{environment.display_name} is a Managed Environment.", subject)
    if environment.is_managed is None:
        return unknown(
            code,
            (
                f"The platform does not show whether {environment.display_name} is a Managed "
                "Environment."
            ),
            "Check the environment in the admin center: a key requires a Managed Environment.",
            subject,
        )
    return problem(
        code,
        f"{environment.display_name} is not a Managed Environment.",
        "Enable Managed Environments for it.",
        subject,
    )


def check_environment_type(environment: Environment) -> Finding:
    """Return a finding on whether an environment of this type can have a key."""
    code, subject = "environment_type", environment.id
    text = f"{environment.display_name} has the type {environment.sku or 'unknown'}."
    if not environment.sku:
        return unknown(code, text, "Check that it is neither Trial nor Teams.", subject)
    if environment.sku.lower() in _UNSUPPORTED_SKUS:
        return problem(
            code, text, "Convert it to Production, or remove it from the policy.", subject
        )
    return passed(code, text, subject)


def _check_link(environment: Environment) -> Finding:
    code, link, name = "environment_link", environment.policy, environment.display_name
    assert link
    if link.status is PolicyLinkStatus.LINKED:
        return passed(code, f"The policy is applied to {name}.", environment.id)
    if link.status is PolicyLinkStatus.FAILED:
        text = f"Applying the policy to {name} failed."
        fix = "Add the environment to the policy again: the platform continues where it stopped."
        return problem(code, text, fix, environment.id)
    # A link may take days, and nobody has to act.
    return passed(code, f"The link of {name} to the policy is {link.status}.", environment.id)
