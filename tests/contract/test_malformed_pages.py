"""Test that every read of a list raises `ServiceUnavailable` for a malformed page.

A read never returns a part of a list, and sends no token to another host that a page names.
"""

import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from shared.adapters.azure.resource_manager import ResourceManager
from shared.adapters.http.client import HttpClient, HttpService, ServiceRequest, ServiceResponse
from shared.callers.dataverse_webhook import DataverseWebhookCallers
from shared.domain.environment import Environment
from shared.errors import CmkflowError, PlatformError, ServiceUnavailable
from shared.ports import ResultPage
from shared.steps.flows.discovery_pages import has_cursor_expired
from tests.contract.adapter_world import SITE_ID, VAULT_URL, Adapters
from tests.local_cloud.tenant.tenant_world import ENVIRONMENT, HTTP_FLOW

ADAPTERS = Path(__file__).parents[2] / "shared" / "adapters"
#: A call of a function that reads a list by pages.
PAGED = re.compile(
    r"(_http|http|service|_service|_contents|_application)\.(read_items|read_page)\("
    r"|_dataverse\.(read_rows|read_page|read_rows_of_all_queries|read_rows_or_errors)\(|read_page_at\("
)
#: Modules that pass pages on; the reads of others go through them.
CLIENTS = {
    "http/client.py",
    "dataverse/web_api.py",
    "flow_service/service.py",
    "azure/key_vault.py",
}
[WEBHOOKS] = DataverseWebhookCallers.columns
SITES = "Microsoft.Web/sites"
SITES_VERSION = "2024-04-01"
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
FOREIGN = "https://attacker.example/next"

type Read = Callable[[Adapters], Awaitable[object]]


async def read_all[T](items: AsyncIterator[T]) -> list[T]:
    return [item async for item in items]


def get_page_reader(app: Adapters) -> ResourceManager:
    assert isinstance(app.resource_writer, ResourceManager)
    return app.resource_writer


def build_environment_read(read: Callable[[Adapters, Environment], Awaitable[object]]) -> Read:
    async def read_there(app: Adapters) -> object:
        return await read(app, await app.read_environment())

    return read_there


async def read_summaries(app: Adapters, environment: Environment) -> object:
    """Read the summary of a flow. Raises the error if the result contains one instead."""
    (found,) = (await app.workflows.read_summaries(environment, [HTTP_FLOW])).values()
    if isinstance(found, CmkflowError):
        raise found
    return found


#: Reads that return a whole list, by their module.
LISTS: dict[str, list[Read]] = {
    "azure/app_configuration.py": [
        lambda app: app.app_configuration.list("https://contoso.azconfig.io")
    ],
    "azure/key_vault_secrets.py": [
        lambda app: read_all(app.secrets.list(VAULT_URL)),
        lambda app: app.secrets.read_values_since(VAULT_URL, "orders-url", LONG_AGO),
    ],
    "azure/resource_manager.py": [
        lambda app: app.resources.list(SITES, SITES_VERSION),
        lambda app: app.app_settings.read_sites(),
    ],
    "azure/synapse.py": [lambda app: app.synapse_artifacts.list("contoso", "pipelines")],
    "azure/service_tags.py": [lambda app: app.service_tags.get_list()],
    "dataverse/connection_references.py": [
        build_environment_read(
            lambda app, env: app.connection_references.find_by_connection(env, ["office-maker"])
        ),
    ],
    "dataverse/environment_variables.py": [
        build_environment_read(lambda app, env: app.environment_variables.list(env)),
    ],
    "dataverse/machine_groups.py": [
        build_environment_read(lambda app, env: app.machine_groups.read_hosted_groups(env)),
    ],
    "dataverse/organization.py": [
        build_environment_read(lambda app, env: app.organization.read_solution_setting(env)),
        build_environment_read(lambda app, env: app.organization.read_names(env, [HTTP_FLOW])),
    ],
    "dataverse/principals.py": [
        build_environment_read(lambda app, env: app.principals.read_users(env, [HTTP_FLOW])),
        build_environment_read(lambda app, env: app.principals.read_teams(env, [HTTP_FLOW])),
    ],
    "dataverse/solutions.py": [
        build_environment_read(lambda app, env: app.solutions.read_solution_ids(env, [HTTP_FLOW])),
        build_environment_read(lambda app, env: app.solutions.get(env, [HTTP_FLOW])),
    ],
    "dataverse/text_rows.py": [
        build_environment_read(lambda app, env: app.text_rows.list(env, WEBHOOKS)),
    ],
    "dataverse/workflows.py": [
        build_environment_read(lambda app, env: read_all(app.workflows.list(env))),
        build_environment_read(read_summaries),
    ],
    "flow_service/access.py": [
        lambda app: app.flow_access.read_permissions(ENVIRONMENT, HTTP_FLOW)
    ],
    "flow_service/flows.py": [
        lambda app: app.flow_reports.list_flows(ENVIRONMENT),
        lambda app: app.flow_reports.read_runs(ENVIRONMENT, HTTP_FLOW, since=LONG_AGO),
        lambda app: read_all(
            app.flow_reports.read_calls(ENVIRONMENT, HTTP_FLOW, since=LONG_AGO, limit=1)
        ),
    ],
    "flow_service/pages.py": [
        build_environment_read(
            lambda app, env: app.flow_pages.read_workflows_by_id(env, [HTTP_FLOW])
        ),
    ],
    "power_apps/canvas_apps.py": [lambda app: app.canvas_apps.list_with_flows(ENVIRONMENT)],
    "power_apps/connections.py": [
        lambda app: app.connections.list(ENVIRONMENT),
        lambda app: app.connections.read_errors(ENVIRONMENT),
    ],
    "power_platform.py": [lambda app: app.environments.list()],
}


async def read_workflows(app: Adapters, cursor: str) -> ResultPage[Any]:
    return await app.flow_pages.read_workflows(await app.read_environment(), cursor)


async def read_workflow_summaries(app: Adapters, cursor: str) -> ResultPage[Any]:
    return await app.flow_pages.read_workflow_summaries(await app.read_environment(), cursor)


#: Reads of one page, whose cursor is stored, by their module. They take the cursor.
PAGES: dict[str, list[Callable[[Adapters, str], Awaitable[ResultPage[Any]]]]] = {
    "azure/resource_manager.py": [
        lambda app, cursor: get_page_reader(app).list_page(
            SITES, SITES_VERSION, f"0 {cursor}" if cursor else ""
        ),
        lambda app, cursor: get_page_reader(app).read_children_page(
            SITE_ID, "slots", SITES_VERSION, cursor
        ),
    ],
    "flow_service/flows.py": [
        lambda app, cursor: app.flow_reports.read_microsoft_key_flows(
            ENVIRONMENT, cursor, cannot_migrate_only=True
        ),
        lambda app, cursor: app.flow_reports.read_run_page(
            ENVIRONMENT, HTTP_FLOW, cursor, since=LONG_AGO, until=datetime.now(UTC)
        ),
    ],
    "flow_service/pages.py": [
        lambda app, cursor: app.flow_pages.read_flows(ENVIRONMENT, cursor),
        read_workflows,
        read_workflow_summaries,
    ],
    "power_apps/canvas_apps.py": [
        lambda app, cursor: app.canvas_apps.read_page(ENVIRONMENT, cursor)
    ],
    "power_apps/connections.py": [
        lambda app, cursor: app.connections.read_page(ENVIRONMENT, cursor)
    ],
}


def build_first_page_read(read: Callable[[Adapters, str], Awaitable[object]]) -> Read:
    return lambda app: read(app, "")


def build_named_reads[T](reads: dict[str, list[T]]) -> list[tuple[str, T]]:
    return [(f"{name} {n}", read) for name, rows in reads.items() for n, read in enumerate(rows)]


def list_all_reads() -> list[tuple[str, Read]]:
    return build_named_reads(LISTS) + [
        (name, build_first_page_read(read)) for name, read in build_named_reads(PAGES)
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    document: dict[str, Any]
    #: The member with the items, and the one with the URL of the next page.
    member: str
    link: str
    url: str

    def with_next(self, url: str) -> dict[str, Any]:
        return self.document | {self.link: url}


@dataclass(slots=True)
class Damage:
    """Damages the first page of every list, and answers the requests for next pages."""

    change: Callable[[Page], object]
    hits: int = 0
    hosts: list[str] = field(default_factory=list)
    _page: Page | None = None

    @property
    def has_left_host(self) -> bool:
        return "attacker.example" in self.hosts

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        send = HttpClient.send

        async def read_damaged_page(
            http: HttpClient, service: HttpService, call: ServiceRequest
        ) -> ServiceResponse:
            self.hosts.append(call.url.split("/")[2])
            if "next=" in call.url and self._page:
                return self._build_response(replace(self._page, url=call.url))
            answer = await send(http, service, call)
            page = _parse_page(call.url, answer.body)
            if page is None:
                return answer
            self._page = page
            return self._build_response(page)

        monkeypatch.setattr(HttpClient, "send", read_damaged_page)

    def _build_response(self, page: Page) -> ServiceResponse:
        self.hits += 1
        assert self.hits < 50, "the list never ends"
        body = self.change(page)
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return ServiceResponse(status=200, headers={}, body=content)


def _parse_page(url: str, body: bytes) -> Page | None:
    try:
        document = json.loads(body)
    except ValueError:
        return None
    for member in ("value", "values", "items"):
        if isinstance(document, dict) and isinstance(document.get(member), list):
            links = {"dynamics.com": "@odata.nextLink", "azconfig.io": "@nextLink"}
            link = next((name for host, name in links.items() if f".{host}/" in url), "nextLink")
            return Page(document=document, member=member, link=link, url=url)
    return None


def _repeat_pages(page: Page) -> object:
    start, _, number = page.url.partition("?next=")
    following = {"1": "2", "2": "1"}.get(number, "1")
    return page.with_next(f"{start.partition('?')[0]}?next={following}")


MALFORMED: dict[str, Callable[[Page], object]] = {
    "no JSON": lambda _: b"<html>",
    "no object": lambda _: [1],
    "no list": lambda page: page.document | {page.member: {}},
    "the list is missing": lambda _: {"count": 1},
    "a foreign host": lambda page: page.with_next(FOREIGN),
    "no HTTPS": lambda page: page.with_next(page.url.replace("https:", "http:")),
    "the same page": lambda page: page.with_next(page.url),
}


def test_every_module_that_reads_pages_is_listed() -> None:
    found = {
        str(file.relative_to(ADAPTERS))
        for file in ADAPTERS.rglob("*.py")
        if PAGED.search(file.read_text(encoding="utf-8"))
    }

    assert found - CLIENTS == LISTS.keys() | PAGES.keys()


async def test_malformed_page_raises_an_error(
    app: Adapters, monkeypatch: pytest.MonkeyPatch
) -> None:
    await app.read_environment()
    wrong = []
    for name, read in list_all_reads():
        for how, change in MALFORMED.items():
            with monkeypatch.context() as patch:
                damage = Damage(change)
                damage.install(patch)
                answer = await try_read(read(app))
                if answer is not None or not damage.hits or damage.has_left_host:
                    wrong.append((name, how, answer, damage.hits))

    assert wrong == []


async def try_read(reading: Awaitable[object]) -> object:
    """Return the result or error of a read, or None if the service was unavailable."""
    try:
        return await reading
    except ServiceUnavailable:
        return None
    except CmkflowError as err:
        return err


async def test_list_with_repeated_pages_raises_an_error(
    app: Adapters, monkeypatch: pytest.MonkeyPatch
) -> None:
    await app.read_environment()
    wrong = []
    for name, read in build_named_reads(LISTS):
        with monkeypatch.context() as patch:
            damage = Damage(_repeat_pages)
            damage.install(patch)
            answer = await try_read(read(app))
            # A read that needs the first row only asks for no other page.
            if damage.hits != 1 and (answer is not None or damage.hits != 3):
                wrong.append((name, answer, damage.hits))

    assert wrong == []


async def test_stored_cursor_to_another_host_is_not_followed(
    app: Adapters, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody may change a stored cursor. The request would contain the access token."""
    await app.read_environment()
    damage = Damage(lambda page: page.document)
    damage.install(monkeypatch)

    for name, read in build_named_reads(PAGES):
        assert await try_read(read(app, FOREIGN)) is None, name

    assert not damage.has_left_host


async def test_page_with_only_earlier_runs_is_an_expired_cursor(
    app: Adapters, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = datetime.now(UTC)
    read = partial(app.flow_reports.read_run_page, ENVIRONMENT, HTTP_FLOW, since=LONG_AGO)
    first = await read(until=now)
    damage = Damage(_repeat_pages)
    damage.install(monkeypatch)
    cursor = (await read(until=now)).cursor

    with pytest.raises(PlatformError) as raised:
        await read(cursor, until=min(run.started_at for run in first.items) - timedelta(hours=1))

    assert has_cursor_expired(cursor, raised.value)
