import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from functions import openapi_api
from functions.endpoints import HTML, list_endpoints
from functions.http_requests import NoBody, Text
from functions.openapi import SCHEMES, SIGN_IN, build_openapi_document
from functions.problems import PROBLEMS
from shared.bootstrap import provide
from tests.functional.scenarios.app_calls import build_sign_in_header, call
from tests.functional.scenarios.remediation_scenario import Scenario

ENDPOINTS = list_endpoints()

DOCUMENT: Any = json.loads(json.dumps(build_openapi_document(frozenset(SCHEMES))))


def list_operations() -> dict[tuple[str, str], Any]:
    return {
        (method.upper(), path.removeprefix("/")): operation
        for path, methods in DOCUMENT["paths"].items()
        for method, operation in methods.items()
    }


def list_references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if "$ref" in value:
            yield value["$ref"]
        for one in value.values():
            yield from list_references(one)
    elif isinstance(value, list):
        for one in value:
            yield from list_references(one)


def resolve_reference(reference: str) -> Any:
    value = DOCUMENT
    for part in reference.removeprefix("#/").split("/"):
        value = value[part]
    return value


async def test_document_describes_exactly_the_routes() -> None:
    scenario = Scenario()
    provide(scenario.services)

    reply = await call(openapi_api.show_openapi)
    scenario.settings = scenario.settings.model_copy(update={"function_key_roles": ()})
    provide(scenario.services)
    without_key = await call(openapi_api.show_openapi, headers=build_sign_in_header("admin"))

    assert reply.media_type == "application/vnd.oai.openapi+json"
    assert reply.document == DOCUMENT
    # What counts in this app, and nothing else.
    assert without_key.document["security"] == [{SIGN_IN: []}]
    assert list_operations().keys() == ENDPOINTS.keys()


def test_every_reference_can_be_resolved() -> None:
    assert all(resolve_reference(one) for one in list_references(DOCUMENT))


def test_every_operation_has_a_unique_id_its_role_and_its_parameters() -> None:
    ids = [operation["operationId"] for operation in list_operations().values()]
    assert len(ids) == len(set(ids))
    for key, declared in ENDPOINTS.items():
        operation = list_operations()[key]
        names = {(one["in"], one["name"]) for one in operation["parameters"]}
        assert {name for place, name in names if place == "path"} == set(
            re.findall(r"\{(\w+)\}", declared.path)
        )
        assert {name for place, name in names if place == "query"} == set(
            declared.query.model_fields
        )
        assert set(declared.headers) <= {name for place, name in names if place == "header"}
        role = declared.role or "none, needs no sign-in"
        assert f"Role: {role}." in operation["description"]
        assert (operation.get("security") == []) == (declared.role is None)
        assert ("requestBody" in operation) == (declared.body is not NoBody)


def test_every_response_is_described() -> None:
    statuses = {str(problem.status) for problem in PROBLEMS.values()}
    assert set(DOCUMENT["components"]["responses"]) == statuses
    used: set[str] = set()
    for key, declared in ENDPOINTS.items():
        responses = list_operations()[key]["responses"]
        kinds = set(responses[str(declared.status)]["content"])
        assert kinds | ({HTML} if "302" in responses else set()) == set(declared.media_types)
        used |= responses.keys()
    assert used == statuses | {"200", "202", "204", "302", "303", "304"}


def test_optional_members_of_requests_are_not_nullable() -> None:
    """The API rejects null in requests."""
    bodies = [
        resolve_reference(operation["requestBody"]["content"]["application/json"]["schema"]["$ref"])
        for operation in list_operations().values()
        if "requestBody" in operation
    ]

    assert bodies
    assert '"null"' not in json.dumps(bodies)


def test_members_have_the_descriptions_of_the_source() -> None:
    schemas = DOCUMENT["components"]["schemas"]

    assert (
        "the step that the job has reached"
        in schemas["FlowJobResponse"]["properties"]["step"]["description"].lower()
    )
    flows = schemas["RollbackRequest"]["properties"]["accept_replay"]["description"]
    assert flows.startswith("Accept that polling originals")


def test_no_two_routes_match_the_same_address() -> None:
    """The Functions host takes the first matching route in the order of function names.

    See github.com/Azure/azure-functions-host/issues/9876
    """

    def overlap(one: str, other: str) -> bool:
        parts, others = one.split("/"), other.split("/")
        return len(parts) == len(others) and all(
            a == b or "{" in a + b for a, b in zip(parts, others, strict=True)
        )

    both = [
        (method, path, other)
        for method, path in ENDPOINTS
        for other_method, other in ENDPOINTS
        if method == other_method and path < other and overlap(path, other)
    ]
    assert both == []


def test_schemathesis_settings_name_existing_operations() -> None:
    """Settings of a renamed operation would otherwise be ignored unnoticed."""
    folder = Path(__file__).parents[2] / "third_party_clients" / "clients"
    settings = tomllib.loads((folder / "schemathesis.toml").read_text("utf-8"))
    named = {one["include-operation-id"] for one in settings["operations"]}

    assert named <= {operation["operationId"] for operation in list_operations().values()}


def test_schema_rejects_texts_of_white_space_only() -> None:
    """Pydantic strips characters that `\\s` of a schema's regular expressions does not match."""
    # What `\s` matches by ECMA-262, the dialect of a JSON schema.
    white_space = frozenset(
        "\t\n\v\f\r \xa0\u1680\u2028\u2029\u202f\u205f\u3000\ufeff\u2000\u2001\u2002"
        "\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    )
    texts = TypeAdapter(Text)
    pattern = texts.json_schema()["pattern"]
    listed = re.fullmatch(r"\[\^\\s(.*)\]", pattern)
    assert listed
    refused = white_space | frozenset(listed[1].encode().decode("unicode-escape"))

    for character in map(chr, range(0x3100)):
        try:
            texts.validate_python(character)
        except ValidationError:
            assert character in refused, hex(ord(character))
