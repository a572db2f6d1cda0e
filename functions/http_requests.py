"""Read and validate requests: bodies, queries and route parameters."""

from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Self

import azure.functions as func
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from functions.problems import BadRequest, FieldError, RequestTooLarge, UnsupportedMediaType
from shared.domain.ids import IDENTIFIER, is_identifier
from shared.domain.trigger_urls.trigger_url import redact
from shared.validation_text import TextPattern, list_validation_errors

#: Maximum size of a body, in bytes; valid bodies are much smaller.
MAX_BODY_BYTES = 256 * 1024
_JSON = "application/json"
#: The validation context of a form that a page of the app sent.
FORM_CONTEXT = "form"
#: Query parameters with the function key and its name (Azure Functions access keys).
KEY_PARAMETERS = frozenset({"code", "clientid"})


def _convert_whole_float_to_int(number: object) -> object:
    """Convert a whole float such as 5.0 to int, because JSON does not distinguish the two types."""
    return int(number) if isinstance(number, float) and number.is_integer() else number


#: After the bounds of a number, which a schema would otherwise omit.
WHOLE_NUMBER = BeforeValidator(_convert_whole_float_to_int)
_ID_FORM = "Use 1 to 80 letters, digits and dashes."
type Id = Annotated[str, TextPattern(IDENTIFIER, _ID_FORM)]
#: A part of a name or id to search for.
Search = Annotated[str, StringConstraints(max_length=200)]
Count = Annotated[int, Field(ge=0)]
#: A text that is stored; signatures of trigger URLs in it are redacted.
type Text = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=500),
    # Pydantic also strips U+0085, which `\s` of a JSON schema's regular expressions leaves out.
    Field(json_schema_extra={"pattern": r"[^\s\u0085]"}),
    AfterValidator(redact),
]


class RequestModel(BaseModel):
    """Base of the models of requests. Rejects unknown members and null."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True, defer_build=True
    )

    @model_validator(mode="after")
    def _reject_null(self) -> Self:
        nulls = [name for name in self.model_fields_set if getattr(self, name) is None]
        if nulls:
            raise ValueError(f"Omit {', '.join(sorted(nulls))} instead of sending null.")
        return self


class KeyChoice(RequestModel):
    """A key in a vault, or none."""

    model_config = ConfigDict(
        json_schema_extra={"dependentRequired": {"vault": ["key"], "key": ["vault"]}}
    )

    #: Vault of one key, by name or Azure resource id; needs `key`. A policy need not name it.
    vault: Text | None = None
    key: Text | None = None

    @model_validator(mode="after")
    def _check_vault_and_key(self) -> Self:
        if (self.vault is None) != (self.key is None):
            raise ValueError("Give both the vault and the key, or neither.")
        return self


class NoQuery(RequestModel):
    """The query of an endpoint that has no parameters."""


class NoBody(RequestModel):
    """The body of an endpoint that reads none."""


def parse_body[T: RequestModel](req: func.HttpRequest, kind: type[T]) -> T:
    """Return the validated JSON body of a request. An empty body counts as `{}`.

    Raises `BadRequest` if it is not valid, `RequestTooLarge`, or `UnsupportedMediaType`.
    """
    body = get_raw_body(req)
    media_type = req.headers.get("Content-Type", _JSON).partition(";")[0].strip().lower()
    if body and media_type != _JSON:
        raise UnsupportedMediaType(
            "The Content-Type of the body is not JSON.",
            fix=f"Send JSON with the header Content-Type: {_JSON}.",
        )
    # Strict: a string is not accepted as a number, nor a number as a Boolean.
    return convert_validation_errors(
        "body", lambda: kind.model_validate_json(body or b"{}", strict=True)
    )


def parse_query[T: RequestModel](req: func.HttpRequest, kind: type[T]) -> T:
    """Return the validated query. Raises `BadRequest` for a wrong or unknown parameter."""
    params: Mapping[str, str] = req.params
    query = {name: value for name, value in params.items() if name.lower() not in KEY_PARAMETERS}
    return convert_validation_errors("query", lambda: kind.model_validate_strings(query))


def get_raw_body(req: func.HttpRequest) -> bytes:
    """Return the body as bytes. Raises `RequestTooLarge` if it has too many."""
    body: bytes = req.get_body()
    if len(body) > MAX_BODY_BYTES:
        message = f"The body is larger than {MAX_BODY_BYTES} bytes."
        raise RequestTooLarge(message, fix="Split it into several requests.")
    return body


def convert_validation_errors[T](what: str, read: Callable[[], T]) -> T:
    """Return the result of `read`. Raises `BadRequest` in place of its validation errors."""
    try:
        return read()
    except ValidationError as err:
        message = f"The {what} is not valid."
        raise BadRequest(message, _list_field_errors(err)) from None


def parse_route_parameters(req: func.HttpRequest, names: Iterable[str]) -> dict[str, str]:
    """Return the route parameters. Raises `BadRequest` if one is not a valid id."""
    values = {name: str(req.route_params.get(name) or "") for name in names}
    wrong = [name for name, value in values.items() if not is_identifier(value)]
    if wrong:
        errors = [FieldError(field=name, message=_ID_FORM) for name in wrong]
        raise BadRequest("The id in the URL is not valid.", errors)
    return values


def _list_field_errors(err: ValidationError) -> list[FieldError]:
    return [
        FieldError(field=".".join(map(str, path)), message=text)
        for path, text in list_validation_errors(err)
    ]
