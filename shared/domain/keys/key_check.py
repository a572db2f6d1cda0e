"""Whether a customer-managed key can do its work: Microsoft's own pre-flight checks, and more.

The checks are those of platform.md#key-requirements, #key-grants. Every one gives a finding, good
ones too, so that a report can show what was looked at; what the platform does not show is `unknown`
and for a person to look at.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from shared.domain.finding import Finding, FindingLevel, highest_level
from shared.domain.keys.environment_checks import assess_environments
from shared.domain.keys.key import KeySnapshot
from shared.domain.keys.policy_checks import policy_findings
from shared.domain.keys.policy_replacement import policy_replacement_steps
from shared.domain.keys.vault_checks import vault_findings
from shared.domain.keys.version_checks import version_findings


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyCheckResult:
    """What was found of one key; of all its policies, if several name it, each has its own."""

    #: Both empty: no policy names the key yet.
    policy_id: str = ""
    policy_name: str = ""
    vault_id: str
    key_name: str
    #: Names of those on the policy.
    environments: tuple[str, ...] = ()
    findings: tuple[Finding, ...]
    #: How the environments leave a policy that is pinned to a version; empty: it is not.
    swap_plan: tuple[str, ...] = ()

    @property
    def level(self) -> FindingLevel:
        """Return the worst of the findings."""
        return highest_level(self.findings)


def key_findings(facts: KeySnapshot) -> Iterator[Finding]:
    """Yield a finding for every check of a key, its vault and the policy that names it."""
    if facts.policy:
        yield from policy_findings(facts.policy)
    yield from vault_findings(facts)
    yield from version_findings(facts)


def check_key(facts: KeySnapshot) -> KeyCheckResult:
    """Return these, and a finding for every check of the environments on the policy."""
    policy = facts.policy
    return KeyCheckResult(
        policy_id=policy.id if policy else "",
        policy_name=policy.name if policy else "",
        vault_id=facts.vault_id,
        key_name=facts.key_name,
        environments=tuple(sorted(one.display_name for one in facts.on_policy)),
        findings=(*key_findings(facts), *(assess_environments(facts) if policy else ())),
        swap_plan=policy_replacement_steps(facts),
    )
