"""Test the declarations of routes."""

import json
from typing import cast

import azure.functions as func
import pytest

from functions.endpoints import (
    JSON,
    ApiRequest,
    Endpoint,
    answer_request,
    endpoint,
    list_endpoints,
    load_endpoint,
)
from functions.http_headers import DIGEST
from functions.http_requests import NoBody, NoQuery
from functions.http_responses import ApiResponse
from functions.problems import MEDIA_TYPE
from functions.routes import LISTED, ROUTES, Route
from shared.domain.principal import Role

ENDPOINTS = list_endpoints()


async def _return_nothing(_call: ApiRequest[NoQuery, NoBody]) -> ApiResponse:
    return ApiResponse()


@pytest.mark.parametrize("role", [None, "", "everybody"])
def test_handler_with_an_unknown_role_cannot_be_declared(
    role: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    route = Route("GET", "open", __name__.rpartition(".")[2], _return_nothing.__name__)
    monkeypatch.setitem(ROUTES, ("GET", "open"), route)

    with pytest.raises(ValueError, match="Role"):
        endpoint(role=cast("Role", role), answer=ApiResponse)(_return_nothing)

    with pytest.raises(ImportError):
        load_endpoint(route)


def test_handler_without_a_role_cannot_be_declared() -> None:
    with pytest.raises(TypeError, match="role"):
        endpoint(answer=ApiResponse)  # type: ignore[call-arg]  # the slip


def test_handler_without_a_route_cannot_be_declared() -> None:
    with pytest.raises(ValueError, match="no route for _return_nothing of test_endpoints"):
        endpoint(role=Role.READER, answer=ApiResponse)(_return_nothing)


def test_routes_have_unique_paths_and_names() -> None:
    assert len(LISTED) == len(ROUTES) == len({route.name for route in LISTED})


def test_handler_is_declared_in_the_module_of_its_route() -> None:
    """A request imports only the module of its route."""
    for key, route in ROUTES.items():
        assert load_endpoint(route).name == ENDPOINTS[key].name == route.name


async def test_route_of_a_module_that_cannot_be_imported_answers_500() -> None:
    broken = Route("GET", "broken", "no_such_module", "show_broken")
    request = func.HttpRequest("GET", "https://app.example/api/broken", body=b"")

    answer = await answer_request(broken, request)

    assert (answer.status_code, answer.mimetype) == (500, MEDIA_TYPE)
    assert json.loads(answer.get_body())["instance"] == "/api/broken"


@pytest.mark.parametrize("declared", ENDPOINTS.values(), ids=lambda one: f"{one.method} {one.path}")
def test_each_route_has_a_description_and_a_model_for_json(declared: Endpoint) -> None:
    is_file = DIGEST in declared.answer_headers
    assert declared.description.endswith(".")
    assert (declared.answer is not None) == (JSON in declared.media_types and not is_file)
    assert (declared.body is NoBody) or declared.method != "GET"


def test_role_reader_permits_no_changing_route() -> None:
    """The only form for readers is `keep_plan_ticks`, which changes nothing."""
    for_readers = {
        one.name for one in ENDPOINTS.values() if one.role is Role.READER and one.method != "GET"
    }

    assert for_readers == {"keep_plan_ticks"}  # the ticks are stored in the address
    assert {
        one.name for one in ENDPOINTS.values() if one.method != "GET" and not one.is_recorded
    } == for_readers | {
        "confirm_by_link",  # its handler records it
        "show_caller_file",  # it shows what a file would change
    }
