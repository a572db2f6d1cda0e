import asyncio
import json
from datetime import UTC, datetime
from typing import cast

import pytest
from aiohttp.test_utils import TestClient, TestServer

from local_cloud.functions_host import http_front
from local_cloud.functions_host.app_functions import AuthLevel, Function, HttpTrigger
from local_cloud.functions_host.authentication import CONFIGURATION, read_settings
from local_cloud.functions_host.host_settings import HostStartError
from local_cloud.functions_host.routes import parse_route
from local_cloud.functions_host.schedule import parse_schedule
from local_cloud.functions_host.worker import Invocation, InvocationOutcome, Worker

#: A Wednesday.
_START = datetime(2026, 11, 25, 10, 20, 30, 500, tzinfo=UTC)


@pytest.mark.parametrize(
    ("expression", "due"),
    [
        ("* * * * * *", "2026-11-25T10:20:31"),
        ("*/15 * * * * *", "2026-11-25T10:20:45"),
        ("0 */5 * * * *", "2026-11-25T10:25:00"),
        ("*/5 * * * *", "2026-11-25T10:25:00"),
        ("0 0 2 * * *", "2026-11-26T02:00:00"),
        ("0 30 9-17/4 * * 1-5", "2026-11-25T13:30:00"),
        ("0 0 0 * * sun", "2026-11-29T00:00:00"),
        ("0 0 0 1 jan,jul *", "2027-01-01T00:00:00"),
        ("10/20 20,21 * * * *", "2026-11-25T10:20:50"),
        ("0 0 0 29 2 *", "2028-02-29T00:00:00"),
        # Both day fields must match, unlike cron's.
        ("0 0 0 13 * fri", "2027-08-13T00:00:00"),
    ],
)
def test_a_schedule_finds_its_next_occurrence(expression: str, due: str) -> None:
    occurrence = parse_schedule(expression).find_next(_START)

    assert occurrence.isoformat() == f"{due}+00:00"


@pytest.mark.parametrize(
    "expression",
    ["", "* * * *", "60 * * * * *", "* * * 0 * *", "* * * * * 7", "5-1 * * * * *", "*/0 * * * * *",
     "x * * * * *", "00:05:00"],
)  # fmt: skip
def test_a_wrong_schedule_is_rejected(expression: str) -> None:
    with pytest.raises(ValueError, match=r"is not a|must have six fields"):
        parse_schedule(expression)


def test_schedule_without_a_next_occurrence_is_rejected() -> None:
    """A schedule such as 30 February never occurs, so the search for it must end."""
    schedule = parse_schedule("0 0 0 30 2 *")

    with pytest.raises(ValueError, match="no next occurrence"):
        schedule.find_next(_START)


@pytest.mark.parametrize(
    ("template", "path", "values"),
    [
        ("api/jobs", "API/Jobs", {}),
        ("api/jobs/{id}", "api/jobs/a%2Fb", {"id": "a/b"}),
        ("api/jobs/{id?}", "api/jobs", {}),
        ("api/jobs/{id:int}", "api/jobs/12", {"id": "12"}),
        ("api/jobs/{id:int}", "api/jobs/twelve", None),
        ("api/{id:guid}", "api/0e4b7f3e-58bd-4a8c-8b30-0c8f31ad6a4d",
         {"id": "0e4b7f3e-58bd-4a8c-8b30-0c8f31ad6a4d"}),
        ("api/files/{*path}", "api/files/a/b", {"path": "a/b"}),
        ("api/files/{*path}", "api/files", {"path": ""}),
        ("api/jobs", "api/jobs/1", None),
        ("api/jobs/{id}", "api/jobs", None),
        ("", "", {}),
        ("", "a", None),
    ],
)  # fmt: skip
def test_route_matches_like_in_asp_net(
    template: str, path: str, values: dict[str, str] | None
) -> None:
    assert parse_route(template).match(path) == values


def test_the_more_specific_route_wins() -> None:
    templates = ["a/{*rest}", "a/{id}", "a/{id:int}", "a/list"]

    ordered = sorted(templates, key=lambda template: parse_route(template).rank)

    assert ordered == ["a/list", "a/{id:int}", "a/{id}", "a/{*rest}"]


@pytest.mark.parametrize(
    ("is_required", "action"), [(True, "RedirectToLoginPage"), (False, "Return401")]
)
def test_unsupported_sign_in_setting_stops_the_start_of_the_host(
    is_required: bool, action: str
) -> None:
    """With another sign-in setting, the app would be less protected than in Azure."""
    document = {
        "platform": {"enabled": True},
        "globalValidation": {
            "requireAuthentication": is_required,
            "unauthenticatedClientAction": action,
        },
        "identityProviders": {
            "azureActiveDirectory": {"registration": {"openIdIssuer": "i", "clientId": "c"}}
        },
    }

    with pytest.raises(HostStartError, match="AllowAnonymous"):
        read_settings({CONFIGURATION: json.dumps(document)})


class LateWorker:
    def __init__(self) -> None:
        self.may_end, self.is_over = asyncio.Event(), asyncio.Event()

    async def invoke(self, _: Invocation) -> InvocationOutcome:
        await self.may_end.wait()
        self.is_over.set()
        return InvocationOutcome(succeeded=True)


async def test_request_without_a_response_in_time_gets_504_and_its_function_continues(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Azure's load balancer has the same limit, and no setting changes it."""
    monkeypatch.setattr(http_front, "_LONGEST_REQUEST", 0.01)
    trigger = HttpTrigger(route="slow", methods=frozenset(), auth_level=AuthLevel.ANONYMOUS)
    function = Function(id="1", name="slow", parameter="req", trigger=trigger)
    worker = LateWorker()
    front = http_front.HttpFront([function], cast("Worker", worker), "api")

    async with TestClient(TestServer(front.build_application("key"))) as client:
        response = await client.get("/api/slow")
        worker.may_end.set()
        await worker.is_over.wait()

    assert response.status == 504
