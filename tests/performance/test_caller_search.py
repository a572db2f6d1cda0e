import json

from shared.domain.callers.caller_edit import contains_reference, replace_references
from tests.performance.operation_count import count_operations

WANTED = 1000
_HEAD = "https://prod-7.westus.logic.azure.com:443/workflows/"
_REST = (
    "/triggers/manual/paths/invoke?api-version=2016-06-01&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig="
)


def _build_url(number: int) -> str:
    return f"{_HEAD}{number:032x}{_REST}{number:043}"


def test_search_for_1000_urls_costs_as_much_as_for_one() -> None:
    text = json.dumps(
        {"urls": [_build_url(number) for number in range(200)], "more": "x" * 100_000}
    )
    absent = [f"{number:032x}" for number in range(10_000, 10_000 + WANTED)]
    first, all_of_them = set(absent[:1]), set(absent)

    one = count_operations(lambda: contains_reference(text, is_json=True, urls=first))
    many = count_operations(lambda: contains_reference(text, is_json=True, urls=all_of_them))

    assert many == one


def test_replacement_with_1000_known_copies_costs_little_more() -> None:
    text = json.dumps(
        {"urls": [_build_url(number) for number in range(200)], "more": "x" * 100_000}
    )
    copies = {f"{number:032x}": _build_url(number) for number in range(10_000, 10_000 + WANTED)}
    first = dict(list(copies.items())[:1])

    one = count_operations(lambda: replace_references(text, is_json=True, urls=first, flow_ids={}))
    many = count_operations(
        lambda: replace_references(text, is_json=True, urls=copies, flow_ids={})
    )
    parsing = count_operations(
        lambda: [contains_reference(url, is_json=False) for url in copies.values()]
    )

    assert many <= one + parsing, (many, one, parsing)


def test_cost_of_a_search_is_proportional_to_the_text() -> None:
    short = json.dumps([_build_url(number) for number in range(100)])
    long = json.dumps([_build_url(number) for number in range(1000)])

    once = count_operations(lambda: contains_reference(short, is_json=True))
    ten_times = count_operations(lambda: contains_reference(long, is_json=True))

    assert ten_times / once <= 10.5, ten_times / once
