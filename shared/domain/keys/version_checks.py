"""Whether the versions of a key can be used, now and for as long as they are needed.

See platform.md#key-versions.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import pairwise

from shared.domain.finding import Finding, ok, problem, unknown, warning
from shared.domain.keys.key import KeySnapshot, KeyVersion

#: A previous version has to stay enabled this long: databases are restored with it.
PREVIOUS_VERSION_KEPT = timedelta(days=28)
#: An expired key locks every environment on it, so it is announced this long before.
EXPIRY_WARNING = timedelta(days=30)
KEY_SIZES = frozenset({2048, 3072})
KEY_TYPES = frozenset({"rsa", "rsa-hsm"})
#: What the platform does with a key.
OPERATIONS = frozenset({"wrapkey", "unwrapkey"})


def version_findings(facts: KeySnapshot) -> Iterator[Finding]:
    """Yield a finding for every check of the version in use and of those before it."""
    if facts.versions is None:
        instruction = "Give the app the roles Reader and Key Vault Reader on the vault."
        codes = ("key_enabled", "key_validity", "key_type", "key_operations", "previous_versions")
        for code in codes:
            yield unknown(code, "The key cannot be read.", instruction, facts.key_name)
        return
    pinned = facts.policy.key_version if facts.policy else None
    used = next((key for key in facts.versions if pinned in {None, key.version}), None)
    if used is None:
        what = f"version {pinned} of the key" if pinned else "the key"
        yield problem(
            "key_enabled",
            f"There is no {what} {facts.key_name}.{facts.stops}",
            "If it was deleted, recover it at once"
            f" ({_az(facts, 'recover')}): its environments get locked.",
            facts.key_name,
        )
        return
    yield _enabled(facts, used)
    yield _validity(facts, used)
    yield _type(used)
    yield _operations(facts, used)
    yield from _previous_versions(facts.versions, facts.at)


def _az(facts: KeySnapshot, command: str, options: str = "") -> str:
    """Return a command on the key; what it does is complete, so that it can be copied."""
    vault = facts.vault_id.rpartition("/")[2]
    return f"`az keyvault key {command} --vault-name {vault} --name {facts.key_name}{options}`"


def _enabled(facts: KeySnapshot, key: KeyVersion) -> Finding:
    if key.is_enabled:
        return ok("key_enabled", "The key is enabled.", key.version)
    command = _az(facts, "set-attributes", f" --version {key.version} --enabled true")
    return problem(
        "key_enabled",
        f"The key is disabled.{facts.stops}",
        f"Enable it at once ({command}): all environments on it get locked.",
        key.version,
    )


def _validity(facts: KeySnapshot, key: KeyVersion) -> Finding:
    code = "key_validity"
    if key.not_before and key.not_before > facts.at:
        text = f"The key is not valid before {key.not_before:%Y-%m-%d %H:%M} UTC.{facts.stops}"
        return problem(code, text, "Set an earlier activation date.", key.version)
    if key.expires is None:
        return ok(code, "The key does not expire.", key.version)
    when = f"{key.expires:%Y-%m-%d %H:%M} UTC"
    later = _az(facts, "set-attributes", f" --version {key.version} --expires DATE")
    is_pinned = facts.policy is not None and facts.policy.key_version is not None
    rotate = "" if is_pinned else f"Rotate the key ({_az(facts, 'rotate')}), or s"
    renew = f"{rotate or 'S'}et a later expiry date ({later})"
    if key.expires <= facts.at:
        return problem(
            code, f"The key expired at {when}.{facts.stops}", f"{renew} at once.", key.version
        )
    if key.expires - facts.at <= EXPIRY_WARNING:
        instruction = f"{renew}, before its environments get locked."
        return warning(code, f"The key expires at {when}.", instruction, key.version)
    return ok(code, f"The key is valid until {when}.", key.version)


def _type(key: KeyVersion) -> Finding:
    wanted = "Create an RSA or RSA-HSM key of 2048 or 3072 bits and a policy for it."
    if key.key_type.lower() not in KEY_TYPES:
        return problem("key_type", f"Its type is {key.key_type}.", wanted, key.version)
    if key.size is None:
        text = f"Its type is {key.key_type}; its size is not shown."
        return unknown("key_type", text, "Check that it has 2048 or 3072 bits.", key.version)
    text = f"It is an {key.key_type} key of {key.size} bits."
    if key.size not in KEY_SIZES:
        return problem("key_type", text, wanted, key.version)
    return ok("key_type", text, key.version)


def _operations(facts: KeySnapshot, key: KeyVersion) -> Finding:
    code = "key_operations"
    if not key.operations:
        text = "What the key may be used for is not shown."
        return unknown(code, text, "Check that it may wrap and unwrap keys.", key.version)
    if lacking := OPERATIONS - key.operations:
        command = _az(facts, "set-attributes", f" --version {key.version} --ops wrapKey unwrapKey")
        text = f"The key may not be used for {', '.join(sorted(lacking))}.{facts.stops}"
        return problem(code, text, f"Allow it ({command}).", key.version)
    return ok(code, "The key may wrap and unwrap keys.", key.version)


def _previous_versions(versions: Sequence[KeyVersion], now: datetime) -> Iterator[Finding]:
    """Judge each version by when the next one took over."""
    code = "previous_versions"
    found: list[Finding] = []
    for newer, older in pairwise(versions):
        if older.is_enabled:
            continue
        if newer.created is None:
            text = "It is disabled, and when it was replaced is not shown."
            found.append(unknown(code, text, "Check that it was 28 days ago.", older.version))
        elif now - newer.created < PREVIOUS_VERSION_KEPT:
            until = newer.created + PREVIOUS_VERSION_KEPT
            found.append(
                problem(
                    code,
                    "A previous version is disabled, but databases may still need it.",
                    f"Enable it again, and keep it enabled until {until:%Y-%m-%d}.",
                    older.version,
                )
            )
    yield from found or [ok(code, "Every previous version is enabled as long as it has to be.")]
