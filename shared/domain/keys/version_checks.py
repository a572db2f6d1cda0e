"""Check whether the versions of a key can be used, now and for as long as they are needed.

See platform.md#key-versions.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import pairwise

from shared.domain.finding import Finding, passed, problem, unknown, warning
from shared.domain.keys.key import KeySnapshot, KeyVersion

#: How long a previous version has to stay enabled: databases may be restored with it.
PREVIOUS_VERSION_KEPT = timedelta(days=28)
#: How long before its expiry a key is reported: an expired key locks all its environments.
EXPIRY_WARNING = timedelta(days=30)
KEY_SIZES = frozenset({2048, 3072})
KEY_TYPES = frozenset({"rsa", "rsa-hsm"})
#: The operations that the platform uses.
OPERATIONS = frozenset({"wrapkey", "unwrapkey"})


def list_version_findings(facts: KeySnapshot) -> Iterator[Finding]:
    """Yield a finding for each check of the version in use and of the previous ones."""
    if facts.versions is None:
        fix = "Give the app the roles Reader and Key Vault Reader on the vault."
        codes = ("key_enabled", "key_validity", "key_type", "key_operations", "previous_versions")
        for code in codes:
            yield unknown(code, "The key cannot be read.", fix, facts.key_name)
        return
    pinned = facts.policy.key_version if facts.policy else None
    used = next((key for key in facts.versions if pinned in {None, key.version}), None)
    if used is None:
        what = f"version {pinned} of the key" if pinned else "the key"
        yield problem(
            "key_enabled",
            f"There is no {what} {facts.key_name}.{facts.stopped_environments}",
            f"If it was deleted, recover it now ({_format_az_command(facts, 'recover')}), or its "
            "environments are locked.",
            facts.key_name,
        )
        return
    yield _check_version_enabled(facts, used)
    yield _check_validity(facts, used)
    yield _check_type(used)
    yield _check_operations(facts, used)
    yield from _check_previous_versions(facts.versions, facts.read_at)


def _format_az_command(facts: KeySnapshot, command: str, options: str = "") -> str:
    vault = facts.vault_id.rpartition("/")[2]
    return f"`az keyvault key {command} --vault-name {vault} --name {facts.key_name}{options}`"


def _check_version_enabled(facts: KeySnapshot, key: KeyVersion) -> Finding:
    if key.is_enabled:
        return passed("key_enabled", "The key is enabled.", key.version)
    command = _format_az_command(
        facts, "set-attributes", f" --version {key.version} --enabled true"
    )
    return problem(
        "key_enabled",
        f"The key is disabled.{facts.stopped_environments}",
        f"Enable it now ({command}), or all environments on it are locked.",
        key.version,
    )


def _check_validity(facts: KeySnapshot, key: KeyVersion) -> Finding:
    code = "key_validity"
    if key.valid_from and key.valid_from > facts.read_at:
        since = f"{key.valid_from:%Y-%m-%d %H:%M} UTC"
        text = f"The key is not valid before {since}.{facts.stopped_environments}"
        return problem(code, text, "Set an earlier activation date.", key.version)
    if key.expires_at is None:
        return passed(code, "The key does not expire.", key.version)
    when = f"{key.expires_at:%Y-%m-%d %H:%M} UTC"
    later = _format_az_command(facts, "set-attributes", f" --version {key.version} --expires DATE")
    is_pinned = facts.policy is not None and facts.policy.key_version is not None
    rotate = "" if is_pinned else f"Rotate the key ({_format_az_command(facts, 'rotate')}), or s"
    renew = f"{rotate or 'S'}et a later expiry date ({later})"
    if key.expires_at <= facts.read_at:
        return problem(
            code,
            f"The key expired at {when}.{facts.stopped_environments}",
            f"{renew} now.",
            key.version,
        )
    if key.expires_at - facts.read_at <= EXPIRY_WARNING:
        fix = f"{renew}, before its environments are locked."
        return warning(code, f"The key expires at {when}.", fix, key.version)
    return passed(code, f"The key is valid until {when}.", key.version)


def _check_type(key: KeyVersion) -> Finding:
    wanted = "Create an RSA or RSA-HSM key with 2048 or 3072 bits, and a policy for it."
    if key.key_type.lower() not in KEY_TYPES:
        return problem("key_type", f"Its type is {key.key_type}.", wanted, key.version)
    if key.size is None:
        text = f"Its type is {key.key_type}; its size is not shown."
        return unknown("key_type", text, "Check that it has 2048 or 3072 bits.", key.version)
    text = f"It is an {key.key_type} key of {key.size} bits."
    if key.size not in KEY_SIZES:
        return problem("key_type", text, wanted, key.version)
    return passed("key_type", text, key.version)


def _check_operations(facts: KeySnapshot, key: KeyVersion) -> Finding:
    code = "key_operations"
    if not key.operations:
        text = "The allowed operations of the key are not shown."
        return unknown(code, text, "Check that it may wrap and unwrap keys.", key.version)
    if lacking := OPERATIONS - key.operations:
        command = _format_az_command(
            facts, "set-attributes", f" --version {key.version} --ops wrapKey unwrapKey"
        )
        text = (
            f"The key may not be used for {', '.join(sorted(lacking))}.{facts.stopped_environments}"
        )
        return problem(code, text, f"Allow it ({command}).", key.version)
    return passed(code, "The key may wrap and unwrap keys.", key.version)


def _check_previous_versions(versions: Sequence[KeyVersion], now: datetime) -> Iterator[Finding]:
    code = "previous_versions"
    found: list[Finding] = []
    for newer, older in pairwise(versions):
        if older.is_enabled:
            continue
        if newer.created_at is None:
            text = (
                "A previous version is disabled, and the platform does not show when it was "
                "replaced."
            )
            found.append(
                unknown(
                    code, text, "Check that it was replaced at least 28 days ago.", older.version
                )
            )
        elif now - newer.created_at < PREVIOUS_VERSION_KEPT:
            until = newer.created_at + PREVIOUS_VERSION_KEPT
            found.append(
                problem(
                    code,
                    "A previous version is disabled, but databases may still need it.",
                    f"Enable it, and keep it enabled until {until:%Y-%m-%d}.",
                    older.version,
                )
            )
    yield from found or [passed(code, "Every previous version is enabled for as long as required.")]
