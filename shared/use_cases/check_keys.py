"""Check keys, and store and report what is wrong with them.

Keys are checked after events, after a poll that finds a lost key, in the daily check, and on
request. Each problem is a row with an alert. A check that no longer finds the problem deletes the
row, which closes the alert.
"""

from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial

from shared.alerts import read_readable, send_alert
from shared.domain.environment import Environment
from shared.domain.finding import Finding, FindingLevel, problem, unknown
from shared.domain.ids import hash_key
from shared.domain.keys.key import EnterprisePolicy
from shared.domain.keys.key_alert import KeyAlert
from shared.domain.keys.key_check import POLICY_HEALTH, KeyCheckResult, check_key
from shared.domain.trigger_urls.trigger_url import redact
from shared.errors import CmkflowError, Conflict, NotFound, TransientError
from shared.logs.fields import get_product_log
from shared.reason import Reason
from shared.services import Services
from shared.steps.assessing.read_key import read_key, read_named_key

log = get_product_log(__name__)

#: A key that could not be checked causes an alert at the second daily check in a row.
UNCHECKED = timedelta(hours=20)


async def check_keys(
    services: Services, *, vault: str = "", key: str = ""
) -> tuple[KeyCheckResult, ...]:
    """Check the keys of all watched policies, or one key of a vault.

    Stores the findings, except those of a key that no policy names. A key that cannot be read gets
    a finding, and the other keys are checked. Raises `NotFound` for an unknown vault.
    """
    environments = await services.environments.list()
    policies = await services.keys.read_policies()
    if vault:
        name = vault.rpartition("/")[2].lower()
        policies = [policy for policy in policies if uses_key(policy, name, key.lower())]
        if not policies:
            return (check_key(await read_named_key(services, vault, key)),)
    return tuple(
        [await _record_key_check_or_error(services, policy, environments) for policy in policies]
    )


async def record_key_checks(services: Services, environments: Sequence[Environment]) -> None:
    """Check the key of each watched policy, store the findings and send alerts about them.

    Sends an alert about each other policy that is linked to an environment. Deletes the findings of
    policies that are neither watched nor linked.
    """
    on = {one.policy.policy_id.lower() for one in environments if one.policy}
    try:
        policies = await services.keys.read_policies()
    except CmkflowError as err:
        for policy_id in sorted(on):
            await _record_not_checked(services, policy_id, policy_id.rpartition("/")[2], err)
        raise
    for policy in policies:
        await _record_key_check_or_error(services, policy, environments)
    seen = {policy.id.lower() for policy in policies}
    for policy_id in sorted(on - seen):
        await alert_unwatched_policy(services, policy_id, environments)
    await _delete_unused_findings(services, keep=on | seen)


async def record_key_check(
    services: Services, policy: EnterprisePolicy, environments: Sequence[Environment]
) -> KeyCheckResult:
    """Check the key of one policy, store the findings and send alerts about them.

    `environments` are all environments of the tenant.
    """
    found = check_key(await read_key(services, policy, environments))
    await _store_findings(services, policy.id, policy.name, found.findings)
    return found


async def record_key_checks_of_event(
    services: Services, policies: Sequence[EnterprisePolicy], environments: Sequence[Environment]
) -> None:
    """Check the key of each policy that an event is about, and store the findings.

    After all checks, raises the error of a key that could not be checked: a temporary one first,
    because then the event is retried.
    """
    failed = list[CmkflowError]()
    for policy in policies:
        try:
            await record_key_check(services, policy, environments)
        except CmkflowError as err:
            await _record_not_checked(services, policy.id, policy.name, err)
            failed.append(err)
    for one in sorted(failed, key=lambda err: not isinstance(err, TransientError)):
        raise one


async def record_key_check_of_new_link(services: Services, policy_id: str) -> None:
    """Check the key of a policy that was just linked to an environment.

    Stores the findings, or that the key could not be checked.
    """
    try:
        policies = await services.keys.read_policies()
        environments = await services.environments.list()
    except CmkflowError as err:
        await _record_not_checked(services, policy_id, policy_id.rpartition("/")[2], err)
        return
    for policy in policies:
        if policy.id.lower() == policy_id:
            await _record_key_check_or_error(services, policy, environments)


async def alert_unwatched_policy(
    services: Services, policy_id: str, environments: Sequence[Environment]
) -> None:
    """Send an alert that environments have a policy that the app cannot watch.

    The policy is deleted, or the app cannot read its subscription.
    """
    names = [
        one.display_name
        for one in environments
        if one.policy and one.policy.policy_id.lower() == policy_id
    ]
    finding = problem(
        "policy_watched",
        "The policy is deleted or in no watched subscription that the app can read, and"
        f" environments use it: {', '.join(sorted(names))}. The app cannot check its key.",
        "Add its subscription to CMK_SUBSCRIPTION_IDS, let the app read it, or recover the policy"
        " before its key becomes inaccessible.",
    )
    await _store_findings(services, policy_id, policy_id.rpartition("/")[2], (finding,))


def uses_key(policy: EnterprisePolicy, vault: str, key: str) -> bool:
    """Return whether a policy uses a key. `vault` and `key` are names in lower case."""
    return policy.vault_id.lower().endswith(f"/{vault}") and policy.key_name.lower() == key


async def _record_key_check_or_error(
    services: Services, policy: EnterprisePolicy, environments: Sequence[Environment]
) -> KeyCheckResult:
    try:
        return await record_key_check(services, policy, environments)
    except CmkflowError as err:
        log.warning("key of policy %s not checked: %s", policy.name, redact(str(err)))
        finding = await _record_not_checked(services, policy.id, policy.name, err)
    return KeyCheckResult(
        policy_id=policy.id,
        policy_name=policy.name,
        vault_id=policy.vault_id,
        key_name=policy.key_name,
        findings=(finding,),
    )


async def _store_findings(
    services: Services, policy_id: str, name: str, findings: Collection[Finding]
) -> None:
    table = services.tables.key_alerts
    open_findings = _select_causes(findings)
    identities = {_get_finding_identity(one) for one in open_findings}
    for finding in open_findings:
        is_problem = finding.level is FindingLevel.PROBLEM
        row = KeyAlert(
            policy_id=policy_id.lower(),
            policy_name=name,
            finding=finding,
            first_seen_at=services.now,
            reason_code=Reason.KEY_PROBLEM if is_problem else Reason.KEY_WARNING,
        )
        await table.change(*table.get_address(row), partial(_build_changed_alert, row))
        await _send_key_alert(services, row)
    async for old in read_readable(services, table.scan(hash_key(policy_id.lower()))):
        if _get_finding_identity(old.item.finding) not in identities:
            with suppress(Conflict, NotFound):
                await table.delete(old)


def _select_causes(findings: Collection[Finding]) -> list[Finding]:
    """Return the findings except those of level OK.

    Omits the policy's health if another finding is a problem, which is its cause.
    """
    found = [one for one in findings if one.level is not FindingLevel.OK]
    has_cause = any(
        one.level is FindingLevel.PROBLEM and one.code != POLICY_HEALTH for one in found
    )
    return [one for one in found if not (has_cause and one.code == POLICY_HEALTH)]


def _get_finding_identity(finding: Finding) -> tuple[str, str, str]:
    return finding.code, finding.subject, finding.level


def _build_changed_alert(new: KeyAlert, old: KeyAlert | None) -> KeyAlert | None:
    if old is None:
        return new
    row = replace(new, first_seen_at=old.first_seen_at)
    return None if row == old else row


async def _record_not_checked(
    services: Services, policy_id: str, name: str, err: CmkflowError
) -> Finding:
    """Record that a key could not be checked. Earlier findings about it stay."""
    text = f"The key could not be checked: {redact(str(err))}"
    row = KeyAlert(
        policy_id=policy_id.lower(),
        policy_name=name,
        finding=unknown("key_checked", text, "Fix the reason. The next daily check tries again."),
        first_seen_at=services.now,
        reason_code="",
    )
    table = services.tables.key_alerts

    def with_later_check(old: KeyAlert | None) -> KeyAlert | None:
        since = old.first_seen_at if old else services.now
        is_long = services.now - since >= UNCHECKED
        return replace(row, first_seen_at=since, reason_code=Reason.KEY_WARNING if is_long else "")

    kept = await table.change(*table.get_address(row), with_later_check)
    if kept and kept.item.reason_code:
        await _send_key_alert(services, kept.item)
    return row.finding


async def has_key_problem(services: Services) -> bool:
    """Return whether a stored finding is that a key does not work."""
    rows = read_readable(services, services.tables.key_alerts.scan())
    return any([kept.item.reason_code == Reason.KEY_PROBLEM async for kept in rows])


async def _send_key_alert(services: Services, row: KeyAlert) -> None:
    finding = row.finding
    cause = f"policy {row.policy_name}: {finding.message}"
    name = services.tables.key_alerts.get_row_name(row)
    await send_alert(services, row.reason_code, name, cause, finding.fix)


async def _delete_unused_findings(services: Services, *, keep: Collection[str]) -> None:
    table = services.tables.key_alerts
    async for kept in read_readable(services, table.scan()):
        if kept.item.policy_id not in keep:
            with suppress(Conflict, NotFound):
                await table.delete(kept)
