"""Routes are declared in one place, whole or not at all."""

from typing import cast

import azure.functions as func
import pytest

import function_app  # noqa: F401  # it declares every route
from functions.endpoints import ENDPOINTS, JSON, Call, Endpoint, endpoint
from functions.http_answers import Answer
from functions.http_requests import NoBody, NoQuery
from shared.domain.principal import Role


async def _handler(_call: Call[NoQuery, NoBody]) -> Answer:
    """Answer nothing."""
    return Answer()


@pytest.mark.parametrize("role", [None, "", "everybody"])
def test_a_route_without_a_role_cannot_be_declared(role: str | None) -> None:
    """Nor one with a role that there is not: it would be open, or closed, to all."""
    before = dict(ENDPOINTS)

    with pytest.raises(ValueError, match="Role"):
        endpoint(func.Blueprint(), "GET", "open", role=cast("Role", role), answer=Answer)(_handler)

    assert before == ENDPOINTS


def test_a_route_that_leaves_its_role_out_cannot_be_declared() -> None:
    """The role has no default."""
    with pytest.raises(TypeError, match="role"):
        endpoint(func.Blueprint(), "GET", "open", answer=Answer)  # type: ignore[call-arg]  # the slip


def test_a_route_is_declared_once() -> None:
    """The host would take one of the two, nobody knows which."""
    with pytest.raises(ValueError, match="GET health already"):
        endpoint(func.Blueprint(), "GET", "health", role=Role.READER, answer=Answer)(_handler)


@pytest.mark.parametrize("declared", ENDPOINTS.values(), ids=lambda one: f"{one.method} {one.path}")
def test_a_declaration_says_all_that_a_description_needs(declared: Endpoint) -> None:
    """In words, and of each media type with what it is made of."""
    assert declared.description.endswith(".")
    assert (declared.answer is not None) == (JSON in declared.media_types)
    assert (declared.body is NoBody) or declared.method != "GET"


def test_whoever_reads_only_is_given_no_order() -> None:
    """What changes anything has another role than that for reading."""
    for_readers = {one.method for one in ENDPOINTS.values() if one.role is Role.READER}

    assert for_readers == {"GET"}
