"""The only place that knows concrete classes: which adapter stands for which port.

Adapters are imported when they are built, not with this module: a start of the app that only
indexes its functions does not pay for the SDKs.
"""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from shared.services import AssessmentPorts, Services
from shared.settings import Settings

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential

    from shared.adapters.http.client import HttpClient
    from shared.adapters.state.call_budget import CallBudget
    from shared.circuits import Circuits
    from shared.ports import (
        AppSettings,
        Archive,
        CanvasApps,
        Clock,
        Environments,
        EnvironmentVariables,
        FlowAccess,
        FlowPages,
        Messages,
        Secrets,
        Store,
        Workflows,
    )

#: Of each event loop its own, since connections belong to a loop. An app has one loop.
_by_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, Services] = WeakKeyDictionary()
#: A loop holds its tasks weakly.
_closers: set[asyncio.Task[None]] = set()


def services() -> Services:
    """Return the services of the running loop, built from the environment at the first call."""
    loop = asyncio.get_running_loop()
    if loop not in _by_loop:
        closing = AsyncExitStack()
        _by_loop[loop] = build_services(Settings(), closing)
        closer = loop.create_task(_close_with_loop(closing), name="close services")
        _closers.add(closer)
        closer.add_done_callback(_closers.discard)
    return _by_loop[loop]


async def _close_with_loop(closing: AsyncExitStack) -> None:
    """Close what was opened when the loop ends.

    The worker has no hook for its end, but its loop is run by `asyncio.run`, which cancels every
    task and waits for it. A process that is killed closes nothing, and nothing depends on it.
    """
    try:
        await asyncio.get_running_loop().create_future()
    finally:
        await closing.aclose()


def provide(those: Services) -> None:
    """Make `services()` return `those` in the running loop."""
    _by_loop[asyncio.get_running_loop()] = those


def build_services(settings: Settings, closing: AsyncExitStack) -> Services:
    """Return the services that the settings describe; nothing is called yet.

    What holds connections or files is pushed on `closing`. Raises `ValueError` for settings that
    cannot work.
    """
    from shared.adapters.azure.key_vault_keys import VaultKeys
    from shared.adapters.azure.service_tags import DiscoveredServiceTags
    from shared.adapters.dataverse.connection_references import DataverseConnectionReferences
    from shared.adapters.dataverse.principals import DataversePrincipals
    from shared.adapters.dataverse.sharing import DataverseSharing
    from shared.adapters.dataverse.solutions import DataverseSolutions
    from shared.adapters.flow_service.flows import FlowServiceReports, FlowServiceSwitch
    from shared.adapters.flow_service.placement import FlowServicePlacement
    from shared.adapters.log_notices import LogNotices
    from shared.callers import caller_kinds
    from shared.firewalls import firewall_kinds
    from shared.rows import Tables

    ground = _ground(settings, closing)
    outside = _Outside(ground)
    return Services(
        settings=settings,
        clock=ground.clock,
        tables=Tables(ground.store),
        archive=_archive(ground),
        messages=_messages(ground),
        notices=LogNotices(),
        environments=outside.environments,
        flow_reports=FlowServiceReports(ground.http, outside.flow_service),
        flow_pages=outside.flow_pages(),
        flow_access=outside.flow_access(),
        flow_switch=FlowServiceSwitch(ground.http, outside.flow_service),
        flow_placement=FlowServicePlacement(ground.http, outside.flow_service),
        workflows=outside.workflows,
        connection_references=DataverseConnectionReferences(outside.dataverse),
        flow_sharing=DataverseSharing(outside.dataverse),
        principals=DataversePrincipals(outside.dataverse),
        solutions=DataverseSolutions(outside.dataverse),
        keys=VaultKeys(outside.vaults, outside.resources),
        service_tags=DiscoveredServiceTags(
            ground.http, outside.resource_manager, settings.subscription_ids[0]
        ),
        callers=caller_kinds(outside, settings),
        firewalls=firewall_kinds(outside, settings),
        assessment=outside.assessment_ports(),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ground:
    """What everything else stands on."""

    settings: Settings
    closing: AsyncExitStack
    credential: "AsyncTokenCredential"
    clock: "Clock"
    store: "Store"
    circuits: "Circuits"
    http: "HttpClient"

    def budget(self, name: str, calls_per_minute: int) -> "CallBudget":
        """Return this instance's share of a budget that all instances keep together."""
        from shared.adapters.state.call_budget import BudgetLimit, CallBudget

        limit = BudgetLimit(name=name, calls=calls_per_minute, window=timedelta(minutes=1))
        return CallBudget(self.store, self.clock, limit)


def _ground(settings: Settings, closing: AsyncExitStack) -> _Ground:
    from shared.adapters.entra.identity import application_credential
    from shared.adapters.http.client import HttpClient, default_transport
    from shared.adapters.system_clock import SystemClock
    from shared.circuits import Circuits
    from shared.rows import Tables

    if not settings.subscription_ids:
        raise ValueError("CMK_SUBSCRIPTION_IDS has to name the subscription of the policies")
    credential = application_credential(settings.client_id)
    closing.push_async_callback(credential.close)
    clock, store = SystemClock(), _store(settings, credential, closing)
    circuits = Circuits(Tables(store), clock, settings)
    http = HttpClient(default_transport(), circuits)
    closing.push_async_callback(http.close)
    return _Ground(
        settings=settings,
        closing=closing,
        credential=credential,
        clock=clock,
        store=store,
        circuits=circuits,
        http=http,
    )


def _store(
    settings: Settings, credential: "AsyncTokenCredential", closing: AsyncExitStack
) -> "Store":
    if settings.storage_account:
        from shared.adapters.state.table_store import TableStore, tables_of_account

        tables = TableStore(tables_of_account(settings.storage_account, credential))
        closing.push_async_callback(tables.close)
        return tables
    from shared.adapters.state.sqlite_store import SqliteStore

    file = SqliteStore(settings.state_folder / "state.db")
    closing.push_async_callback(file.close)
    return file


def _archive(ground: _Ground) -> "Archive":
    settings = ground.settings
    if settings.storage_account:
        from shared.adapters.archive.blob import BlobArchive, blob_container

        container = blob_container(settings.storage_account, ground.credential)
        blobs = BlobArchive(container, ground.circuits)
        ground.closing.push_async_callback(blobs.close)
        return blobs
    from shared.adapters.archive.folder import FolderArchive

    if not settings.archive_key:
        raise ValueError("CMK_ARCHIVE_KEY is needed where CMK_STORAGE_ACCOUNT is not set")
    return FolderArchive(settings.state_folder / "archive", settings.archive_key)


def _messages(ground: _Ground) -> "Messages":
    from shared.adapters.bus.service_bus import (
        ServiceBusMessages,
        client_by_connection_string,
        client_by_identity,
    )

    settings = ground.settings
    if settings.service_bus_namespace:
        client = client_by_identity(settings.service_bus_namespace, ground.credential)
    elif settings.service_bus_connection:
        client = client_by_connection_string(settings.service_bus_connection)
    else:
        raise ValueError("ServiceBusConnection (or its __fullyQualifiedNamespace) is not set")
    messages = ServiceBusMessages(client)
    ground.closing.push_async_callback(messages.close)
    return messages


class _Outside:
    """The services of Microsoft that the adapters share, each with its audience and its budget."""

    def __init__(self, ground: _Ground) -> None:
        from shared.adapters.azure import key_vault
        from shared.adapters.azure import resource_manager as arm
        from shared.adapters.dataverse.web_api import Dataverse
        from shared.adapters.flow_service import flows as flow_service
        from shared.adapters.http.client import Service
        from shared.adapters.power_platform import admin as power_platform_admin

        settings = ground.settings
        self._ground = ground
        self._flow_budget = ground.budget("flow-service", settings.flow_service_calls_per_minute)
        self.flow_service = Service(
            name="Flow service",
            scope=flow_service.SCOPE,
            credential=ground.credential,
            budget=self._flow_budget,
        )
        self.resource_manager = Service(
            name="Azure Resource Manager",
            scope=arm.SCOPE,
            credential=ground.credential,
            budget=ground.budget("resource-manager", settings.resource_manager_calls_per_minute),
        )
        self.power_platform = Service(
            name="Power Platform admin API",
            scope=power_platform_admin.SCOPE,
            credential=ground.credential,
        )
        vaults = Service(name="Key Vault", scope=key_vault.SCOPE, credential=ground.credential)
        self.vaults = key_vault.VaultContents(ground.http, vaults)
        self.dataverse = Dataverse(ground.http, ground.credential, self._dataverse_budget)
        self.resources = arm.ResourceManager(
            ground.http, self.resource_manager, settings.subscription_ids
        )

    def assessment_ports(self) -> AssessmentPorts:
        """Return what only an assessment asks."""
        from shared.adapters.dataverse.machine_groups import DataverseMachineGroups
        from shared.adapters.dataverse.organization import DataverseOrganization
        from shared.adapters.power_apps.connections import PowerAppsConnections

        http = self._ground.http
        return AssessmentPorts(
            connections=PowerAppsConnections(http, self.power_platform),
            canvas_apps=self.canvas_apps,
            machine_groups=DataverseMachineGroups(self.dataverse),
            organization=DataverseOrganization(self.dataverse),
        )

    def flow_pages(self) -> "FlowPages":
        """Return the lists of flows by pages; those of the flow service have a small budget."""
        from shared.adapters.flow_service.pages import OwnShare, ServiceFlowPages

        ground, whole = self._ground, self.flow_service
        calls = ground.settings.reconciliation_calls_per_minute
        share = OwnShare(ground.budget("reconciliation", calls), self._flow_budget)
        listing = replace(whole, budget=share)
        return ServiceFlowPages(ground.http, self.dataverse, listing)

    @cached_property
    def environments(self) -> "Environments":
        from shared.adapters.power_platform.admin import PowerPlatformAdmin

        return PowerPlatformAdmin(self._ground.http, self.power_platform)

    @cached_property
    def workflows(self) -> "Workflows":
        from shared.adapters.dataverse.workflows import DataverseWorkflows

        return DataverseWorkflows(self.dataverse)

    @cached_property
    def environment_variables(self) -> "EnvironmentVariables":
        from shared.adapters.dataverse.environment_variables import DataverseEnvironmentVariables

        return DataverseEnvironmentVariables(self.dataverse)

    @cached_property
    def app_settings(self) -> "AppSettings":
        from shared.adapters.azure.app_settings import SiteAppSettings

        return SiteAppSettings(self.resources)

    @cached_property
    def secrets(self) -> "Secrets":
        from shared.adapters.azure.key_vault_secrets import VaultSecrets

        return VaultSecrets(self.vaults, self.resources)

    @cached_property
    def canvas_apps(self) -> "CanvasApps":
        from shared.adapters.power_apps.canvas_apps import PowerAppsCanvasApps

        return PowerAppsCanvasApps(self._ground.http, self.power_platform)

    def flow_access(self) -> "FlowAccess":
        """Return the access to flows: the application's, and the operator's if there is one."""
        from shared.adapters.entra.identity import OperatorCredential, OperatorSettings
        from shared.adapters.entra.no_operator import NoOperator
        from shared.adapters.flow_service.access import FlowServiceAccess

        settings = self._ground.settings
        operator: OperatorCredential | NoOperator = NoOperator()
        if settings.operator_client_id:
            chosen = OperatorSettings(
                tenant_id=settings.tenant_id,
                client_id=settings.operator_client_id,
                cache_secret=settings.operator_token_cache_secret,
            )
            operator = OperatorCredential(chosen, self.secrets)
        as_operator = replace(self.flow_service, credential=operator)
        return FlowServiceAccess(self._ground.http, self.flow_service, as_operator, operator)

    def _dataverse_budget(self, url: str) -> "CallBudget":
        host = urlsplit(url).hostname or url
        return self._ground.budget(host, self._ground.settings.dataverse_calls_per_minute)
