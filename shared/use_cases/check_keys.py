"""Check keys: on every event of a key or a policy, in every sweep, and by order.

What is not well is a row for as long as it stands, and people are told of each such row once. A
check that finds it gone removes the row, which ends what was told.
"""

from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial

from shared.alerts import readable, tell
from shared.domain.environment import Environment
from shared.domain.finding import Finding, FindingLevel, problem, unknown
from shared.domain.ids import hash_key
from shared.domain.keys.key import EnterprisePolicy
from shared.domain.keys.key_alert import KeyAlert
from shared.domain.keys.key_check import KeyCheckResult, check_key
from shared.domain.trigger_urls.trigger_url import redact
from shared.errors import CmkflowError, Conflict, NotFound
from shared.log_fields import product_log
from shared.reason import Reason
from shared.services import Services
from shared.steps.assessing.read_key import read_key, read_named_key

log = product_log(__name__)

#: A key that could not be looked at is told of at the second look in a row: the sweep's next.
UNCHECKED = timedelta(hours=20)


async def check_keys(
    services: Services, *, vault: str = "", key: str = ""
) -> tuple[KeyCheckResult, ...]:
    """Check the keys of all watched policies; of a vault and a key that are named, that one.

    Where no policy names it, the key is checked by itself and nobody is told. Raises `NotFound` for
    a strange vault. A policy whose key gives no answer says so, and the others are checked.
    """
    environments = await services.environments.list()
    policies = await services.keys.policies()
    if vault:
        name = vault.rpartition("/")[2].lower()
        policies = [policy for policy in policies if uses_key(policy, name, key.lower())]
        if not policies:
            return (check_key(await read_named_key(services, vault, key)),)
    return tuple([await _checked(services, policy, environments) for policy in policies])


async def check_policies(services: Services, environments: Sequence[Environment]) -> None:
    """Check the key of every policy that is watched, or that an environment is on."""
    on = {one.policy.policy_id.lower() for one in environments if one.policy}
    try:
        policies = await services.keys.policies()
    except CmkflowError as err:
        for policy_id in sorted(on):
            await _note_unchecked(services, policy_id, policy_id.rpartition("/")[2], err)
        raise
    for policy in policies:
        await _checked(services, policy, environments)
    seen = {policy.id.lower() for policy in policies}
    for policy_id in sorted(on - seen):
        await alert_unwatched_policy(services, policy_id, environments)
    await _forget(services, keep=on | seen)


async def check_policy(
    services: Services, policy: EnterprisePolicy, environments: Sequence[Environment]
) -> KeyCheckResult:
    """Check the key of one policy, and tell what is not well; `environments` are all."""
    found = check_key(await read_key(services, policy, environments))
    await _note(services, policy.id, policy.name, found.findings)
    return found


async def check_new_link(services: Services, policy_id: str) -> None:
    """Check the key of a policy that an environment was linked to; no answer is noted as such."""
    try:
        policies = await services.keys.policies()
        environments = await services.environments.list()
    except CmkflowError as err:
        await _note_unchecked(services, policy_id, policy_id.rpartition("/")[2], err)
        return
    for policy in policies:
        if policy.id.lower() == policy_id:
            await _checked(services, policy, environments)


async def alert_unwatched_policy(
    services: Services, policy_id: str, environments: Sequence[Environment]
) -> None:
    """Tell that environments are on a policy that the app does not see: it may be gone."""
    names = [
        one.display_name
        for one in environments
        if one.policy and one.policy.policy_id.lower() == policy_id
    ]
    finding = problem(
        "policy_watched",
        "The policy is gone, or in no watched subscription, and environments are on it:"
        f" {', '.join(sorted(names))}. Nobody looks at its key.",
        "Add its subscription to CMK_SUBSCRIPTION_IDS, or recover the policy before its key is out"
        " of reach.",
    )
    await _note(services, policy_id, policy_id.rpartition("/")[2], (finding,))


def uses_key(policy: EnterprisePolicy, vault: str, key: str) -> bool:
    """Say whether a policy names this key of this vault, both in lower case."""
    return policy.vault_id.lower().endswith(f"/{vault}") and policy.key_name.lower() == key


async def _checked(
    services: Services, policy: EnterprisePolicy, environments: Sequence[Environment]
) -> KeyCheckResult:
    try:
        return await check_policy(services, policy, environments)
    except CmkflowError as err:
        log.warning("the key of policy %s is not known: %s", policy.name, redact(str(err)))
        finding = await _note_unchecked(services, policy.id, policy.name, err)
    return KeyCheckResult(
        policy_id=policy.id,
        policy_name=policy.name,
        vault_id=policy.vault_id,
        key_name=policy.key_name,
        findings=(finding,),
    )


async def _note(
    services: Services, policy_id: str, name: str, findings: Collection[Finding]
) -> None:
    """Keep what stands, tell it, and forget what has gone."""
    table = services.tables.key_alerts
    standing = [one for one in findings if one.level is not FindingLevel.OK]
    identities = {_identity(one) for one in standing}
    for finding in standing:
        is_problem = finding.level is FindingLevel.PROBLEM
        row = KeyAlert(
            policy_id=policy_id.lower(),
            policy_name=name,
            finding=finding,
            first_seen_at=services.now,
            code=Reason.KEY_PROBLEM if is_problem else Reason.KEY_WARNING,
        )
        await table.change(*table.address(row), partial(_standing, row))
        await _tell(services, row)
    async for old in readable(services, table.scan(hash_key(policy_id.lower()))):
        if _identity(old.item.finding) not in identities:
            with suppress(Conflict, NotFound):
                await table.delete(old)


def _identity(finding: Finding) -> tuple[str, str, str]:
    return finding.code, finding.subject, finding.level


def _standing(new: KeyAlert, old: KeyAlert | None) -> KeyAlert | None:
    if old is None:
        return new
    row = replace(new, first_seen_at=old.first_seen_at)
    return None if row == old else row


async def _note_unchecked(
    services: Services, policy_id: str, name: str, err: CmkflowError
) -> Finding:
    """Note that a key could not be looked at; what else is noted of it stands."""
    text = f"The key could not be looked at: {redact(str(err))}"
    row = KeyAlert(
        policy_id=policy_id.lower(),
        policy_name=name,
        finding=unknown("key_checked", text, "Read the reason; the next sweep looks again."),
        first_seen_at=services.now,
        code="",
    )
    table = services.tables.key_alerts

    def later(old: KeyAlert | None) -> KeyAlert | None:
        since = old.first_seen_at if old else services.now
        is_long = services.now - since >= UNCHECKED
        return replace(row, first_seen_at=since, code=Reason.KEY_WARNING if is_long else "")

    kept = await table.change(*table.address(row), later)
    if kept and kept.item.code:
        await _tell(services, kept.item)
    return row.finding


async def _tell(services: Services, row: KeyAlert) -> None:
    finding = row.finding
    cause = f"policy {row.policy_name}: {finding.text} {finding.instruction}".strip()
    await tell(services, row.code, services.tables.key_alerts.name_of(row), cause)


async def _forget(services: Services, *, keep: Collection[str]) -> None:
    """Forget what was found of policies that are gone and that no environment is on."""
    table = services.tables.key_alerts
    async for kept in readable(services, table.scan()):
        if kept.item.policy_id not in keep:
            with suppress(Conflict, NotFound):
                await table.delete(kept)
