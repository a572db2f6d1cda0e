from typing import Any

import pytest

from shared.domain.definitions.flow_definition import parse_client_data
from tests.fakes import definition_builder as define

CODE = "@triggerBody()?[0]?['data']?['validationCode']"
RESPONSE = {"type": "Response", "inputs": {"statusCode": 200, "body": "@outputs('Build')"}}
BUILD = {"type": "Compose", "inputs": {"validationResponse": CODE}}
CALL_BACK = {
    "type": "Http",
    "inputs": {"method": "GET", "uri": "@triggerBody()?[0]?['data']?['validationUrl']"},
}
IN_A_CONDITION = {
    "type": "If",
    "expression": {},
    "actions": {"Answer": define.build_validation_action()},
}


@pytest.mark.parametrize(
    ("actions", "answers"),
    [
        ({"Answer": define.build_validation_action()}, True),
        ({"Condition": IN_A_CONDITION}, True),
        ({"Build": BUILD, "Answer": RESPONSE}, True),
        ({"Call": CALL_BACK}, True),
        ({"Answer": define.build_response_action()}, False),
        ({"Build": BUILD}, False),
        ({}, False),
    ],
    ids=["answer", "in a condition", "built before", "called back", "other", "unsent", "none"],
)
def test_flow_answers_if_it_returns_the_code_or_calls_its_url(
    actions: dict[str, Any], *, answers: bool
) -> None:
    text = define.build_client_data("lineage", define.build_http_trigger(), actions)

    assert parse_client_data(text).answers_event_grid is answers
