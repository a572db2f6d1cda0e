"""Build the OpenAPI document from the endpoints and their models."""

import inspect
import re
from collections.abc import Iterable
from copy import deepcopy
from functools import cache
from typing import Any, Literal, get_args

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from functions.endpoints import HTML, JSON, Endpoint, list_endpoints
from functions.http_headers import (
    ETAG,
    HEADERS,
    IF_MATCH,
    IF_NONE_MATCH,
    LIVE_SECTIONS,
    LOCATION,
    RETRY_AFTER,
)
from functions.http_requests import NoBody
from functions.problems import MEDIA_TYPE, PROBLEMS, Problem
from shared.domain.ids import IDENTIFIER

type Json = dict[str, Any]
type Mode = Literal["validation", "serialization"]

SIGN_IN, FUNCTION_KEY = "signIn", "functionKey"
SCHEMES: Json = {
    SIGN_IN: {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": (
            "An Entra access token for this app. Browsers use the session cookie instead."
        ),
    },
    FUNCTION_KEY: {"type": "apiKey", "in": "header", "name": "x-functions-key"},
}
_COMMENT = re.compile(r"((?:^ +#: .*\n)+) +(\w+):", re.MULTILINE)
_PARAMETER = re.compile(r"\{(\w+)\}")
#: Problems that any request may get; others are added where they apply.
_EVERYWHERE = (400, 401, 403, 422, 429, 500, 502, 503)


@cache
def build_openapi_document(schemes: frozenset[str]) -> Json:
    endpoints = sorted(list_endpoints().values(), key=lambda one: (one.path, one.method))
    schemas = _build_schemas(endpoints)
    paths: dict[str, Json] = {}
    for one in endpoints:
        paths.setdefault(f"/{one.path}", {})[one.method.lower()] = _build_operation(one, schemas)
    for one in endpoints:
        schemas.pop(one.query.__name__, None)  # query members are documented as parameters
    schemas.pop(NoBody.__name__, None)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "CMK flow remediation",
            "version": "1",
            "description": "Start, approve and control remediations. No response contains a "
            "trigger URL or a signature. Times are UTC. For an unknown path or method, the "
            "Functions host returns 404 without a problem document.",
        },
        "servers": [{"url": "/api"}],
        "security": [{name: []} for name in sorted(schemes)],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": {
                str(status): _build_problem_response(status)
                for status in sorted(_group_codes_by_status())
            },
            "securitySchemes": {name: SCHEMES[name] for name in sorted(schemes)},
        },
    }


def _build_operation(one: Endpoint, schemas: Json) -> Json:
    summary, _, more = one.description.partition("\n\n")
    operation: Json = {
        "operationId": one.name,
        "tags": [one.path.partition("/")[0]],
        "summary": summary.replace("\n", " "),
        "description": f"{more}\n\nRole: {one.role or 'none, needs no sign-in'}.".strip(),
        "parameters": [
            *_build_path_parameters(one),
            *_build_query_parameters(one, schemas),
            *_build_header_parameters(one),
        ],
        "responses": _build_responses(one),
    }
    if one.role is None:
        operation["security"] = []
    if one.body is not NoBody:
        schema = schemas[one.body.__name__]
        is_needed = bool(schema.get("required") or schema.get("minProperties"))
        content = {JSON: {"schema": _build_schema_reference(one.body)}}
        operation["requestBody"] = {"required": is_needed, "content": content}
    return operation


def _build_path_parameters(one: Endpoint) -> list[Json]:
    schema = {"type": "string", "pattern": IDENTIFIER}
    return [
        {"name": name, "in": "path", "required": True, "schema": schema}
        for name in _PARAMETER.findall(one.path)
    ]


def _build_query_parameters(one: Endpoint, schemas: Json) -> list[Json]:
    schema = schemas.get(one.query.__name__, {})
    return [
        {
            "name": name,
            "in": "query",
            "required": name in schema.get("required", ()),
            "description": member.pop("description", ""),
            "schema": member,
        }
        for name, member in deepcopy(schema.get("properties", {})).items()
    ]


def _build_header_parameters(one: Endpoint) -> list[Json]:
    names = [*one.headers, IF_NONE_MATCH] if _can_answer_not_modified(one) else one.headers
    return [{"name": name, "in": "header", "required": False, **HEADERS[name]} for name in names]


def _build_responses(one: Endpoint) -> Json:
    answers: Json = {}
    schemas = {JSON: _build_schema_reference(one.answer)} if one.answer else {}
    content = {kind: {"schema": schemas.get(kind, {})} for kind in one.media_types}
    if one.answer and HTML in content:
        del content[HTML]  # a page has its own URL
        redirect = {
            "description": "Redirect to the page.",
            "headers": {LOCATION: HEADERS[LOCATION]},
        }
        answers["302"] = redirect
    answer: Json = {"description": "The request was accepted or completed.", "content": content}
    names = [*one.answer_headers, ETAG] if one.has_etag else one.answer_headers
    if names:
        answer["headers"] = {name: HEADERS[name] for name in names}
    if LOCATION in one.answer_headers:
        answer["links"] = {
            other.name: {"operationId": other.name, "parameters": {"id": "$response.body#/id"}}
            for other in list_endpoints().values()
            if _PARAMETER.findall(other.path) == ["id"] and other.path.startswith(f"{one.path}/")
        }
    answers[str(one.status)] = answer
    if _can_answer_not_modified(one):
        answers["304"] = {"description": "Not modified.", "headers": {ETAG: HEADERS[ETAG]}}
    if LIVE_SECTIONS in one.headers:
        answers["204"] = {"description": "No section has changed."}
    problems = {*_EVERYWHERE}
    if one.method != "GET" or "{" in one.path or one.query.model_fields:
        problems |= {404, 409}
    if one.body is not NoBody:
        problems |= {413, 415}
    if IF_MATCH in one.headers or "seen_version" in one.body.model_fields:
        problems.add(412)
    return answers | {
        str(status): {"$ref": f"#/components/responses/{status}"} for status in sorted(problems)
    }


def _can_answer_not_modified(one: Endpoint) -> bool:
    return one.has_etag and one.method == "GET"


def _build_problem_response(status: int) -> Json:
    kinds = _group_codes_by_status()[status]
    response: Json = {
        "description": " Or: ".join(PROBLEMS[kind].title for kind in kinds),
        "content": {MEDIA_TYPE: {"schema": _build_schema_reference(Problem)}},
    }
    if status in (429, 503):
        response["headers"] = {RETRY_AFTER: HEADERS[RETRY_AFTER]}
    return response


def _group_codes_by_status() -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for kind, problem in PROBLEMS.items():
        found.setdefault(problem.status, []).append(kind)
    return found


def _build_schema_reference(kind: type[BaseModel]) -> Json:
    name = re.sub(r"\W", "_", kind.__name__)  # the name that pydantic gives the schema
    return {"$ref": f"#/components/schemas/{name}"}


def _build_schemas(endpoints: Iterable[Endpoint]) -> Json:
    models: dict[type[BaseModel], Mode] = {Problem: "serialization"}
    for one in endpoints:
        models |= {one.query: "validation", one.body: "validation"}
        if one.answer:
            models[one.answer] = "serialization"
    _, document = models_json_schema(
        list(models.items()), ref_template="#/components/schemas/{model}"
    )
    schemas: Json = document["$defs"]
    for kind in _list_models_with_parts(
        kind for kind, mode in models.items() if mode == "validation"
    ):
        _remove_null_from_types(schemas[kind.__name__])
    for kind in _list_models_with_parts(models):
        properties = schemas.get(kind.__name__, {}).get("properties", {})
        for name, comment in read_member_comments(kind).items():
            if name in properties:
                properties[name].setdefault("description", comment)
    return schemas


def _remove_null_from_types(schema: Json) -> None:
    """Remove null from the types of members in a schema, because requests reject null."""
    for member in schema.get("properties", {}).values():
        if "anyOf" in member:
            kinds = [one for one in member.pop("anyOf") if one != {"type": "null"}]
            member |= kinds[0] if len(kinds) == 1 else {"anyOf": kinds}
        if member.get("default", "") is None:
            del member["default"]


def _list_models_with_parts(kinds: Iterable[type[BaseModel]]) -> set[type[BaseModel]]:
    found: set[type[BaseModel]] = set()
    left = list(kinds)
    while left:
        kind = left.pop()
        if kind not in found:
            found.add(kind)
            for field in kind.model_fields.values():
                left += _find_models_in_annotation(field.annotation)
    return found


def _find_models_in_annotation(annotation: object) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [one for part in get_args(annotation) for one in _find_models_in_annotation(part)]


def read_member_comments(kind: type[BaseModel]) -> dict[str, str]:
    """Return the `#:` comment in the source of each member of a model and its bases."""
    found: dict[str, str] = {}
    for one in reversed(kind.__mro__):
        if one.__module__.startswith("functions.") and "[" not in one.__name__:
            for comment, name in _COMMENT.findall(inspect.getsource(one)):
                found[name] = " ".join(line.strip(" #:") for line in comment.splitlines())
    return found
