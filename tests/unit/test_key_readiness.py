from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from shared.domain.environment import Environment, PolicyLink, PolicyLinkStatus
from shared.domain.finding import Finding, FindingLevel, find_highest_level
from shared.domain.keys.key import (
    EnterprisePolicy,
    KeySnapshot,
    KeyVault,
    KeyVersion,
    RoleAssignment,
)
from shared.domain.keys.key_check import KeyCheckResult, check_key

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
POLICY = EnterprisePolicy(
    id="/policies/cmk-eu",
    name="cmk-eu",
    location="europe",
    system_id="/regions/europe/…",
    encryption_state="Enabled",
    vault_id="/vaults/kv1",
    key_name="pp-cmk",
    key_version=None,
    health="Healthy",
    principal_id="principal",
)
VAULT = KeyVault(
    id="/vaults/kv1",
    url="https://kv1.vault.azure.net/",
    soft_delete=True,
    purge_protection=True,
    uses_rbac=False,
    key_permissions={"principal": frozenset({"get", "wrapkey", "unwrapkey"})},
    public_access="Enabled",
    default_action="Allow",
    lets_trusted_services_in=True,
)
ROLE_VAULT = replace(VAULT, uses_rbac=True, key_permissions={})
ENCRYPTION_USER = "e147488a-f6f5-4113-8e2d-b22465e65bf6"
READER = "acdd72a7-3385-48ef-bd42-f606fba81ae7"
GRANT = RoleAssignment(role_id=ENCRYPTION_USER, scope="/vaults/kv1", is_conditional=False)
KEY = KeyVersion(
    name="pp-cmk",
    version="v1",
    key_type="RSA",
    size=2048,
    is_enabled=True,
    valid_from=None,
    expires_at=None,
    created_at=NOW - 100 * DAY,
    operations=frozenset({"wrapkey", "unwrapkey", "sign"}),
)
ENVIRONMENT = Environment(
    id="e1",
    display_name="Contoso",
    geography="europe",
    region="westeurope",
    sku="Production",
    is_managed=True,
    is_enabled=True,
    policy=PolicyLink(policy_id="/policies/CMK-EU", system_id="", status=PolicyLinkStatus.LINKED),
    dataverse_url=None,
)


def check_key_with(**changes: object) -> KeyCheckResult:
    """Return the result for a good key with these facts changed."""
    facts = KeySnapshot(
        read_at=NOW,
        vault_id=POLICY.vault_id,
        key_name=POLICY.key_name,
        policy=POLICY,
        vault=VAULT,
        versions=(KEY,),
        environments=(ENVIRONMENT,),
    )
    return check_key(replace(facts, **changes))  # type: ignore[arg-type]  # fields


def assess(**changes: object) -> tuple[Finding, ...]:
    """Return the findings about a good key with these facts changed."""
    return check_key_with(**changes).findings


def find_other_findings(findings: Sequence[Finding]) -> dict[str, FindingLevel]:
    """Return the level of each finding that is not good, by its code."""
    return {one.code: one.level for one in findings if one.level is not FindingLevel.OK}


def test_good_key_passes_every_check() -> None:
    findings = assess()

    assert find_highest_level(findings) is FindingLevel.OK
    assert {one.code for one in findings} == {
        "policy_state",
        "policy_health",
        "key_pinned",
        "policy_identity",
        "vault_soft_delete",
        "vault_purge_protection",
        "vault_network",
        "key_grants",
        "key_enabled",
        "key_validity",
        "key_type",
        "key_operations",
        "previous_versions",
        "environment_geography",
        "environment_managed",
        "environment_type",
        "environment_link",
        "environment_limit",
    }


def _with_policy(**changes: object) -> Callable[[], tuple[Finding, ...]]:
    return lambda: assess(policy=replace(POLICY, **changes))  # type: ignore[arg-type]  # fields


def _with_vault(**changes: object) -> Callable[[], tuple[Finding, ...]]:
    return lambda: assess(vault=replace(VAULT, **changes))  # type: ignore[arg-type]  # fields


def _with_roles(*roles: RoleAssignment) -> Callable[[], tuple[Finding, ...]]:
    return lambda: assess(vault=ROLE_VAULT, roles=roles)


def _with_link(status: PolicyLinkStatus) -> Callable[[], tuple[Finding, ...]]:
    link = PolicyLink(policy_id=POLICY.id, system_id="", status=status)
    return _with_environment(policy=link)


def _with_key(**changes: object) -> Callable[[], tuple[Finding, ...]]:
    return lambda: assess(versions=[replace(KEY, **changes)])  # type: ignore[arg-type]  # fields


def _with_environment(**changes: object) -> Callable[[], tuple[Finding, ...]]:
    return lambda: assess(environments=[replace(ENVIRONMENT, **changes)])  # type: ignore[arg-type]  # fields


@pytest.mark.parametrize(
    ("case", "code", "level"),
    [
        (_with_policy(encryption_state="Disabled"), "policy_state", FindingLevel.PROBLEM),
        (_with_policy(encryption_state="NotConfigured"), "policy_state", FindingLevel.PROBLEM),
        (_with_policy(encryption_state=""), "policy_state", FindingLevel.UNKNOWN),
        (_with_policy(health="Warning"), "policy_health", FindingLevel.WARNING),
        (_with_policy(health="Unhealthy"), "policy_health", FindingLevel.PROBLEM),
        (_with_policy(health="Undetermined"), "policy_health", FindingLevel.UNKNOWN),
        (_with_policy(key_version="v1"), "key_pinned", FindingLevel.WARNING),
        (_with_vault(id="/vaults/other"), "policy_vault", FindingLevel.PROBLEM),
        (_with_vault(soft_delete=False), "vault_soft_delete", FindingLevel.PROBLEM),
        (_with_vault(purge_protection=False), "vault_purge_protection", FindingLevel.PROBLEM),
        (
            _with_vault(public_access="Disabled", lets_trusted_services_in=False),
            "vault_network",
            FindingLevel.PROBLEM,
        ),
        (
            _with_vault(default_action="Deny", lets_trusted_services_in=False),
            "vault_network",
            FindingLevel.PROBLEM,
        ),
        (_with_vault(public_access="SecuredByPerimeter"), "vault_network", FindingLevel.UNKNOWN),
        (_with_vault(uses_rbac=True, key_permissions={}), "key_grants", FindingLevel.UNKNOWN),
        (_with_roles(), "key_grants", FindingLevel.PROBLEM),
        (_with_roles(replace(GRANT, role_id=READER)), "key_grants", FindingLevel.UNKNOWN),
        (_with_roles(replace(GRANT, is_conditional=True)), "key_grants", FindingLevel.UNKNOWN),
        (
            _with_roles(replace(GRANT, scope="/vaults/kv1/keys/other")),
            "key_grants",
            FindingLevel.PROBLEM,
        ),
        (_with_vault(key_permissions={}), "key_grants", FindingLevel.PROBLEM),
        (
            _with_vault(key_permissions={"principal": frozenset({"get", "wrapkey"})}),
            "key_grants",
            FindingLevel.PROBLEM,
        ),
        (_with_key(is_enabled=False), "key_enabled", FindingLevel.PROBLEM),
        (_with_key(valid_from=NOW + DAY), "key_validity", FindingLevel.PROBLEM),
        (_with_key(expires_at=NOW), "key_validity", FindingLevel.PROBLEM),
        (_with_key(expires_at=NOW + 29 * DAY), "key_validity", FindingLevel.WARNING),
        (_with_key(key_type="EC", size=None), "key_type", FindingLevel.PROBLEM),
        (_with_key(size=4096), "key_type", FindingLevel.PROBLEM),
        (_with_key(size=None), "key_type", FindingLevel.UNKNOWN),
        (
            _with_key(operations=frozenset({"wrapkey", "sign"})),
            "key_operations",
            FindingLevel.PROBLEM,
        ),
        (_with_key(operations=frozenset()), "key_operations", FindingLevel.UNKNOWN),
        (_with_link(PolicyLinkStatus.FAILED), "environment_link", FindingLevel.PROBLEM),
        (_with_environment(geography="asia"), "environment_geography", FindingLevel.PROBLEM),
        (_with_environment(geography="atlantis"), "environment_geography", FindingLevel.UNKNOWN),
        (_with_environment(is_managed=False), "environment_managed", FindingLevel.PROBLEM),
        (_with_environment(is_managed=None), "environment_managed", FindingLevel.UNKNOWN),
        (_with_environment(sku="Trial"), "environment_type", FindingLevel.PROBLEM),
        (_with_environment(sku="Teams"), "environment_type", FindingLevel.PROBLEM),
        (_with_environment(sku=""), "environment_type", FindingLevel.UNKNOWN),
    ],
)
def test_one_fault_yields_one_finding_with_a_fix(
    case: Callable[[], tuple[Finding, ...]], code: str, level: FindingLevel
) -> None:
    """All other findings stay good."""
    findings = case()

    assert find_other_findings(findings) == {code: level}
    assert all(one.fix for one in findings if one.level is not FindingLevel.OK)


@pytest.mark.parametrize(
    "case",
    [
        _with_key(key_type="RSA-HSM", size=3072),
        _with_key(expires_at=NOW + 31 * DAY),
        _with_key(valid_from=NOW),
        _with_vault(key_permissions={"principal": frozenset({"all"})}),
        _with_vault(public_access="Disabled", default_action="Deny"),
        _with_vault(lets_trusted_services_in=False),
        _with_roles(replace(GRANT, role_id=READER), GRANT),
        _with_roles(replace(GRANT, scope="/vaults/kv1/keys/pp-cmk")),
        _with_roles(replace(GRANT, scope="/providers/microsoft.management/managementgroups/all")),
        _with_link(PolicyLinkStatus.LINKING),
        _with_environment(policy=None, sku="Trial", is_managed=False, geography="asia"),
        _with_policy(location="Europe"),
    ],
)
def test_allowed_value_yields_no_finding(case: Callable[[], tuple[Finding, ...]]) -> None:
    assert find_other_findings(case()) == {}


def test_unreadable_vault_and_key_yield_unknown_findings() -> None:
    levels = find_other_findings(assess(vault=None, versions=None))

    assert set(levels.values()) == {FindingLevel.UNKNOWN}
    assert set(levels) == {
        "vault_soft_delete",
        "vault_purge_protection",
        "vault_network",
        "key_grants",
        "key_enabled",
        "key_validity",
        "key_type",
        "key_operations",
        "previous_versions",
    }


def test_a_key_without_versions_is_a_problem() -> None:
    """A key without versions was deleted, so its environments will be locked."""
    assert find_other_findings(assess(versions=[])) == {"key_enabled": FindingLevel.PROBLEM}


@pytest.mark.parametrize(
    ("changes", "command"),
    [
        ({"versions": [replace(KEY, is_enabled=False)]}, "set-attributes --vault-name kv1"),
        ({"versions": [replace(KEY, expires_at=NOW)]}, "az keyvault key rotate --vault-name kv1"),
        ({"versions": []}, "az keyvault key recover --vault-name kv1 --name pp-cmk"),
        ({"vault": replace(VAULT, key_permissions={})}, "set-policy --name kv1 --object-id princi"),
        ({"vault": ROLE_VAULT, "roles": ()}, "az role assignment create --assignee-object-id pri"),
        (
            {"vault": replace(VAULT, default_action="Deny", lets_trusted_services_in=False)},
            "az keyvault update --name kv1 --bypass AzureServices",
        ),
    ],
)
def test_finding_for_unusable_key_names_affected_environments_and_fix(
    changes: dict[str, object], command: str
) -> None:
    other = replace(ENVIRONMENT, id="e2", display_name="Fabrikam", policy=None)

    [found] = [
        one
        for one in assess(environments=[ENVIRONMENT, other], **changes)
        if one.level is FindingLevel.PROBLEM
    ]

    assert found.message.endswith(" These environments stop: Contoso.")
    assert command in found.fix


def test_key_without_a_policy_is_checked_without_environments() -> None:
    """Without a policy, no environment and no role assignment can be checked."""
    found = check_key_with(policy=None)

    assert (found.policy_id, found.environments, found.policy_replacement_steps) == ("", (), ())
    assert find_other_findings(found.findings) == {"key_grants": FindingLevel.UNKNOWN}
    assert not any(one.code.startswith(("policy_", "environment_")) for one in found.findings)


def test_pinned_policy_has_policy_replacement_steps() -> None:
    """If a policy names a key version, rotation has no effect."""
    pinned = replace(POLICY, key_version="v1", id="/subscriptions/s/policies/cmk-eu")
    link = PolicyLink(policy_id=pinned.id, system_id="", status=PolicyLinkStatus.LINKED)
    on_it = [replace(ENVIRONMENT, id=n, display_name=n, policy=link) for n in ("b", "a")]

    steps = check_key_with(policy=pinned, environments=on_it).policy_replacement_steps

    assert check_key_with().policy_replacement_steps == ()
    assert len(steps) == 7
    assert f"{pinned.id}-versionless?api-version=" in steps[1]
    assert '"key": {"name": "pp-cmk"}' in steps[1]
    assert '"version"' not in steps[1]
    assert ["a (a)" in steps[4], "b (b)" in steps[5]] == [True, True]
    assert "28 more days" in steps[6]


def test_fix_for_an_expired_pinned_version_is_not_a_rotation() -> None:
    """The policy would not use a new version."""
    pinned = replace(POLICY, key_version="v1")

    [found] = [
        one
        for one in assess(policy=pinned, versions=[replace(KEY, expires_at=NOW)])
        if one.code == "key_validity"
    ]

    assert "rotate" not in found.fix
    assert "--version v1 --expires" in found.fix


def test_pinned_version_is_checked_instead_of_the_newest() -> None:
    """A good newest version does not help if the policy names an old one."""
    old = replace(KEY, version="v0", expires_at=NOW - DAY)

    levels = find_other_findings(
        assess(policy=replace(POLICY, key_version="v0"), versions=[KEY, old])
    )

    assert levels == {"key_pinned": FindingLevel.WARNING, "key_validity": FindingLevel.PROBLEM}


@pytest.mark.parametrize(
    ("replaced", "level"),
    [(NOW - 27 * DAY, FindingLevel.PROBLEM), (NOW - 28 * DAY, None), (None, FindingLevel.UNKNOWN)],
)
def test_previous_version_is_required_for_28_days(
    replaced: datetime | None, level: FindingLevel | None
) -> None:
    """The days begin when the newest version is created."""
    newest = replace(KEY, version="v2", created_at=replaced)
    previous = replace(KEY, version="v1", is_enabled=False)

    levels = find_other_findings(assess(versions=[newest, previous]))

    assert levels.get("previous_versions") is level


@pytest.mark.parametrize(
    ("count", "level"), [(19, None), (20, FindingLevel.WARNING), (25, FindingLevel.WARNING)]
)
def test_the_limit_of_environments_is_announced(count: int, level: FindingLevel | None) -> None:
    elsewhere = PolicyLink(
        policy_id="/policies/other", system_id="", status=PolicyLinkStatus.LINKING
    )
    environments = [replace(ENVIRONMENT, id=str(n), policy=elsewhere) for n in range(count)]

    assert find_other_findings(assess(environments=environments)).get("environment_limit") is level


def test_one_environment_on_a_key_is_counted_in_the_singular() -> None:
    """A person who first tries a key sees this message."""
    (limit,) = (
        one for one in assess(environments=[ENVIRONMENT]) if one.code == "environment_limit"
    )

    assert limit.message.startswith("1 environment of the tenant is on customer-managed keys; ")


def test_no_finding_at_all_is_unknown() -> None:
    assert find_highest_level([]) is FindingLevel.UNKNOWN
    assert find_highest_level(assess(vault=None)) is FindingLevel.UNKNOWN
    assert find_highest_level(assess(vault=None, versions=[])) is FindingLevel.PROBLEM


def test_every_check_is_documented() -> None:
    text = Path(__file__).parents[2].joinpath("docs/key-check.md").read_text(encoding="utf-8")
    findings = assess(vault=replace(VAULT, id="/vaults/other"))

    assert all(f"`{finding.code}`" in text for finding in findings)
    assert "`policy_watched`" in text
    assert "`key_checked`" in text
