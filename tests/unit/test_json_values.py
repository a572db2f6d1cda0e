"""Test JSON from other programs: half characters, and nesting that is too deep to read."""

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
    """A text with half a character can be stored, sent and shown."""
    assert parse_json_value(text) == value
    assert json.dumps(parse_json_value(text), ensure_ascii=False).encode()


def test_deeply_nested_json_raises_json_too_deep() -> None:
    """This error is not transient, because another read gives the same text."""
    with pytest.raises(JsonTooDeep):
        parse_json_value("[" * 9**6)


def test_an_answer_has_whole_characters_and_a_bottom() -> None:
    """Names have whole characters, and an answer that nests too deep is no outage."""

    def answer(body: bytes) -> ServiceResponse:
        return ServiceResponse(status=200, headers={}, body=body)

    body = rb'{"displayName": "Orders \ud83d"}'

    assert parse_object(SERVICE, answer(body)) == {"displayName": "Orders �"}
    with pytest.raises(InvalidInput, match="flow service: the JSON nests too deeply"):
        parse_object(SERVICE, answer(b'{"a":' * 9**6))
