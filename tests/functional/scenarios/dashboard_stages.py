"""Every page of the dashboard and every HTML report, at each stage of a remediation.

Each stage shows every route of the dashboard, so that it includes a new page without a change here.
"""

import io
import json
import zipfile
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import azure.functions as func

from cmkflow.assessment_page import page_of
from functions.endpoints import HTML, answer_request, find_endpoint
from functions.forms import FORM
from functions.routes import LISTED, ROUTES, UNKNOWN_PAGE, Method, Route
from shared.bootstrap import provide
from shared.domain.principal import Role
from shared.use_cases.poll_environments import poll_environments
from shared.use_cases.read_remediation_rows import find
from shared.use_cases.run_daily_check import run_daily_check
from shared.use_cases.show_remediation import show_plan
from tests.functional.scenarios.app_calls import signed_in
from tests.functional.scenarios.operations_tenant import (
    allow_new_ranges,
    build_operations,
    point_apps_at_copies,
)
from tests.functional.scenarios.remediation_scenario import Scenario

_BROWSER = {"Accept": "text/html", "Sec-Fetch-Site": "same-origin"}
OPERATOR = signed_in("megan@contoso.example") | _BROWSER
APPROVER = signed_in("lee@contoso.example") | _BROWSER
READER = signed_in("isaiah@contoso.example", [Role.READER]) | _BROWSER
NOBODY = signed_in("nora@contoso.example", []) | _BROWSER
_NOTHING: Mapping[str, str] = {}
#: Routes of pages, with the one of unknown pages.
PAGE_ROUTES = [
    route
    for route in (*LISTED, UNKNOWN_PAGE)
    if route.path.startswith("dashboard") and find_endpoint(route).media_types[0] == HTML
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownPage:
    """A page as the app answered it."""

    #: The page and its state, as the name of a picture.
    name: str
    #: Path and query.
    path: str
    status: int
    headers: Mapping[str, str]
    text: str


@dataclass(slots=True)
class _Visitor:
    """Sends requests to the app of a scenario, and keeps the pages of a stage."""

    scenario: Scenario
    #: A flow that is blocked later.
    flow_id: str = ""
    pages: list[ShownPage] = field(default_factory=list)

    async def send(
        self,
        route: Route,
        body: bytes = b"",
        *,
        headers: Mapping[str, str] = OPERATOR,
        query: Mapping[str, str] = _NOTHING,
        params: Mapping[str, str] = _NOTHING,
    ) -> func.HttpResponse:
        """Send a request for a route."""
        provide(self.scenario.services)
        path = route.path.replace("{*path}", "nowhere").format(**params)
        request = func.HttpRequest(
            route.method,
            f"https://app.example/api/{path}",
            headers=dict(headers),
            params=dict(query),
            route_params=dict(params),
            body=body,
        )
        return await answer_request(route, request)

    async def ask(
        self,
        method: Method,
        path: str,
        body: object = None,
        *,
        headers: Mapping[str, str] = OPERATOR,
        **params: str,
    ) -> func.HttpResponse:
        """Send a request of the API, which has to succeed."""
        json_headers = {**headers, "Accept": "*/*"}
        content = b"" if body is None else json.dumps(body).encode()
        reply = await self.send(ROUTES[method, path], content, headers=json_headers, params=params)
        assert reply.status_code < 300, reply.get_body()
        return reply

    async def start_again(self) -> None:
        """Start another remediation of Operations, and let it run until its plan is complete."""
        scenario = self.scenario
        body = {"mode": "apply", "environment_ids": [scenario.build.environment.id]}
        headers = OPERATOR | {"Idempotency-Key": "second"}
        reply = await self.ask("POST", "remediations", body, headers=headers)
        started = json.loads(reply.get_body())["id"]
        scenario.remediation = await find(scenario.services, started)
        await scenario.run(timedelta(minutes=30))

    async def show(
        self,
        name: str,
        route: Route | str,
        query: Mapping[str, str] = _NOTHING,
        *,
        headers: Mapping[str, str] = APPROVER,
    ) -> None:
        """Keep a page; its route can be given as a path below the dashboard's."""
        if isinstance(route, str):
            route = ROUTES["GET", f"dashboard{route}"]
        params = {"flow": self.flow_id, "id": self.identity if self.flow_id else ""}
        named = {one: value for one, value in params.items() if f"{{{one}}}" in route.path}
        reply = await self.send(route, headers=headers, query=query, params=named)
        path = f"{route.path.format_map({**named, '*path': 'nowhere'})}?{urlencode(query)}"
        self.keep(name, f"/api/{path}", reply)

    def keep(self, name: str, path: str, reply: func.HttpResponse) -> None:
        """Keep a page of these stages."""
        text = reply.get_body().decode()
        status, headers = reply.status_code, dict(reply.headers)
        self.pages.append(
            ShownPage(name=name, path=path, status=status, headers=headers, text=text)
        )

    def keep_report(self, name: str, text: str) -> None:
        """Keep a report, which is a file and not a page of the app."""
        path = f"/reports/{name}"
        self.pages.append(ShownPage(name=name, path=path, status=200, headers={}, text=text))

    async def show_every_route(self, stage: str) -> None:
        """Keep every page of the dashboard as it is now."""
        for route in PAGE_ROUTES:
            page = route.name.removeprefix("show_").removesuffix("_page")
            await self.show(f"{page}-{stage}", route)
            assert self.pages[-1].status == (404 if route is UNKNOWN_PAGE else 200), route

    @property
    def identity(self) -> str:
        """The remediation's id."""
        return self.scenario.remediation.id

    def take_pages(self) -> Sequence[ShownPage]:
        """Return the pages of the stage that ends now."""
        taken, self.pages = self.pages, []
        return taken


async def visit_stages(flow_count: int) -> AsyncIterator[Sequence[ShownPage]]:
    """Yield the pages of each stage of a remediation of that many flows."""
    scenario = await build_operations(flow_count)
    visitor = _Visitor(scenario)
    await visitor.show("status-new", "")
    await visitor.show("environments-new", "/environments", {"all_environments": "true"})
    await visitor.show("remediations-new", "/remediations")
    await visitor.show("forbidden", "", headers=NOBODY)
    yield visitor.take_pages()
    for stage in (_await_approval, _block_flows, _stop_changes, _complete, _report, _read_only):
        await stage(visitor)
        yield visitor.take_pages()
    yield await _migrate_everything()


async def _await_approval(visitor: _Visitor) -> None:
    """The plan awaits approval."""
    scenario = visitor.scenario
    await visitor.ask(
        "PUT",
        "environments/{id}",
        {"approval_policy": "required", "max_flows": 10_000},
        headers=APPROVER,
        id=scenario.build.environment.id,
    )
    scenario.build.link()
    await poll_environments(scenario.services)
    await scenario.run(timedelta(minutes=30))
    [scenario.remediation] = await scenario.services.tables.remediations.all("remediation")
    visitor.flow_id = (await scenario.plan())["Post to ERP"].workflow_id
    await visitor.show_every_route("awaiting")
    await visitor.show("plan-for-reader", "/remediations/{id}/plan", headers=READER)
    await visitor.show("plan-found", "/remediations/{id}/plan", {"search": "read"})
    await visitor.show("plan-exported", "/remediations/{id}/plan", {"export": "true"})
    route = ROUTES["POST", "remediations/{id}/cancel"]
    expired = {**_BROWSER, "Content-Type": FORM, "Referer": "https://app.example/api/dashboard"}
    params = {"id": visitor.identity}
    reply = await visitor.send(route, b"accept_replay=true", headers=expired, params=params)
    visitor.keep("session", f"/api/remediations/{visitor.identity}/cancel", reply)


async def _block_flows(visitor: _Visitor) -> None:
    """Firewalls and an app block some flows; the others wait or are migrated."""
    scenario = visitor.scenario
    plans = await show_plan(scenario.services, visitor.identity)
    await visitor.ask(
        "POST",
        "remediations/{id}/approve",
        {"versions": [plan.version for plan in plans]},
        headers=APPROVER,
        id=visitor.identity,
    )
    await scenario.run(timedelta(days=9))
    await run_daily_check(scenario.services, f"{scenario.services.now:%Y-%m-%d}")
    await scenario.run(timedelta(hours=1))
    await visitor.show_every_route("blocked")
    remediation = "/remediations/{id}"
    [issue, *_] = (await scenario.environment_job()).firewall_issues
    for name, query in {
        "remediation-cause": {"state": "blocked", "reason_code": "firewall_denies"},
        "remediation-list": {"state": "all"},
        "remediation-history": {"history": "all"},
        "remediation-roll-back": {"undo": "true"},
        "remediation-group": {"group": visitor.flow_id},
        "remediation-fix": {
            "firewall_fix": issue.name,
            "environment": scenario.build.environment.id,
        },
    }.items():
        await visitor.show(name, remediation, query)
    await visitor.show("flow-compared", "/remediations/{id}/flows/{flow}", {"compare": "true"})
    await visitor.show("status-for-reader", "", headers=READER)
    await visitor.show("environments-for-reader", "/environments", headers=READER)
    await visitor.show("remediation-for-reader", remediation, headers=READER)


async def _stop_changes(visitor: _Visitor) -> None:
    """The kill switch is on."""
    await visitor.ask("POST", "kill-switch/on", {"justification": "Change freeze, INC-4411"})
    visitor.scenario.world.clock.advance(timedelta(minutes=25))
    await visitor.show("status-stopped", "")
    await visitor.show("remediation-stopped", "/remediations/{id}")
    await visitor.ask("POST", "kill-switch/off", {"justification": "The freeze is over."})


async def _complete(visitor: _Visitor) -> None:
    """The blocked flows are retried after people have fixed the reasons; originals are deleted."""
    scenario = visitor.scenario
    allow_new_ranges(scenario)
    await point_apps_at_copies(scenario)
    await visitor.ask("POST", "remediations/{id}/retry", {}, id=visitor.identity)
    await scenario.run(timedelta(days=40))
    body = {"delete_at": (scenario.services.now + timedelta(days=30)).isoformat()}
    await visitor.ask(
        "POST", "remediations/{id}/deletions", body, headers=APPROVER, id=visitor.identity
    )
    await visitor.show_every_route("done")
    await visitor.show("flow-done-compared", "/remediations/{id}/flows/{flow}", {"compare": "true"})


async def _report(visitor: _Visitor) -> None:
    """The assessments and the evidence, as files."""
    assessments: list[Any] = []
    for environment in visitor.scenario.world.environments.values():
        reply = await visitor.ask("GET", "environments/{id}/assessment", id=environment.id)
        assessments.append(json.loads(reply.get_body()))
    for assessment in assessments[:2]:
        visitor.keep_report(f"assessment-{assessment['phase']}", page_of([assessment]))
    visitor.keep_report("assessment-all", page_of(assessments))
    reply = await visitor.ask("GET", "remediations/{id}/evidence", id=visitor.identity)
    with zipfile.ZipFile(io.BytesIO(reply.get_body())) as pack:
        [report] = [name for name in pack.namelist() if name.endswith(".html")]
        visitor.keep_report("evidence", pack.read(report).decode())


async def _read_only(visitor: _Visitor) -> None:
    """The environment is read-only again, and its next plan cannot be approved."""
    scenario = visitor.scenario
    body = {"approval_policy": "read_only"}
    environment = scenario.build.environment.id
    scenario.build.http_flow("Read meters")
    await visitor.start_again()
    await visitor.ask("PUT", "environments/{id}", body, headers=APPROVER, id=environment)
    await visitor.show("plan-read-only", "/remediations/{id}/plan")
    await visitor.show("environments-read-only", "/environments")


async def _migrate_everything() -> Sequence[ShownPage]:
    """Return the overview of a tenant in which every flow is migrated."""
    scenario = Scenario()
    scenario.build.environment.display_name = "Operations"
    for title in ("Take bookings", "Book invoice", "Approve travel"):
        scenario.build.http_flow(title)
    scenario.build.link()
    await scenario.opt_in()
    await scenario.order()
    await scenario.approve(run=timedelta(hours=6))
    visitor = _Visitor(scenario)
    await visitor.show("status-in-progress", "")
    await scenario.run(timedelta(days=60))
    await visitor.show("status-quiet", "")
    return visitor.take_pages()
