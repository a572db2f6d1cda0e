import asyncio
import base64
import json
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from functions import doctor_api, health_api
from shared import bootstrap
from shared.adapters.archive.blob import BlobArchive
from shared.adapters.archive.folder import FolderArchive
from shared.adapters.state.sqlite_store import SqliteStore
from shared.adapters.state.table_store import TableStore
from shared.adapters.state.versioned_store import VersionedStore
from shared.bootstrap import build_services, provide, services
from shared.domain.network.network_check import TAGS_BESIDE
from shared.domain.principal import Role
from shared.errors import JobBlocked, ThrottledError
from shared.kind_discovery import find_kinds
from shared.ports import InsertRow, Store, StoreRow, UnusableChannel
from shared.queues import POISON
from shared.services import Services
from shared.settings import OnOriginalEdited, Settings
from shared.use_cases import check_deployment
from tests.functional.scenarios.app_calls import build_sign_in_header, call
from tests.functional.scenarios.remediation_scenario import Scenario

BUS = "Endpoint=sb://localhost:9;SharedAccessKeyName=x;SharedAccessKey=eA==;UseDevelopmentEmulator=true;"


@pytest.fixture
def environ(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    for name, value in {
        "CMK_TENANT_ID": "tenant",
        "CMK_SUBSCRIPTION_IDS": " one, two,",
        "CMK_STATE_FOLDER": str(tmp_path),
        "CMK_ARCHIVE_KEY": base64.urlsafe_b64encode(bytes(32)).decode(),
        "ServiceBusConnection": BUS,
        "IDENTITY_ENDPOINT": "http://127.0.0.1:9/token",
        "IDENTITY_HEADER": "x",
    }.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def read_settings() -> Settings:
    return Settings()


def test_resources_are_closed_at_the_end_of_the_loop(environ: pytest.MonkeyPatch) -> None:
    """The worker has no hook that runs when it ends."""
    closed: list[str] = []

    def build(settings: Settings, closing: AsyncExitStack) -> Services:
        built = build_services(settings, closing)
        closing.callback(closed.append, "all")
        return built

    environ.setattr(bootstrap, "build_services", build)

    async def use() -> bool:
        return services() is services()

    with asyncio.Runner() as runner:
        assert runner.run(use())
        assert closed == []

    assert closed == ["all"]


async def test_invalid_value_of_a_setting_is_rejected_at_the_start(
    environ: pytest.MonkeyPatch,
) -> None:
    """A mistyped value such as `copy-again` would otherwise be ignored unnoticed."""
    environ.setenv("CMK_ON_ORIGINAL_EDITED", "copy_again")
    assert read_settings().on_original_edited is OnOriginalEdited.COPY_AGAIN

    environ.setenv("CMK_ON_ORIGINAL_EDITED", "copy-again")
    with pytest.raises(ValueError, match="block"):
        read_settings()


async def test_empty_retention_keeps_everything(environ: pytest.MonkeyPatch) -> None:
    for name in ("CMK_AUDIT_LOG_KEPT", "CMK_REMEDIATIONS_KEPT"):
        environ.setenv(name, "")

    settings = read_settings()

    assert (settings.audit_log_kept, settings.remediations_kept) == (None, None)


async def test_duration_that_no_date_can_hold_is_rejected(environ: pytest.MonkeyPatch) -> None:
    """With such a duration, each daily check would fail to compute a date."""
    environ.setenv("CMK_AUDIT_LOG_KEPT", "P1000000D")

    with pytest.raises(ValueError, match="audit_log_kept"):
        read_settings()


async def test_token_from_a_file_with_a_line_break_is_usable(environ: pytest.MonkeyPatch) -> None:
    """A header that contains a line break cannot be sent."""
    environ.setenv("CMK_GITHUB_TOKEN", "github_pat_1\n")

    assert read_settings().github_token == "github_pat_1"


async def test_subscriptions_are_separated_by_commas(environ: pytest.MonkeyPatch) -> None:
    assert read_settings().subscription_ids == ("one", "two")


async def test_unknown_additional_required_tag_is_rejected(
    environ: pytest.MonkeyPatch,
) -> None:
    """A mistyped tag would require nothing."""
    environ.setenv("CMK_ADDITIONAL_REQUIRED_TAGS", "LogicApps, PowerPlatformInfra")
    assert read_settings().additional_required_tags == TAGS_BESIDE

    environ.setenv("CMK_ADDITIONAL_REQUIRED_TAGS", "PowerPlatformInfa")
    with pytest.raises(ValueError, match="additional_required_tags"):
        read_settings()


def find_inner_store(built: Services) -> Store:
    """Return the store without its version check."""
    store = built.tables.store
    assert isinstance(store, VersionedStore)
    return store.store


async def test_state_is_stored_in_a_folder_without_a_storage_account(
    environ: pytest.MonkeyPatch,
) -> None:
    async with AsyncExitStack() as closing:
        embedded = build_services(read_settings(), closing)
        assert isinstance(find_inner_store(embedded), SqliteStore)
        assert isinstance(embedded.archive, FolderArchive)
        assert await embedded.archive.put("a/b", b"text")
        assert await embedded.archive.get("a/b") == b"text"

        environ.setenv("CMK_STORAGE_ACCOUNT", "contosoflows")
        in_azure = build_services(read_settings(), closing)
        assert isinstance(find_inner_store(in_azure), TableStore)
        assert isinstance(in_azure.archive, BlobArchive)


async def test_store_of_an_earlier_version_is_shown_by_health_and_doctor(
    environ: pytest.MonkeyPatch,
) -> None:
    environ.setenv("WEBSITE_AUTH_ENABLED", "True")
    async with AsyncExitStack() as closing:
        built = build_services(read_settings(), closing)
        provide(built)
        old = StoreRow(table="flags", partition="flag", key="kill-switch", columns={})
        await find_inner_store(built).write(InsertRow(old))

        health = await call(health_api.show_health, headers=build_sign_in_header("Anna"))
        environ.setattr(check_deployment, "_CHECKS", {"state": check_deployment._check_store})
        found = await check_deployment.check_deployment(built)

        assert health.status == 409
        text = "The store was written by an earlier version of the app (table flags)."
        assert health.document["detail"] == text
        assert "Delete the folder" in health.document["fix"]
        [state] = [one for one in found if one.code == "state"]
        assert (state.level, state.message) == ("problem", text)
        assert "Delete the folder" in state.fix


async def test_services_contain_each_kind_of_caller_and_firewall(
    environ: pytest.MonkeyPatch,
) -> None:
    """If a kind were missing, no search would find its callers or firewalls."""
    async with AsyncExitStack() as closing:
        built = build_services(read_settings(), closing)

        assert "flow" in built.callers
        assert "app_service" in built.firewalls
        assert set(built.callers) == {kind.kind for kind in find_kinds("shared.callers")}
        assert set(built.firewalls) == {kind.kind for kind in find_kinds("shared.firewalls")}


async def test_service_tags_are_read_from_the_file_of_the_setting(
    environ: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "ServiceTags_Public.json"
    entry = {"name": "LogicApps", "properties": {"addressPrefixes": ["20.2.0.0/24"]}}
    path.write_text(json.dumps({"changeNumber": 371, "values": [entry]}))
    environ.setenv("CMK_SERVICE_TAGS_FILE", str(path))

    async with AsyncExitStack() as closing:
        tags = await build_services(read_settings(), closing).service_tags.get_list()

    assert [tag.name for tag in tags] == ["LogicApps"]


async def test_fix_names_the_missing_setting_of_the_service_account(
    environ: pytest.MonkeyPatch,
) -> None:
    async with AsyncExitStack() as closing:
        built = build_services(read_settings(), closing)

        with pytest.raises(JobBlocked) as caught:
            await built.flow_access.read_account_id()

    assert "CMK_SERVICE_ACCOUNT_CLIENT_ID" in caught.value.fix


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CMK_TENANT_ID", None),
        ("CMK_SUBSCRIPTION_IDS", ""),
        ("CMK_FUNCTION_KEY_ROLES", "everybody"),
        ("CMK_ARCHIVE_KEY", ""),
        ("CMK_ARCHIVE_KEY", "abc"),
        ("ServiceBusConnection", ""),
        ("ServiceBusConnection", "abc"),
        ("CMK_SERVICE_ACCOUNT_TOKEN_CACHE_SECRET", ""),
    ],
)
async def test_doctor_of_an_app_that_cannot_start_names_the_setting(
    environ: pytest.MonkeyPatch, name: str, value: str | None
) -> None:
    environ.setenv("CMK_SERVICE_ACCOUNT_CLIENT_ID", "c")
    environ.setenv("CMK_SERVICE_ACCOUNT_TOKEN_CACHE_SECRET", "https://kv.vault.azure.net/secrets/s")
    environ.setenv("WEBSITE_AUTH_ENABLED", "True")
    if value is None:
        environ.delenv(name)
    else:
        environ.setenv(name, value)

    reader = build_sign_in_header("ada@contoso.example", [Role.READER])
    reply = await call(doctor_api.check_deployment, headers=reader)
    nobody = build_sign_in_header("bob@contoso.example", [])
    hidden = await call(doctor_api.check_deployment, headers=nobody)

    assert reply.status == hidden.status == 500
    assert reply.document["title"] == "Settings of the app are not valid"
    assert name in reply.document["detail"]
    assert name not in hidden.text


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CMK_BACKOFF_MAX_ATTEMPTS", "many"),
        ("CMK_TENANT_ID", None),
        ("CMK_NO_CALL_PERIOD", "-P7D"),
        ("CMK_NO_CALL_PERIOD", "7"),
        ("CMK_FLOW_SERVICE_REQUESTS_PER_MINUTE", "0"),
        ("CMK_FLOW_SERVICE_REQUESTS_PER_DAY", "0"),
    ],
)
def test_error_about_invalid_settings_contains_no_secret(
    environ: pytest.MonkeyPatch, name: str, value: str | None
) -> None:
    """The error is written to the log."""
    environ.setenv("ServiceBusConnection", f"{BUS}hunter2")
    environ.setenv("CMK_ARCHIVE_KEY", "hunter2")
    if value is None:
        environ.delenv(name)
    else:
        environ.setenv(name, value)

    with pytest.raises(ValueError, match=name.removeprefix("CMK_").lower()) as caught:
        read_settings()

    assert "hunter2" not in str(caught.value)


async def test_unusable_channel_setting_disables_only_its_channel(
    environ: pytest.MonkeyPatch,
) -> None:
    """If App Service cannot resolve a Key Vault reference, the setting contains the reference
    itself.
    """
    reference = "@Microsoft.KeyVault(SecretUri=https://v.vault.azure.net/secrets/webhook/)"
    for name in ("WEBHOOK", "WEBHOOK_SECRET", "TEAMS_WEBHOOK", "EVENT_GRID_TOPIC"):
        environ.setenv(f"CMK_{name}", reference)

    async with AsyncExitStack() as closing:
        built = build_services(read_settings(), closing)

    unusable = [one.name for one in built.channels if isinstance(one, UnusableChannel)]
    assert unusable == ["event_grid", "webhook", "teams"]
    assert [one.name for one in built.channels if one.name not in unusable] == ["log"]


def test_text_of_settings_contains_no_secret(environ: pytest.MonkeyPatch) -> None:
    """The settings may be logged as a whole."""
    environ.setenv("ServiceBusConnection", f"{BUS}hunter2")
    environ.setenv("CMK_ARCHIVE_KEY", "hunter2")

    assert "hunter2" not in repr(read_settings())


async def test_namespace_has_precedence_over_connection_string(
    environ: pytest.MonkeyPatch,
) -> None:
    environ.setenv("ServiceBusConnection__fullyQualifiedNamespace", "contoso.servicebus.example")

    async with AsyncExitStack() as closing:
        built: Any = build_services(read_settings(), closing)

        client = built.messages._client
        assert client.fully_qualified_namespace == "contoso.servicebus.example"


async def test_functions_of_a_process_share_one_set_of_services() -> None:
    scenario = Scenario()
    mine = scenario.services

    provide(mine)

    assert services() is mine
    assert await services().messages.count(POISON) == 0


async def test_full_comparison_has_its_own_limit_of_requests(
    environ: pytest.MonkeyPatch,
) -> None:
    environ.setenv("CMK_FLOW_SERVICE_REQUESTS_PER_MINUTE", "5")
    environ.setenv("CMK_FULL_COMPARISON_REQUESTS_PER_MINUTE", "2")
    async with AsyncExitStack() as closing:
        built: Any = build_services(read_settings(), closing)
        share = built.flow_pages._flow_service._service.budget
        whole = built.flow_reports._service._service.budget

        for _ in range(2):
            await share.take()
        with pytest.raises(ThrottledError):
            await share.take()
        for _ in range(3):
            await whole.take()
        with pytest.raises(ThrottledError):
            await whole.take()
