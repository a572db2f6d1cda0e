import base64
import hashlib
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.signature import Signature
from shared.errors import NotFound
from shared.ports import Secret
from shared.signatures import is_signature_valid
from tests.contract.adapter_world import VAULT_URL
from tests.contract.ports.sides import Side
from tests.local_cloud.tenant.tenant_world import (
    ENCRYPTION_USER,
    HTTP_FLOW,
    POLICY_ID,
    POLICY_IDENTITY,
    VAULT_ID,
)


async def test_write_creates_a_missing_secret(side: Side) -> None:
    secret = Secret(
        vault_url=VAULT_URL, name="new", value="", version="", content_type=None, tags={"a": "b"}
    )

    await side.ports.secrets.write(secret, "https://x.example/")

    created = await side.ports.secrets.read(VAULT_URL, "new")
    assert (created.value, created.tags) == ("https://x.example/", {"a": "b"})


async def test_write_of_a_secret_keeps_its_content_type_and_tags(side: Side) -> None:
    vaults = [url async for url in side.ports.secrets.read_vault_urls()]
    names = [item async for item in side.ports.secrets.list(VAULT_URL)]
    secret = await side.ports.secrets.read(VAULT_URL, "orders-url")
    await side.ports.secrets.write(secret, "https://new.example/")
    after = await side.ports.secrets.read(VAULT_URL, "orders-url")

    assert vaults == [VAULT_URL]
    assert names == ["orders-url"]
    assert secret.value == await side.hands.read_trigger_url(HTTP_FLOW)
    assert "sig" not in repr(secret)
    assert after.version != secret.version
    assert replace(after, value="", version="") == replace(secret, value="", version="")
    assert after.value == "https://new.example/"
    assert (after.content_type, after.tags) == ("text/uri", {"team": "orders"})


async def test_write_of_a_missing_secret_creates_it(side: Side) -> None:
    new = Secret(
        vault_url=VAULT_URL, name="till-url", value="", version="", content_type=None, tags={}
    )
    await side.ports.secrets.write(new, "https://new.example/")
    after = await side.ports.secrets.read(VAULT_URL, "till-url")

    assert after.value == "https://new.example/"
    assert (after.content_type, after.tags) == (None, {})
    assert after.version


async def test_read_values_since_returns_versions_replaced_since_a_time(side: Side) -> None:
    secrets = side.ports.secrets
    began = await secrets.read(VAULT_URL, "orders-url")
    side.hands.advance(timedelta(hours=1))
    since = side.hands.read_time()
    await secrets.write(began, "first")
    side.hands.advance(timedelta(seconds=1))
    await secrets.write(began, "second")

    assert sorted(await secrets.read_values_since(VAULT_URL, "orders-url", since)) == [
        "first",
        "second",
    ]
    assert await secrets.read_values_since(VAULT_URL, "orders-url", side.hands.read_time()) == [
        "second"
    ]


async def test_policy_contains_its_vault_and_key(side: Side) -> None:
    [policy] = await side.ports.keys.read_policies()

    assert (policy.id, policy.name) == (POLICY_ID.lower(), "cmk-eu")
    assert policy.vault_id == VAULT_ID.lower()
    assert (policy.key_name, policy.key_version) == ("pp-cmk", None)
    assert policy.location == "europe"
    assert policy.principal_id
    assert policy.system_id.startswith("/regions/europe/")


async def test_vault_has_its_protection_settings(side: Side) -> None:
    vault = await side.ports.keys.read_vault(VAULT_ID.upper())

    assert (vault.id, vault.url) == (VAULT_ID.lower(), VAULT_URL)
    assert vault.soft_delete
    assert vault.purge_protection
    assert vault.uses_rbac


async def test_vault_is_found_by_its_name(side: Side) -> None:
    vault = await side.ports.keys.read_vault("KV-CMK")

    assert vault.id == VAULT_ID.lower()
    with pytest.raises(NotFound):
        await side.ports.keys.read_vault("kv-elsewhere")


async def test_role_assignments_of_a_vault_include_parent_and_child_scopes(side: Side) -> None:
    roles = await side.ports.keys.read_role_assignments(VAULT_ID, POLICY_IDENTITY)
    none = await side.ports.keys.read_role_assignments(
        VAULT_ID, "b0000000-0000-4000-8000-0000000000d1"
    )

    group, key = sorted(roles, key=lambda one: len(one.scope))
    assert (VAULT_ID.lower().startswith(group.scope), key.scope) == (
        True,
        f"{VAULT_ID.lower()}/keys/pp-cmk",
    )
    assert {one.role_id for one in roles} == {ENCRYPTION_USER.rpartition("/")[2]}
    assert not any(one.is_conditional for one in roles)
    assert none == []


async def test_versions_of_a_key_are_returned_newest_first(side: Side) -> None:
    keys = side.ports.keys
    newest, oldest = await keys.read_key_versions(await keys.read_vault(VAULT_ID), "pp-cmk")

    assert newest.created_at is not None
    assert oldest.created_at is not None
    assert newest.created_at > oldest.created_at
    assert newest.version != oldest.version
    assert newest.key_type.startswith("RSA")
    assert newest.size == 2048
    assert newest.is_enabled


async def test_signing_key_signs_with_the_version_that_was_read(side: Side) -> None:
    """A key URL without a version means the newest version."""
    keys, content = side.ports.signing_keys, b"a manifest"
    vault = await side.ports.keys.read_vault(VAULT_ID)
    newest, oldest = await side.ports.keys.read_key_versions(vault, "pp-cmk")

    current = await keys.read(f"{VAULT_URL}/keys/pp-cmk")
    older = await keys.read(f"{VAULT_URL}/keys/pp-cmk/{oldest.version}")
    value = await keys.sign(current, hashlib.sha256(content).digest())

    signature = Signature(
        key_id=current.id,
        public_key=current.public_key,
        value=base64.b64encode(value).decode(),
    )
    assert current.id == f"{VAULT_URL}/keys/pp-cmk/{newest.version}"
    assert older.id == f"{VAULT_URL}/keys/pp-cmk/{oldest.version}"
    assert current.is_enabled
    assert {"sign", "verify"} <= current.operations
    assert is_signature_valid(signature, content)
    assert not is_signature_valid(replace(signature, public_key=older.public_key), content)


async def test_signing_key_that_does_not_exist_is_not_found(side: Side) -> None:
    for name in ("nothing", "pp-cmk/0123456789abcdef0123456789abcdef"):
        with pytest.raises(NotFound):
            await side.ports.signing_keys.read(f"{VAULT_URL}/keys/{name}")
