from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from shared.callers.app_setting import parse_reference
from shared.domain.callers.caller import CallerContent
from shared.errors import Conflict, JobBlocked, PlatformError
from shared.ports import Secret, WritesWholeResource
from tests.fakes.secrets import FakeSecrets
from tests.fakes.services import build_kinds
from tests.fakes.world import World
from tests.functional.callers.called_tenant import Tenant


async def test_write_of_one_setting_keeps_all_others(tenant: Tenant) -> None:
    """A write replaces all settings of the app."""
    site = tenant.builder.add_app_setting_caller(tenant.original)
    site.settings |= {"AzureWebJobsStorage": "secret", "EMPTY": ""}

    [caller] = await tenant.list_found_callers("app_setting")
    await tenant.update_caller(caller)

    assert tenant.count_runs_after_a_beat() == (0, 1)
    assert site.settings == {
        "FLOW_URL": tenant.builder.get_trigger_url(tenant.copy),
        "AzureWebJobsStorage": "secret",
        "EMPTY": "",
    }
    assert site.restarts == 1


async def test_settings_of_one_app_are_written_together(tenant: Tenant) -> None:
    """Each write of settings restarts the app."""
    site = tenant.builder.add_app_setting_caller(tenant.original)
    tenant.builder.add_app_setting_caller(tenant.original, setting="ALSO")
    callers, kind = await tenant.list_found_callers("app_setting"), tenant.kinds["app_setting"]
    assert isinstance(kind, WritesWholeResource)
    values = [
        (caller, replace(value, text=caller.address))
        for caller in callers
        for value in [(await kind.read_all(callers))[caller.address]]
    ]

    await kind.write_all(values)
    first, second = callers
    del site.settings["ALSO"]

    assert site.settings == {"FLOW_URL": f"{site.id}|FLOW_URL"}
    assert [*await kind.read_all(callers)] == [f"{site.id}|FLOW_URL"]
    with pytest.raises(Conflict):
        await kind.write_all([(one, CallerContent(text="again")) for one in (first, second)])
    assert (site.settings, site.restarts) == ({"FLOW_URL": f"{site.id}|FLOW_URL"}, 1)


async def test_setting_with_the_new_value_is_not_written_again(tenant: Tenant) -> None:
    """A write would restart the app."""
    site = tenant.builder.add_app_setting_caller(tenant.original)
    [caller] = await tenant.list_found_callers("app_setting")
    await tenant.update_caller(caller)

    new = await tenant.kinds["app_setting"].read(caller)
    await tenant.kinds["app_setting"].write(caller, new)

    assert site.restarts == 1


async def test_write_of_a_setting_that_changed_since_its_read_is_a_conflict(tenant: Tenant) -> None:
    """The platform has no ETag for settings."""
    site = tenant.builder.add_app_setting_caller(tenant.original)
    [caller] = await tenant.list_found_callers("app_setting")
    value = await tenant.kinds["app_setting"].read(caller)
    site.settings["FLOW_URL"] = "https://elsewhere.example"

    with pytest.raises(Conflict):
        await tenant.kinds["app_setting"].write(caller, CallerContent(text="x", etag=value.etag))

    assert site.settings["FLOW_URL"] == "https://elsewhere.example"


async def test_concurrent_write_of_the_same_app_is_a_conflict(tenant: Tenant) -> None:
    site = tenant.builder.add_app_setting_caller(tenant.original)
    [caller] = await tenant.list_found_callers("app_setting")
    value = await tenant.kinds["app_setting"].read(caller)

    def deploy(world: World) -> list[str]:
        site.settings["DEPLOYED"] = "now"
        return []

    tenant.world.watchers.append(deploy)

    with pytest.raises(Conflict, match="somebody else"):
        await tenant.kinds["app_setting"].write(caller, CallerContent(text="x", etag=value.etag))


async def test_setting_that_refers_to_the_latest_secret_is_no_caller(tenant: Tenant) -> None:
    """The secret is the caller."""
    site = tenant.builder.add_app_setting_caller(tenant.original)
    secret = tenant.builder.add_secret_caller(tenant.original)
    reference = f"SecretUri={secret.vault_url}secrets/{secret.name}/"
    site.settings["FLOW_URL"] = f"@Microsoft.KeyVault({reference})"

    assert await tenant.list_found_callers("app_setting") == []
    assert len(await tenant.list_found_callers("key_vault_secret")) == 1
    assert tenant.kinds["key_vault_secret"].old_value_lifetime.days == 1


async def test_setting_with_a_fixed_secret_version_is_a_manual_caller(tenant: Tenant) -> None:
    """The setting would not use a new version of the secret."""
    site = tenant.builder.add_app_setting_caller(tenant.original)
    secret = tenant.builder.add_secret_caller(tenant.original)
    version = secret.versions[0].id
    uri = f"{secret.vault_url}secrets/{secret.name}/{version}"
    site.settings["FLOW_URL"] = f"@Microsoft.KeyVault(SecretUri={uri})"

    [caller] = await tenant.list_found_callers("app_setting")

    assert "a fixed version" in caller.manual_reason


async def test_reference_to_an_unknown_vault_is_ignored(tenant: Tenant) -> None:
    """The app sends its token only to known vaults."""
    site = tenant.builder.add_app_setting_caller(tenant.original)
    uri = "https://elsewhere.example/secrets/flow-url/1a2b"
    site.settings["FLOW_URL"] = f"@Microsoft.KeyVault(SecretUri={uri})"

    assert await tenant.list_found_callers("app_setting") == []


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("@Microsoft.KeyVault(SecretUri=https://v.vault.azure.net/secrets/n/)", ("n", "")),
        ("@Microsoft.KeyVault(SecretUri=https://v.vault.azure.net/secrets/n/1a2b)", ("n", "1a2b")),
        ("@microsoft.keyvault(VaultName=v;SecretName=n)", ("n", "")),
        ("@Microsoft.KeyVault(VaultName=v;SecretName=n;SecretVersion=1a2b)", ("n", "1a2b")),
        ("@Microsoft.AppConfiguration(Endpoint=https://c.azconfig.io; Key=k)", None),
        ("https://v.vault.azure.net/secrets/n", None),
    ],
)
def test_both_forms_of_a_secret_reference_are_parsed(
    value: str, expected: tuple[str, str] | None
) -> None:
    reference = parse_reference(value)

    assert (reference and (reference.name, reference.version)) == expected
    assert reference is None or reference.vault == "v"


async def test_write_of_a_secret_adds_a_version_and_keeps_its_properties(tenant: Tenant) -> None:
    secret = tenant.builder.add_secret_caller(tenant.original)

    [caller] = await tenant.list_found_callers("key_vault_secret")
    await tenant.update_caller(caller)

    assert tenant.count_runs_after_a_beat() == (0, 1)
    assert len(secret.versions) == 2
    assert (secret.content_type, secret.tags) == ("text/uri", {"team": "integration"})


async def test_write_of_a_secret_with_a_newer_version_is_a_conflict(tenant: Tenant) -> None:
    secret = tenant.builder.add_secret_caller(tenant.original)
    [caller] = await tenant.list_found_callers("key_vault_secret")
    value = await tenant.kinds["key_vault_secret"].read(caller)
    secret.versions.append(tenant.builder.world.create_secret_version("https://elsewhere.example"))

    with pytest.raises(Conflict):
        await tenant.kinds["key_vault_secret"].write(
            caller, CallerContent(text="x", etag=value.etag)
        )


class OneIsClosed(FakeSecrets):
    """A secrets port that may not list one vault and may not read a secret of another."""

    async def read_vault_urls(self) -> AsyncIterator[str]:
        yield "https://a-closed.vault.azure.net"
        yield "https://a-reader.vault.azure.net"
        async for vault_url in super().read_vault_urls():
            yield vault_url

    async def list(self, vault_url: str) -> AsyncIterator[str]:
        if "a-closed" in vault_url:
            raise PlatformError("no access", code="ForbiddenByFirewall", status=403)
        if "a-reader" in vault_url:
            yield "a-secret"
        async for name in super().list(vault_url):
            yield name

    async def read(self, vault_url: str, name: str) -> Secret:
        if name == "a-secret":
            raise PlatformError("no access", code="Forbidden", status=403)
        return await super().read(vault_url, name)


async def test_search_reports_an_inaccessible_vault_after_searching_others(tenant: Tenant) -> None:
    tenant.builder.add_secret_caller(tenant.original, name="b-open")

    secrets = OneIsClosed(tenant.builder.world)
    kinds = build_kinds(replace(tenant.ports, secrets=secrets))
    found: list[str] = []

    async def search() -> None:
        async for caller in kinds["key_vault_secret"].find([]):
            found.append(caller.label)  # noqa: PERF401 -- what came before the error counts

    with pytest.raises(JobBlocked, match=r"in https://a-closed.*a-secret in https://a-reader"):
        await search()

    assert len(found) == 1


async def test_search_reports_a_setting_with_an_unreadable_secret(tenant: Tenant) -> None:
    site = tenant.builder.add_app_setting_caller(tenant.original)
    uri = "https://a-closed.vault.azure.net/secrets/flow-url/1a2b"
    site.settings["PINNED"] = f"@Microsoft.KeyVault(SecretUri={uri})"
    kinds = build_kinds(replace(tenant.ports, secrets=OneIsClosed(tenant.builder.world)))
    found: list[str] = []

    async def search() -> None:
        async for caller in kinds["app_setting"].find([]):
            found.append(caller.label)  # noqa: PERF401 -- what came before the error counts

    with pytest.raises(JobBlocked, match="secret flow-url in a-closed"):
        await search()

    assert len(found) == 1


async def test_key_that_was_locked_after_the_search_is_named(tenant: Tenant) -> None:
    """App Configuration answers as if the key had changed."""
    tenant.builder.add_key_value_caller(tenant.original)
    [caller] = await tenant.list_found_callers("app_configuration")
    [(place, held)] = tenant.world.key_values.items()
    tenant.world.key_values[place] = replace(held, is_locked=True)
    content = await tenant.read(caller)

    with pytest.raises(JobBlocked) as raised:
        await tenant.kinds["app_configuration"].write(caller, replace(content, text="x"))

    assert "Unlock it" in raised.value.fix


async def test_key_value_that_would_become_too_long_is_not_written(tenant: Tenant) -> None:
    tenant.builder.add_key_value_caller(tenant.original)
    [(place, held)] = tenant.world.key_values.items()
    rest = len("".join([held.key, held.label, held.content_type or "", *held.tags]))
    rest += len("".join(held.tags.values()))
    full = held.value + "#" + "x" * (9_999 - rest - len(held.value))
    tenant.world.key_values[place] = replace(held, value=full)
    [caller] = await tenant.list_found_callers("app_configuration")
    content = await tenant.read(caller)
    longer = CallerContent(text=content.text + "x", etag=content.etag)

    with pytest.raises(JobBlocked, match=held.key) as error:
        await tenant.kinds["app_configuration"].write(caller, longer)

    assert "more than 10,000 characters" in error.value.fix
    assert caller.max_url_length == len(tenant.builder.get_trigger_url(tenant.original))
    assert tenant.world.key_values[place].value == full
