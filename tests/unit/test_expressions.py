import pytest

from shared.domain.definitions.expressions import (
    ExpressionReference,
    find_function_calls,
    find_whole_reference,
)


def _list_references(text: str) -> list[tuple[str, str | None, list[str | None]]]:
    return [
        (found.function, found.argument, [key.name for key in found.keys])
        for found in find_function_calls(text)
    ]


@pytest.mark.parametrize(
    "text",
    [
        "@triggerBody()?['Name_Value']",
        "@triggerBody()['Name_Value']",
        "@TRIGGERBODY()?.Name_Value",
        "Dear @{triggerBody()?['Name_Value']}, hello",
    ],
)
def test_path_is_parsed_in_every_notation(text: str) -> None:
    found = _list_references(text)

    assert found == [("triggerbody", "", ["Name_Value"])]


@pytest.mark.parametrize(
    "text",
    [
        "Call triggerBody()['X'] yourself",
        "@@{triggerBody()['X']}",
        "@@triggerBody()['X']",
        "@concat('triggerBody()[''X'']')",
        "someone@example.com",
    ],
)
def test_literal_text_is_no_expression(text: str) -> None:
    found = [function for function, _, _ in _list_references(text) if function != "concat"]

    assert found == []


def test_path_behind_first_or_last_is_parsed() -> None:
    """`first(…)?['name']` reads the member `name` of an item of the list."""
    (_, found) = list(find_function_calls("@first(body('List')?['value'])?['name']"))

    assert (found.function, found.argument) == ("body", "List")
    assert [(key.name, key.is_index) for key in found.keys] == [
        ("value", False),
        (None, True),
        ("name", False),
    ]


def test_key_that_is_an_expression_is_unknown() -> None:
    found = _list_references("@triggerBody()?[variables('key')]")

    assert found == [("triggerbody", "", [None]), ("variables", "key", [])]


def test_enclosing_function_of_a_reference_is_parsed() -> None:
    found = {one.function: one.inside for one in find_function_calls("@length(body('List'))")}

    assert found["body"] == "length"


@pytest.mark.parametrize(
    ("text", "is_whole"),
    [
        ("@body('List')?['value']", True),
        ("@{body('List')?['value']}", False),
        ("@concat(body('List'), '')", True),
        ("@body('List')?['value'][0] ", True),
        ("body('List')", False),
    ],
)
def test_only_a_whole_value_is_a_whole_reference(text: str, is_whole: bool) -> None:
    found: ExpressionReference | None = find_whole_reference(text)

    assert (found is not None) is is_whole


@pytest.mark.parametrize(
    "text", ["@body('List'", "@{body('List)", "@", "@{", "@body(", "@a[", "@a."]
)
def test_invalid_expression_raises_no_error(text: str) -> None:
    found = list(find_function_calls(text))

    assert len(found) <= 1
