"""Build what all other services need: credentials, HTTP client, store, archive and bus."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from shared.errors import UnusableSetting
from shared.logs.fields import get_product_log
from shared.ports import NoTelemetry
from shared.settings import Settings

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential

    from shared.adapters.http.client import HttpClient
    from shared.adapters.state.request_budget import StoredRequestBudget
    from shared.adapters.state.store_clock import StoreClock
    from shared.ports import (
        Archive,
        Clock,
        MessageSender,
        Store,
        Telemetry,
    )
    from shared.state.circuit_breakers import CircuitBreakers

_log = get_product_log(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class CoreServices:
    """The services that all others are built from."""

    settings: Settings
    closing: AsyncExitStack
    credential: "AsyncTokenCredential"
    #: The store's time, for what all instances share: leases, budgets, dates in rows.
    clock: "Clock"
    store: "Store"
    circuits: "CircuitBreakers"
    http: "HttpClient"
    telemetry: "Telemetry" = field(default_factory=NoTelemetry)

    def build_budget(self, name: str, calls: int, **limits: int) -> "StoredRequestBudget":
        """Return this instance's part of a request budget that all instances share.

        `calls` is the number of requests per minute. `limits` are options of `BudgetLimit`.
        """
        from shared.adapters.state.request_budget import StoredRequestBudget
        from shared.adapters.state.request_ledger import BudgetLimit

        window = timedelta(minutes=1)
        limit = BudgetLimit(name=name, calls=calls, window=window, **limits)
        return StoredRequestBudget(self.store, self.clock, limit)


def build_core_services(settings: Settings, closing: AsyncExitStack) -> CoreServices:
    """Build the core services from the settings.

    Raises `UnusableSetting` if no subscription is set.
    """
    from shared.adapters.entra.identity import build_application_credential
    from shared.adapters.http.client import HttpClient, build_default_transport
    from shared.adapters.state.store_clock import StoreClock
    from shared.adapters.system_clock import SystemClock
    from shared.state.circuit_breakers import CircuitBreakers
    from shared.state.tables import Tables

    if not settings.subscription_ids:
        raise _build_missing_setting("CMK_SUBSCRIPTION_IDS")
    credential = build_application_credential(settings.client_id)
    closing.push_async_callback(credential.close)
    # SQLite has no clock, so the machine's clock is used.
    clock = StoreClock(SystemClock())
    store = _build_store(settings, credential, closing, clock)
    circuits = CircuitBreakers(Tables(store), clock, settings)
    telemetry = build_telemetry(settings, closing)
    http = HttpClient(build_default_transport(), circuits, telemetry)
    closing.push_async_callback(http.close)
    return CoreServices(
        settings=settings,
        closing=closing,
        credential=credential,
        clock=clock,
        store=store,
        circuits=circuits,
        http=http,
        telemetry=telemetry,
    )


def build_telemetry(settings: Settings, closing: AsyncExitStack) -> "Telemetry":
    """Return telemetry. It is off if no destination is set, or if it cannot be built."""
    if not (settings.insights_connection or settings.otlp_endpoint):
        return NoTelemetry()
    try:
        from shared.adapters.telemetry.exporters import build_telemetry as build

        telemetry = build(settings)
    except Exception as err:  # noqa: BLE001 -- the work must not depend on telemetry
        _log.warning("telemetry is off", extra={"text": err})
        return NoTelemetry()
    closing.push_async_callback(asyncio.to_thread, telemetry.close)
    return telemetry


def _build_store(
    settings: Settings,
    credential: "AsyncTokenCredential",
    closing: AsyncExitStack,
    clock: "StoreClock",
) -> "Store":
    from shared.adapters.state.versioned_store import VersionedStore
    from shared.state.tables import Tables

    if settings.storage_account:
        from shared.adapters.state.table_store import TableStore, build_table_service

        account = build_table_service(
            settings.storage_account,
            settings.cloud.storage_domain,
            credential,
            clock.note_time,
        )
        tables = TableStore(account)
        closing.push_async_callback(tables.close)
        names = [table.name for table in Tables(tables)]
        remedy = (
            f"Delete every table of the storage account {settings.storage_account} and purge the "
            "queues key-events, policy-events, environment-jobs and flow-jobs, or set "
            "CMK_STORAGE_ACCOUNT to a new account."
        )
        return VersionedStore(tables, names, remedy)
    from shared.adapters.state.sqlite_store import SqliteStore

    file = SqliteStore(settings.state_folder / "state.db")
    closing.push_async_callback(file.close)
    remedy = (
        f"Delete the folder {settings.state_folder} and restart the queues, or set "
        "CMK_STATE_FOLDER to a new folder."
    )
    return VersionedStore(file, [table.name for table in Tables(file)], remedy)


def build_archive(ground: CoreServices) -> "Archive":
    """Return the archive: blobs in a storage account, or encrypted files in a folder."""
    settings = ground.settings
    if settings.storage_account:
        from shared.adapters.archive.blob import BlobArchive, build_blob_container

        container = build_blob_container(
            settings.storage_account, settings.cloud.storage_domain, ground.credential
        )
        blobs = BlobArchive(container, ground.circuits)
        ground.closing.push_async_callback(blobs.close)
        return blobs
    from shared.adapters.archive.folder import FolderArchive

    if not settings.archive_key:
        raise _build_missing_setting("CMK_STORAGE_ACCOUNT (or CMK_ARCHIVE_KEY)")
    try:
        return FolderArchive(settings.state_folder / "archive", settings.archive_key)
    except ValueError as err:
        raise _build_malformed_setting("CMK_ARCHIVE_KEY") from err


def build_message_sender(ground: CoreServices) -> "MessageSender":
    from shared.adapters.service_bus import (
        ServiceBusMessages,
        build_client_by_connection_string,
        build_client_by_identity,
    )

    settings = ground.settings
    if settings.service_bus_namespace:
        client = build_client_by_identity(settings.service_bus_namespace, ground.credential)
    elif settings.service_bus_connection:
        try:
            client = build_client_by_connection_string(settings.service_bus_connection)
        except ValueError as err:
            raise _build_malformed_setting("ServiceBusConnection") from err
    else:
        raise _build_missing_setting("ServiceBusConnection__fullyQualifiedNamespace")
    messages = ServiceBusMessages(client, ground.telemetry)
    ground.closing.push_async_callback(messages.close)
    return messages


def _build_missing_setting(name: str) -> UnusableSetting:
    return UnusableSetting(f"{name} is not set.", fix="Deploy again (azd up), which sets it.")


def _build_malformed_setting(name: str) -> UnusableSetting:
    return UnusableSetting(f"{name} is malformed.", fix="Correct it (docs/settings.md).")
