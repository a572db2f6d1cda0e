import json
from html import unescape
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest

from functions import (
    audit_api,
    dashboard_api,
    status_api,
    support_requests_api,
    support_requests_page_api,
)
from functions.forms import FORM
from shared.bootstrap import provide
from shared.domain.plans.support_request import SupportRequest
from shared.domain.principal import Role
from tests.functional.cli.cli_app import serve_app
from tests.functional.planning.test_support_requests import open_support_request
from tests.functional.scenarios.app_calls import Reply, build_sign_in_header, call
from tests.functional.scenarios.remediation_scenario import Scenario

ADA = build_sign_in_header("ada@contoso.example", [Role.OPERATOR])
READER = build_sign_in_header("rea@contoso.example", [Role.READER])
BROWSER = {"Accept": "text/html,*/*;q=0.8", "Sec-Fetch-Site": "same-origin"}


@pytest.fixture
async def opened() -> tuple[Scenario, SupportRequest]:
    scenario = Scenario()
    scenario.build.add_http_flow("Orders")
    await scenario.opt_in()
    request = await open_support_request(scenario)
    provide(scenario.services)
    return scenario, request


async def read_page_text(handler: Any, **named: Any) -> str:
    reply: Reply = await call(handler, **{"headers": ADA | BROWSER, **named})
    assert reply.status == 200, reply.text
    return unescape(reply.text)


async def test_request_is_filed_and_reopened_over_http(
    opened: tuple[Scenario, SupportRequest],
) -> None:
    _, request = opened
    api = support_requests_api

    listed = await call(api.list_support_requests)
    draft = await call(api.show_support_request, id=request.id)
    body = {"ticket_number": "2603020050001234"}
    filed = await call(api.mark_support_request_filed, body, id=request.id, headers=ADA)
    reopened = await call(api.reopen_support_request, id=request.id, headers=ADA)
    missing = await call(api.show_support_request, id="environment-limit")

    (item,) = listed.document["items"]
    assert (item["id"], item["state"], item["days_left"]) == (request.id, "open", 30)
    assert draft.document["request"] == item
    assert len(draft.document["flow_ids"]) == 1
    assert request.environment_id in "".join(draft.document["lines"])
    assert (filed.document["state"], filed.document["days_left"]) == ("filed", None)
    assert filed.document["filed_by"] == "ada@contoso.example"
    assert reopened.document == item
    assert missing.status == 404
    entries = (await call(audit_api.list_audit)).document["items"]
    after = {one["operation"]: one["state_after"] for one in entries}
    assert json.loads(after["mark_support_request_filed"]) == {
        "filed_by": "ada@contoso.example",
        "ticket_number": "2603020050001234",
    }


@pytest.mark.parametrize("number", ["", " ", "a" * 61, "https://x?sig=1"])
async def test_ticket_number_is_short_and_plain(
    opened: tuple[Scenario, SupportRequest], number: str
) -> None:
    _, request = opened

    reply = await call(
        support_requests_api.mark_support_request_filed,
        {"ticket_number": number},
        id=request.id,
        headers=ADA,
    )

    assert reply.status == 400


async def test_pages_show_the_countdown_until_the_request_is_filed(
    opened: tuple[Scenario, SupportRequest],
) -> None:
    _, request = opened
    where = f"/api/dashboard/support-requests?request={request.id}"
    overview = await read_page_text(dashboard_api.show_status_page)
    environments = await read_page_text(dashboard_api.show_environments_page)
    page = await read_page_text(
        support_requests_page_api.show_support_requests_page, query={"request": request.id}
    )
    status = (await call(status_api.show_status)).document
    done = await call(
        support_requests_api.mark_support_request_filed,
        urlencode({"ticket_number": "77"}).encode(),
        id=request.id,
        headers=ADA | BROWSER | {"Content-Type": FORM, "Referer": f"https://app.example{where}"},
    )
    location, _, query = done.headers["Location"].partition("?")
    after = await read_page_text(
        support_requests_page_api.show_support_requests_page,
        query=dict(parse_qsl(query)),
    )

    assert f'href="{where}"' in overview
    assert "expires in " in overview
    assert f'href="{where}"' in environments
    assert "30 days left to file it" in environments
    assert "30 days left to file it" in page
    assert "count from when the app saw the platform migration complete" in page
    assert request.environment_id in page
    assert "Ticket number" in page
    assert "30 days left" in "".join(one["message"] for one in status["pending_actions"])
    assert (done.status, location) == (303, where.partition("?")[0])
    assert "The support request is marked as filed." in after
    assert "Filed by ada@contoso.example" in after
    assert "Reopen" in after
    assert where not in await read_page_text(dashboard_api.show_status_page)


async def test_reader_sees_the_draft_and_no_form(opened: tuple[Scenario, SupportRequest]) -> None:
    _, request = opened

    page = await read_page_text(
        support_requests_page_api.show_support_requests_page,
        query={"request": request.id},
        headers=READER | BROWSER,
    )

    assert request.environment_id in page
    assert "You need the role operator." in page
    assert f"/api/support-requests/{request.id}/filed" not in page


async def test_commands_list_show_file_and_reopen(opened: tuple[Scenario, SupportRequest]) -> None:
    _, request = opened
    async with serve_app() as cli:
        listed = await cli.run("support-request", "list")
        draft = await cli.run("support-request", "show", request.id)
        short = await cli.run("support-request", "show", request.id[:20])
        named = await cli.run("support-request", "show", request.environment_name)
        filed = await cli.run("support-request", "mark-filed", request.id, "--ticket", "77")
        reopened = await cli.run("support-request", "reopen", request.id, "-o", "json")
        status = await cli.run("status")

    assert request.id in listed.stdout
    assert "30" in listed.stdout
    assert f"Environment id: {request.environment_id}\n" in draft.stdout
    assert draft.stdout == short.stdout == named.stdout
    assert "admin@contoso.example" in filed.stdout
    assert json.loads(reopened.stdout)["state"] == "open"
    assert "cmkflow support-request show" in status.stdout
    assert "expires" in status.stdout
