import json

import pytest

from shared.adapters.http.client import HttpService, ServiceResponse, parse_object
from shared.domain.definitions.json_values import JsonTooDeep, parse_json_value
from shared.errors import InvalidInput
from tests.unit.adapter_wire import NumberedCredential

SERVICE = HttpService(name="flow service", credential=NumberedCredential(), scope="s")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r'"Orders \ud83d"', "Orders �"),
        (r'{"\udc00": "\uD83D\uDE00 \uD83D"}', {"�": "😀 �"}),
        (r'"\ud83d\u0041"', "�A"),
        (r'"\\ud83d"', r"\ud83d"),
        (r'["\u00e9", 1.5, null]', ["é", 1.5, None]),
    ],
)
def test_lone_surrogate_is_replaced(text: str, value: object) -> None:
    """A text with half of a surrogate pair could not be stored, sent or shown."""
    assert parse_json_value(text) == value
    assert json.dumps(parse_json_value(text), ensure_ascii=False).encode()


def test_deeply_nested_json_raises_json_too_deep() -> None:
    """A retry would get the same text."""
    with pytest.raises(JsonTooDeep):
        parse_json_value("[" * 9**6)


def test_response_has_whole_characters_and_limited_depth() -> None:
    def answer(body: bytes) -> ServiceResponse:
        return ServiceResponse(status=200, headers={}, body=body)

    body = rb'{"displayName": "Orders \ud83d"}'

    assert parse_object(SERVICE, answer(body)) == {"displayName": "Orders �"}
    with pytest.raises(InvalidInput, match="flow service: the JSON nests too deeply"):
        parse_object(SERVICE, answer(b'{"a":' * 9**6))
