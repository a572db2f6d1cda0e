"""Request pages of the dashboard as a browser does, and record them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from urllib.parse import urlencode

import azure.functions as func

from functions.endpoints import HTML, answer_request, load_endpoint
from functions.routes import LISTED, ROUTES, UNKNOWN_PAGE, Method, Route
from shared.bootstrap import provide
from shared.domain.principal import Role
from shared.use_cases.read_remediation_rows import get_remediation
from tests.functional.scenarios.app_calls import build_sign_in_header
from tests.functional.scenarios.remediation_scenario import Scenario

BROWSER = {"Accept": "text/html", "Sec-Fetch-Site": "same-origin"}
OPERATOR = build_sign_in_header("megan@contoso.example") | BROWSER
APPROVER = build_sign_in_header("lee@contoso.example") | BROWSER
READER = build_sign_in_header("isaiah@contoso.example", [Role.READER]) | BROWSER
NOBODY = build_sign_in_header("nora@contoso.example", []) | BROWSER
_NOTHING: Mapping[str, str] = {}
#: The routes of pages, also of unknown ones.
PAGE_ROUTES = [
    route
    for route in (*LISTED, UNKNOWN_PAGE)
    if route.method == "GET"
    and route.path.startswith("dashboard")
    and load_endpoint(route).media_types[0] == HTML
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownPage:
    #: The page and its state, which is also the name of its picture.
    name: str
    #: The path and query of the page.
    path: str
    status: int
    headers: Mapping[str, str]
    text: str


@dataclass(slots=True)
class Visitor:
    """A browser that requests pages of a scenario's app and records those of the current stage."""

    scenario: Scenario
    #: The id of a flow that will be blocked.
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

    async def send_api_request(
        self,
        method: Method,
        path: str,
        body: object = None,
        *,
        headers: Mapping[str, str] = OPERATOR,
        **params: str,
    ) -> func.HttpResponse:
        """Send an API request, require that it succeeds, and return the response."""
        json_headers = {**headers, "Accept": "*/*"}
        content = b"" if body is None else json.dumps(body).encode()
        reply = await self.send(ROUTES[method, path], content, headers=json_headers, params=params)
        assert reply.status_code < 300, reply.get_body()
        return reply

    async def start_again(self) -> None:
        """Start another remediation of the environment, and run it for 30 minutes."""
        scenario = self.scenario
        body = {"mode": "apply", "environment_ids": [scenario.build.environment.id]}
        headers = OPERATOR | {"Idempotency-Key": "second"}
        reply = await self.send_api_request("POST", "remediations", body, headers=headers)
        started = json.loads(reply.get_body())["id"]
        scenario.remediation = await get_remediation(scenario.services, started)
        await scenario.run(timedelta(minutes=30))

    async def show(
        self,
        name: str,
        route: Route | str,
        query: Mapping[str, str] = _NOTHING,
        *,
        headers: Mapping[str, str] = APPROVER,
    ) -> None:
        """Request a page and record it. `route` is a route, or a path below that of the
        dashboard.
        """
        if isinstance(route, str):
            route = ROUTES["GET", f"dashboard{route}"]
        params = {"flow": self.flow_id, "id": self.remediation_id if self.flow_id else ""}
        named = {one: value for one, value in params.items() if f"{{{one}}}" in route.path}
        reply = await self.send(route, headers=headers, query=query, params=named)
        path = f"{route.path.format_map({**named, '*path': 'nowhere'})}?{urlencode(query)}"
        self.record_page(name, f"/api/{path}", reply)

    def record_page(self, name: str, path: str, reply: func.HttpResponse) -> None:
        text = reply.get_body().decode()
        status, headers = reply.status_code, dict(reply.headers)
        self.pages.append(
            ShownPage(name=name, path=path, status=status, headers=headers, text=text)
        )

    def record_report(self, name: str, text: str) -> None:
        path = f"/reports/{name}"
        self.pages.append(ShownPage(name=name, path=path, status=200, headers={}, text=text))

    async def show_every_route(self, stage: str) -> None:
        """Request and record each page of the dashboard, with the stage at the end of its name."""
        for route in PAGE_ROUTES:
            page = route.name.removeprefix("show_").removesuffix("_page")
            await self.show(f"{page}-{stage}", route)
            assert self.pages[-1].status == (404 if route is UNKNOWN_PAGE else 200), route

    @property
    def remediation_id(self) -> str:
        return self.scenario.remediation.id

    def take_pages(self) -> Sequence[ShownPage]:
        """Return the pages of the current stage, and begin the next one."""
        taken, self.pages = self.pages, []
        return taken
