"""Reads requests: bodies, queries and ids are checked here, before anything else sees them."""

from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Self

import azure.functions as func
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from functions.problems import BadRequest, FieldError, RequestTooLarge, UnsupportedMediaType
from shared.domain.identifiers import IDENTIFIER, is_identifier
from shared.domain.trigger_urls.trigger_url import redact

#: No body of this API comes near it.
LARGEST_BODY = 256 * 1024
_JSON = "application/json"
#: Query parameters that carry the function key and its name (Azure Functions access keys).
KEY_PARAMETERS = frozenset({"code", "clientid"})

type Id = Annotated[str, StringConstraints(pattern=IDENTIFIER)]
#: Kept in rows: a trigger URL that somebody pastes into a reason loses its signature here.
type Text = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=500),
    Field(json_schema_extra={"pattern": r"\S"}),
    AfterValidator(redact),
]


class RequestModel(BaseModel):
    """What a request may say: nothing that is not named."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True, defer_build=True
    )

    @model_validator(mode="after")
    def _without_null(self) -> Self:
        nulls = [name for name in self.model_fields_set if getattr(self, name) is None]
        if nulls:
            raise ValueError(f"{', '.join(sorted(nulls))}: leave it out instead of sending null")
        return self


class NoQuery(RequestModel):
    """No query parameter is known."""


class NoBody(RequestModel):
    """No member of a body is known."""


def read_body[T: RequestModel](req: func.HttpRequest, kind: type[T]) -> T:
    """Return the body; an empty one counts as `{}`.

    Raises `BadRequest`, `RequestTooLarge`, `UnsupportedMediaType`.
    """
    body = body_of(req)
    media_type = req.headers.get("Content-Type", _JSON).partition(";")[0].strip().lower()
    if body and media_type != _JSON:
        raise UnsupportedMediaType(
            "The body is no JSON, as its Content-Type says.",
            instruction=f"Send it with the header Content-Type: {_JSON}.",
        )
    # As it is written: no text is taken for a number, no number for a switch.
    return checked("body", lambda: kind.model_validate_json(body or b"{}", strict=True))


def read_query[T: RequestModel](req: func.HttpRequest, kind: type[T]) -> T:
    """Return the query; raises `BadRequest`, also for a parameter that is not known."""
    params: Mapping[str, str] = req.params
    query = {name: value for name, value in params.items() if name.lower() not in KEY_PARAMETERS}
    return checked("query", lambda: kind.model_validate_strings(query))


def body_of(req: func.HttpRequest) -> bytes:
    """Return the body as it was sent; raises `RequestTooLarge`."""
    body: bytes = req.get_body()
    if len(body) > LARGEST_BODY:
        message = f"The body has more than {LARGEST_BODY} bytes."
        raise RequestTooLarge(message, instruction="Send several requests.")
    return body


def checked[T](what: str, read: Callable[[], T]) -> T:
    """Return what `read` does; raises `BadRequest` for what it finds wrong."""
    try:
        return read()
    except ValidationError as err:
        message = f"The {what} is not as it should be."
        raise BadRequest(message, _errors(err)) from None


def read_params(req: func.HttpRequest, names: Iterable[str]) -> dict[str, str]:
    """Return the values of the route's parameters, all of them ids; raises `BadRequest`."""
    values = {name: str(req.route_params.get(name) or "") for name in names}
    wrong = [name for name, value in values.items() if not is_identifier(value)]
    if wrong:
        text = "An id is 1 to 80 letters, digits and dashes."
        errors = [FieldError(field=name, message=text) for name in wrong]
        raise BadRequest("The id in the address is not one.", errors)
    return values


def _errors(err: ValidationError) -> list[FieldError]:
    return [
        FieldError(field=".".join(str(part) for part in one["loc"]), message=one["msg"])
        for one in err.errors(include_input=False, include_url=False, include_context=False)
    ]
