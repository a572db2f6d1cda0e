"""One pass over each document, whatever the number of URLs that are looked for."""

import json

from shared.domain.callers.edit import holds, rewrite
from tests.performance.processor_time import least_time

WANTED = 1000
#: In a text that holds none of the wanted URLs; noise is all there is.
MOST_FOR_SEARCH = 2.0
_HEAD = "https://prod-7.westus.logic.azure.com:443/workflows/"
_REST = (
    "/triggers/manual/paths/invoke?api-version=2016-06-01&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig="
)


def _url(number: int) -> str:
    return f"{_HEAD}{number:032x}{_REST}{number:043}"


def test_looking_for_a_thousand_urls_takes_the_pass_of_one() -> None:
    """The ids wanted are a set that each URL of the text is looked up in."""
    text = json.dumps({"urls": [_url(number) for number in range(200)], "more": "x" * 100_000})
    absent = [f"{number:032x}" for number in range(10_000, 10_000 + WANTED)]

    one = least_time(lambda: holds(text, is_json=True, urls=set(absent[:1])), 5)
    many = least_time(lambda: holds(text, is_json=True, urls=set(absent)), 5)

    assert many / one <= MOST_FOR_SEARCH, many / one


def test_a_rewrite_with_a_thousand_copies_known_takes_little_more() -> None:
    """Each copy's URL is taken apart once, the text is passed over once."""
    text = json.dumps({"urls": [_url(number) for number in range(200)], "more": "x" * 100_000})
    copies = {f"{number:032x}": _url(number) for number in range(10_000, 10_000 + WANTED)}
    first = dict(list(copies.items())[:1])

    one = least_time(lambda: rewrite(text, is_json=True, urls=first, flow_ids={}), 5)
    many = least_time(lambda: rewrite(text, is_json=True, urls=copies, flow_ids={}), 5)
    parsing = least_time(lambda: [holds(url, is_json=False) for url in copies.values()], 5)

    assert many <= MOST_FOR_SEARCH * (one + parsing), (many, one, parsing)


def test_a_search_grows_evenly_with_the_text() -> None:
    """Ten times the URLs in one text take about ten times as long, not a hundred times."""
    short = json.dumps([_url(number) for number in range(100)])
    long = json.dumps([_url(number) for number in range(1000)])

    once = least_time(lambda: holds(short, is_json=True), 5)
    ten_times = least_time(lambda: holds(long, is_json=True), 5)

    assert ten_times / once <= 20, ten_times / once
