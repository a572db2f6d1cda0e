"""Every kind of caller: found, changed and put back, in a whole tenant in memory."""

from collections.abc import AsyncIterator, Iterable, Mapping
from pathlib import Path

import pytest

from shared.callers import CallerPorts, caller_kinds, canvas_app
from shared.callers.app_setting import read_reference
from shared.domain.callers.caller import Caller, CallerValue
from shared.domain.callers.edit import rewrite, undo
from shared.domain.trigger_urls.trigger_url import signatures_in
from shared.errors import Blocked, Conflict, NotFound, Refused
from shared.ports import CallerKind, Secret
from tests.twins.builder import Builder
from tests.twins.definition_builder import http_action
from tests.twins.ports import Ports, twins_of
from tests.twins.snapshot import differences, take_snapshot
from tests.twins.tenant import TwinFlow
from tests.twins.world import World


class Tenant:
    """A tenant with one original, one copy of it, and the kinds that look for callers."""

    def __init__(self) -> None:
        self.world = World()
        self.builder = Builder(self.world)
        self.original = self.builder.http_flow("Original")
        self.copy = self.builder.http_flow("Copy")
        self.ports: Ports = twins_of(self.world).ports
        self.kinds = self.kinds_on(self.ports)

    @staticmethod
    def kinds_on(ports: Ports) -> Mapping[str, CallerKind]:
        """Return the kinds on these ports."""
        return caller_kinds(
            CallerPorts(
                environments=ports.environments,
                workflows=ports.workflows,
                environment_variables=ports.environment_variables,
                app_settings=ports.app_settings,
                secrets=ports.secrets,
                canvas_apps=ports.canvas_apps,
            )
        )

    async def found(self, kind: str) -> list[Caller]:
        """Return the callers of a kind that hold the original."""
        environments = await self.ports.environments.list()
        return [
            caller
            async for caller in self.kinds[kind].find(environments)
            if self.original.trigger_url_id in caller.trigger_url_ids
            or self.original.workflow_id in caller.child_flow_ids
        ]

    async def move(self, caller: Caller) -> CallerValue:
        """Point a caller at the copy and return its old value."""
        kind = self.kinds[caller.kind]
        value = await kind.read(caller)
        new = self._rewritten(kind, value.text)
        await kind.write(caller, CallerValue(text=new, etag=value.etag))
        assert (await kind.read(caller)).text == new != value.text
        return value

    async def move_back(self, caller: Caller, old: CallerValue) -> None:
        """Undo what `move` did."""
        kind = self.kinds[caller.kind]
        urls = {self.original.trigger_url_id: self.builder.url_of(self.copy)}
        flow_ids = {self.original.workflow_id: self.copy.workflow_id}
        edits = rewrite(old.text, is_json=kind.is_json, urls=urls, flow_ids=flow_ids).edits
        value = await kind.read(caller)
        text = undo(value.text, edits, signatures_in(old.text))
        await kind.write(caller, CallerValue(text=text, etag=value.etag))

    def _rewritten(self, kind: CallerKind, text: str) -> str:
        return rewrite(
            text,
            is_json=kind.is_json,
            urls={self.original.trigger_url_id: self.builder.url_of(self.copy)},
            flow_ids={self.original.workflow_id: self.copy.workflow_id},
        ).text

    def runs_after_a_beat(self) -> tuple[int, int]:
        """Let every system call once; return the runs of the original and of the copy."""
        self.world.traffic.beat(self.world)
        assert self.world.traffic.lost == []
        return len(self.original.runs), len(self.copy.runs)


@pytest.fixture
def tenant() -> Tenant:
    """Return a tenant without callers."""
    return Tenant()


async def test_a_flow_is_found_by_the_url_in_its_http_action(tenant: Tenant) -> None:
    """Its whole definition is one value, in its own environment."""
    holder = tenant.builder.flow_caller(tenant.original)

    [caller] = await tenant.found("flow")

    assert caller.workflow_id == holder.workflow_id
    assert caller.environment_id == tenant.builder.environment.id
    assert caller.trigger_url_ids == {tenant.original.trigger_url_id}
    assert caller.manual == ""


async def test_a_parent_is_found_by_its_child_flow(tenant: Tenant) -> None:
    """A child call is a caller too."""
    parent = tenant.builder.parent("Parent", tenant.original)

    [caller] = await tenant.found("flow")
    await tenant.move(caller)

    assert caller.child_flow_ids == {tenant.original.workflow_id}
    assert tenant.copy.workflow_id in parent.client_data


async def test_a_flow_of_a_managed_solution_is_left_to_a_person(tenant: Tenant) -> None:
    """Changing it would unhook it from its solution."""
    tenant.builder.flow_caller(tenant.original).is_managed = True

    [caller] = await tenant.found("flow")

    assert "managed solution" in caller.manual


async def test_a_flow_that_fills_in_the_signature_is_split(tenant: Tenant) -> None:
    """What the app can replace in a flow is not held up by what only a person can."""
    other = tenant.builder.http_flow("Other")
    address = tenant.builder.url_of(tenant.original).partition("&sig=")[0]
    url = f"{address}&sig=@{{variables('sig')}}"
    tenant.builder.flow(
        "Mixed",
        {"type": "Request", "kind": "Button", "inputs": {}},
        {"One": http_action(url), "Two": http_action(tenant.builder.url_of(other))},
        is_on=False,
    )

    environments = await tenant.ports.environments.list()
    found = [caller async for caller in tenant.kinds["flow"].find(environments)]

    reasons = {next(iter(caller.trigger_url_ids)): caller.manual for caller in found}
    assert reasons[other.trigger_url_id] == ""
    assert "fills in the signature" in reasons[tenant.original.trigger_url_id]


async def test_an_environment_without_dataverse_has_no_callers(tenant: Tenant) -> None:
    """There is nothing to search, and that is no error."""
    tenant.builder.environment.dataverse_url = None

    assert await tenant.found("flow") == []
    assert await tenant.found("environment_variable") == []


async def test_flows_follow_an_environment_variable_at_once(tenant: Tenant) -> None:
    """The write saves the flows that use it: the next call goes to the copy, none is lost."""
    tenant.builder.variable_caller(tenant.original)
    before = tenant.runs_after_a_beat()

    [caller] = await tenant.found("environment_variable")
    await tenant.move(caller)

    assert (before, tenant.runs_after_a_beat()) == ((1, 0), (1, 1))


async def test_an_interrupted_write_of_a_variable_is_finished_by_the_same_write(
    tenant: Tenant,
) -> None:
    """The value stands there already; the flows are saved again."""
    variable, _ = tenant.builder.variable_caller(tenant.original)
    [caller] = await tenant.found("environment_variable")
    variable.value = tenant.builder.url_of(tenant.copy)

    stale = tenant.runs_after_a_beat()
    await tenant.kinds[caller.kind].write(caller, CallerValue(text=variable.value, etag="old"))

    assert (stale, tenant.runs_after_a_beat()) == ((1, 0), (1, 1))


async def test_the_default_of_a_variable_is_a_place_of_its_own(tenant: Tenant) -> None:
    """Both are found, and each is changed by itself."""
    variable, _ = tenant.builder.variable_caller(tenant.original)
    variable.default_value = f"{tenant.builder.url_of(tenant.original)}&from=default"

    callers = await tenant.found("environment_variable")
    for caller in callers:
        await tenant.move(caller)

    assert [caller.label.split()[0] for caller in callers] == ["value", "default"]
    assert {caller.resource for caller in callers} == {callers[0].resource}
    assert variable.default_value == f"{tenant.builder.url_of(tenant.copy)}&from=default"


async def test_a_variable_that_managed_flows_use_is_left_to_a_person(tenant: Tenant) -> None:
    """They would keep the old value, so the app does not pretend to have changed it."""
    _, reader = tenant.builder.variable_caller(tenant.original)
    reader.is_managed = True

    [caller] = await tenant.found("environment_variable")

    assert reader.name in caller.manual


async def test_a_variable_that_was_changed_meanwhile_is_a_conflict(tenant: Tenant) -> None:
    """Somebody else's value is not overwritten."""
    variable, _ = tenant.builder.variable_caller(tenant.original)
    [caller] = await tenant.found("environment_variable")
    value = await tenant.kinds[caller.kind].read(caller)
    variable.value, variable.value_version = "elsewhere", 2

    with pytest.raises(Conflict):
        await tenant.kinds[caller.kind].write(caller, CallerValue(text="new", etag=value.etag))


async def test_one_setting_changes_and_all_others_stay(tenant: Tenant) -> None:
    """All settings are written at once, so all others must be written as they were."""
    site = tenant.builder.app_setting_caller(tenant.original)
    site.settings |= {"AzureWebJobsStorage": "secret", "EMPTY": ""}

    [caller] = await tenant.found("app_setting")
    await tenant.move(caller)

    assert tenant.runs_after_a_beat() == (0, 1)
    assert site.settings == {
        "FLOW_URL": tenant.builder.url_of(tenant.copy),
        "AzureWebJobsStorage": "secret",
        "EMPTY": "",
    }
    assert site.restarts == 1


async def test_a_setting_that_reads_as_wanted_is_not_written_again(tenant: Tenant) -> None:
    """A repeated delivery does not restart the app."""
    site = tenant.builder.app_setting_caller(tenant.original)
    [caller] = await tenant.found("app_setting")
    await tenant.move(caller)

    new = await tenant.kinds["app_setting"].read(caller)
    await tenant.kinds["app_setting"].write(caller, new)

    assert site.restarts == 1


async def test_a_setting_that_was_changed_meanwhile_is_a_conflict(tenant: Tenant) -> None:
    """The digest of what was read takes the place of the ETag that the platform does not have."""
    site = tenant.builder.app_setting_caller(tenant.original)
    [caller] = await tenant.found("app_setting")
    value = await tenant.kinds["app_setting"].read(caller)
    site.settings["FLOW_URL"] = "https://elsewhere.example"

    with pytest.raises(Conflict):
        await tenant.kinds["app_setting"].write(caller, CallerValue(text="x", etag=value.etag))

    assert site.settings["FLOW_URL"] == "https://elsewhere.example"


async def test_another_writer_of_the_same_app_is_noticed(tenant: Tenant) -> None:
    """What comes back after the write has to be what was written."""
    site = tenant.builder.app_setting_caller(tenant.original)
    [caller] = await tenant.found("app_setting")
    value = await tenant.kinds["app_setting"].read(caller)

    def deploy(world: World) -> list[str]:
        site.settings["DEPLOYED"] = "now"
        return []

    tenant.world.watchers.append(deploy)

    with pytest.raises(Conflict, match="somebody else"):
        await tenant.kinds["app_setting"].write(caller, CallerValue(text="x", etag=value.etag))


async def test_a_setting_that_follows_its_secret_is_no_caller(tenant: Tenant) -> None:
    """The secret is the caller, and its staleness counts the day the app takes to follow."""
    site = tenant.builder.app_setting_caller(tenant.original)
    secret = tenant.builder.secret_caller(tenant.original)
    reference = f"SecretUri={secret.vault_url}secrets/{secret.name}/"
    site.settings["FLOW_URL"] = f"@Microsoft.KeyVault({reference})"

    assert await tenant.found("app_setting") == []
    assert len(await tenant.found("key_vault_secret")) == 1
    assert tenant.kinds["key_vault_secret"].staleness.days == 1


async def test_a_setting_pinned_to_a_version_is_left_to_a_person(tenant: Tenant) -> None:
    """A new version of the secret would never reach the app."""
    site = tenant.builder.app_setting_caller(tenant.original)
    secret = tenant.builder.secret_caller(tenant.original)
    version = secret.versions[0][0]
    uri = f"{secret.vault_url}secrets/{secret.name}/{version}"
    site.settings["FLOW_URL"] = f"@Microsoft.KeyVault(SecretUri={uri})"

    [caller] = await tenant.found("app_setting")

    assert "pinned" in caller.manual


async def test_a_reference_to_an_unknown_vault_is_not_followed(tenant: Tenant) -> None:
    """Whoever can write a setting must not be able to send the app's token to an address."""
    site = tenant.builder.app_setting_caller(tenant.original)
    uri = "https://elsewhere.example/secrets/flow-url/1a2b"
    site.settings["FLOW_URL"] = f"@Microsoft.KeyVault(SecretUri={uri})"

    assert await tenant.found("app_setting") == []


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
def test_both_forms_of_a_reference_are_read(value: str, expected: tuple[str, str] | None) -> None:
    """App Service knows two ways to name a secret."""
    reference = read_reference(value)

    assert (reference and (reference.name, reference.version)) == expected
    assert reference is None or reference.vault == "v"


async def test_a_secret_gets_a_version_and_keeps_the_rest(tenant: Tenant) -> None:
    """Content type and tags stay, the old version stays too."""
    secret = tenant.builder.secret_caller(tenant.original)

    [caller] = await tenant.found("key_vault_secret")
    await tenant.move(caller)

    assert tenant.runs_after_a_beat() == (0, 1)
    assert len(secret.versions) == 2
    assert (secret.content_type, secret.tags) == ("text/uri", {"team": "integration"})


async def test_a_secret_with_a_newer_version_is_a_conflict(tenant: Tenant) -> None:
    """Somebody else's version stays the current one."""
    secret = tenant.builder.secret_caller(tenant.original)
    [caller] = await tenant.found("key_vault_secret")
    value = await tenant.kinds["key_vault_secret"].read(caller)
    secret.versions.append(("2", "https://elsewhere.example"))

    with pytest.raises(Conflict):
        await tenant.kinds["key_vault_secret"].write(caller, CallerValue(text="x", etag=value.etag))


async def test_a_refused_secret_is_told_after_the_others_were_searched(tenant: Tenant) -> None:
    """One closed vault must not hide the callers in the others, nor pass for an empty one."""
    tenant.builder.secret_caller(tenant.original, name="b-open")

    class OneIsClosed:
        """The secrets, one of which the app may not read."""

        async def list(self) -> AsyncIterator[tuple[str, str]]:
            yield "https://closed.vault.azure.net/", "a-closed"
            async for place in tenant.ports.secrets.list():
                yield place

        async def read(self, vault_url: str, name: str) -> Secret:
            if name == "a-closed":
                raise Refused("no access", code="Forbidden", status=403)
            return await tenant.ports.secrets.read(vault_url, name)

        async def write(self, secret: Secret, value: str) -> None:
            await tenant.ports.secrets.write(secret, value)

    kinds = caller_kinds(
        CallerPorts(
            environments=tenant.ports.environments,
            workflows=tenant.ports.workflows,
            environment_variables=tenant.ports.environment_variables,
            app_settings=tenant.ports.app_settings,
            secrets=OneIsClosed(),
            canvas_apps=tenant.ports.canvas_apps,
        )
    )
    found: list[str] = []

    async def search() -> None:
        async for caller in kinds["key_vault_secret"].find([]):
            found.append(caller.label)  # noqa: PERF401 -- what came before the error counts

    with pytest.raises(Blocked, match="a-closed"):
        await search()

    assert len(found) == 1


def _callers(builder: Builder, original: TwinFlow) -> Iterable[object]:
    """Add a caller of every kind."""
    yield builder.variable_caller(original)
    yield builder.flow_caller(original)
    yield builder.parent("Parent", original)
    yield builder.app_setting_caller(original)
    yield builder.secret_caller(original)


async def test_every_kind_is_put_back_byte_for_byte(tenant: Tenant) -> None:
    """After moving all callers and back, the tenant is as it was; the traffic lost nothing."""
    list(_callers(tenant.builder, tenant.original))
    before = take_snapshot(tenant.world)
    callers = [caller for kind in tenant.kinds for caller in await tenant.found(kind)]

    old = [await tenant.move(caller) for caller in callers]
    tenant.runs_after_a_beat()
    for caller, value in reversed(list(zip(callers, old, strict=True))):
        await tenant.move_back(caller, value)

    assert {caller.kind for caller in callers} == set(tenant.kinds) - {canvas_app.KIND}
    assert differences(before, tenant.world) == []


async def test_what_callers_show_holds_no_signature(tenant: Tenant) -> None:
    """Addresses, labels and reasons go into state rows and reports."""
    list(_callers(tenant.builder, tenant.original))
    signatures = signatures_in(tenant.builder.url_of(tenant.original)).values()

    shown = [repr(caller) for kind in tenant.kinds for caller in await tenant.found(kind)]

    assert signatures
    assert not any(signature in text for signature in signatures for text in shown)


@pytest.mark.parametrize(
    "kind", ["flow", "environment_variable", "app_setting", "key_vault_secret"]
)
async def test_a_place_that_is_gone_is_not_found(tenant: Tenant, kind: str) -> None:
    """A caller that was deleted since the search says so."""
    list(_callers(tenant.builder, tenant.original))
    caller = (await tenant.found(kind))[0]
    tenant.world.sites.clear()
    tenant.world.secrets.clear()
    tenant.builder.environment.flows.clear()
    tenant.builder.environment.variables.clear()

    with pytest.raises(NotFound):
        await tenant.kinds[kind].read(caller)


def test_every_kind_is_documented(tenant: Tenant) -> None:
    """docs/callers.md has a row for each."""
    text = Path(__file__).parents[2].joinpath("docs/callers.md").read_text(encoding="utf-8")

    assert all(f"| `{kind}` |" in text for kind in tenant.kinds)
