import pytest

from local_cloud.tenant.core.odata import (
    parse_expansions,
    parse_filter,
    parse_order,
    select_paths,
    select_properties,
)
from local_cloud.tenant.core.platform_error import SimulatedPlatformError

ROW = {
    "startTime": "2026-07-01T10:00:00.1234560Z",
    "name": "O'Neil's flow",
    "statecode": 1,
    "ismanaged": False,
    "parent": None,
    "size": 2.5,
}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("statecode eq 1", True),
        ("statecode ne 1", False),
        ("statecode ge 1 and statecode lt 2", True),
        ("size gt 2.4", True),
        ("name eq 'o''neil''s flow'", True),
        ("ismanaged eq false", True),
        ("parent eq null", True),
        ("parent gt 3", False),
        ("startTime ge 2026-07-01T10:00:00Z", True),
        ("startTime lt 2026-07-01T12:00:01+02:00", True),
        ("startTime lt 2026-07-01T10:00:00Z", False),
        ("contains(name,'NEIL')", True),
        ("not contains(name,'neil')", False),
        ("statecode eq 2 or statecode eq 1 and ismanaged eq true", False),
        ("(statecode eq 2 or statecode eq 1) and ismanaged eq false", True),
        ("not (statecode eq 2)", True),
    ],
)
def test_filters_match_as_in_odata(text: str, holds: bool) -> None:
    assert parse_filter(text)(ROW) is holds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "name",
        "name eq",
        "name eq 'open",
        "name near 'x'",
        "(name eq 'x'",
        "a eq 1 b eq 2",
        "f(a,1)",
    ],
)
def test_unsupported_filter_is_rejected(text: str) -> None:
    with pytest.raises(SimulatedPlatformError) as refusal:
        parse_filter(text)

    assert refusal.value.status == 400


def test_select_keeps_annotations_and_the_key() -> None:
    row = {"@odata.etag": 'W/"1"', "rowid": "7", "name": "a", "size": 1}

    kept = {"@odata.etag": 'W/"1"', "rowid": "7", "name": "a"}
    assert select_properties(row, "name", keeps={"rowid"}) == kept


def test_select_of_a_path_keeps_id_and_name() -> None:
    """A path such as `properties.state` keeps only this member, besides the id and the name."""
    body = {"id": "/a", "name": "a", "properties": {"size": 1, "links": {"api": "x", "web": "y"}}}

    chosen = select_paths(body, "properties.links.api")

    assert chosen == {"id": "/a", "name": "a", "properties": {"links": {"api": "x"}}}
    with pytest.raises(SimulatedPlatformError):
        select_paths(body, "properties.link.api")


def test_expand_is_parsed_with_the_select_of_each_property() -> None:
    assert parse_expansions("a,b($select=c,d)") == {"a": None, "b": "c,d"}
    for text in ("a($top=1)", "a;b", "a($select=b"):
        with pytest.raises(SimulatedPlatformError):
            parse_expansions(text)


def test_select_rejects_an_unknown_column() -> None:
    with pytest.raises(SimulatedPlatformError):
        select_properties({"name": "a"}, "nmae", keeps=())


@pytest.mark.parametrize("text", ["nmae eq 'a'", "nmae gt 1", "contains(nmae,'a')"])
def test_a_filter_of_an_unknown_column_is_rejected(text: str) -> None:
    """Otherwise, a misspelled column would match no row, or all rows."""
    with pytest.raises(SimulatedPlatformError):
        parse_filter(text)(ROW)


@pytest.mark.parametrize("text", ["n up", "n,m", "n desc, m"])
def test_unsupported_order_is_rejected(text: str) -> None:
    with pytest.raises(SimulatedPlatformError):
        parse_order(text)


def test_rows_without_a_value_sort_first() -> None:
    rows: list[dict[str, int | None]] = [{"n": 2}, {"n": None}, {"n": 1}]
    key, descending = parse_order("n desc")

    assert [row["n"] for row in sorted(rows, key=key, reverse=descending)] == [2, 1, None]
