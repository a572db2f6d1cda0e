"""The local tenant's reading of OData query options."""

import pytest

from local_cloud.tenant.core.odata import parse_filter, select, sort_key
from local_cloud.tenant.core.platform_error import PlatformError

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
def test_filters_hold_as_odata_says(text: str, holds: bool) -> None:
    """`and` binds closer than `or`; text compares without regard to case."""
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
def test_what_is_not_understood_is_refused(text: str) -> None:
    """A filter is never half applied."""
    with pytest.raises(PlatformError) as refusal:
        parse_filter(text)

    assert refusal.value.status == 400


def test_select_keeps_annotations() -> None:
    """The etag comes with every row."""
    row = {"@odata.etag": 'W/"1"', "name": "a", "size": 1}

    assert select(row, "name") == {"@odata.etag": 'W/"1"', "name": "a"}


def test_select_refuses_an_unknown_column() -> None:
    """A slip in a name is seen at once."""
    with pytest.raises(PlatformError):
        select({"name": "a"}, "nmae")


def test_rows_without_a_value_sort_first() -> None:
    """Ascending order begins with null."""
    rows: list[dict[str, int | None]] = [{"n": 2}, {"n": None}, {"n": 1}]
    key, descending = sort_key("n desc")

    assert [row["n"] for row in sorted(rows, key=key, reverse=descending)] == [2, 1, None]
