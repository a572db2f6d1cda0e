import io
import re
from collections.abc import Callable
from urllib.parse import quote
from uuid import UUID

from hypothesis import example, given
from hypothesis import strategies as st

from cmkflow.scan_stream import scan_stream
from shared.domain.callers.scan_document import ReferenceShape
from shared.domain.trigger_urls.find_ids import find_known_ids, find_possible_ids
from shared.domain.trigger_urls.replacement import replace_trigger_urls
from shared.domain.trigger_urls.trigger_url import parse_trigger_url
from tests.property.trigger_url_texts import HEX_IDS, WRITINGS, draw_trigger_urls

_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=60)
_HEX_TEXT = st.text("0123456789abcdefABCDEF-%/x", max_size=80)
#: Encodings, and whether they mark themselves. UTF-16 without a mark has to be mostly ASCII.
_ENCODINGS = st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"])
_NEW = f"https://x.environment.api.powerplatform.com/workflows/{'9' * 32}/triggers/a/paths/invoke"
_NEW_URL = f"{_NEW}?api-version=1&sp=%2Ft&sv=1.0&sig={'n' * 43}"


def _write_partly_encoded(url: str) -> str:
    return url[:8] + quote(url[8:], safe="")


def _write_with_version(url: str) -> str:
    return url.replace("/triggers/", "/versions/08585/triggers/", 1)


def _write_without_host(url: str) -> str:
    return url[url.index("/workflows/") :]


_OTHER_WRITINGS = st.sampled_from(
    [
        _write_partly_encoded,
        _write_with_version,
        _write_without_host,
        lambda url: url.replace("/", "&#x2F;"),
        lambda url: url.removeprefix("https://"),
    ]
)


@given(
    before=_TEXT | _HEX_TEXT,
    after=_TEXT | _HEX_TEXT,
    write=WRITINGS | _OTHER_WRITINGS,
    url=draw_trigger_urls(),
    encoding=_ENCODINGS,
)
def test_known_trigger_url_is_found_in_every_encoding(
    before: str, after: str, write: Callable[[str], str], url: str, encoding: str
) -> None:
    parsed = parse_trigger_url(url)
    assert parsed is not None
    text = f"{before} {write(url)} {after}"

    found = list(scan_stream(io.BytesIO(text.encode(encoding)), {parsed.trigger_url_id.encode()}))

    assert {one.reference.id for one in found} == {parsed.trigger_url_id}
    changed = replace_trigger_urls(text, {parsed.trigger_url_id: _NEW_URL})
    is_replaced = changed != text
    assert any(not one.reference.manual_reason for one in found) == is_replaced


@given(
    before=_TEXT | _HEX_TEXT,
    after=_TEXT | _HEX_TEXT,
    number=st.integers(0, 2**128 - 1),
    write=st.sampled_from([str, str.upper, "{{{}}}".format]),
    has_dashes=st.booleans(),
    encoding=_ENCODINGS,
)
@example("%2F", "", 7, str, True, "utf-8")
@example("\n\nc", "a", 2**100, str.upper, False, "utf-16")
def test_known_id_is_found_at_its_offset(
    before: str,
    after: str,
    number: int,
    write: Callable[[str], str],
    has_dashes: bool,
    encoding: str,
) -> None:
    """The id may be between other hexadecimal digits."""
    identity = str(UUID(int=number)) if has_dashes else f"{number:032x}"
    data = (before + write(identity) + after).encode(encoding)

    found = list(scan_stream(io.BytesIO(data), {f"{number:032x}".encode()}))

    opening = write("x").lower().index("x")
    ahead = before + write("x")[:opening]
    place = len(ahead.encode(encoding)), ahead.count("\n") + 1, identity
    assert place in {(one.offset, one.line, one.reference.id) for one in found}
    assert {one.reference.shape for one in found} == {ReferenceShape.ID}


@given(url=draw_trigger_urls(), order=st.sampled_from(["utf-16-le", "utf-16-be"]))
def test_utf16_text_without_a_byte_order_mark_is_read(url: str, order: str) -> None:
    [found] = scan_stream(io.BytesIO(f"URL={url}".encode(order)), None)

    assert found.offset == 8
    assert found.reference.shape is ReferenceShape.PLAIN_URL


_LOOKALIKES = st.lists(
    st.text("0f-", max_size=50)
    | st.integers(0, 30).map("0,".__mul__)
    | st.integers(5, 12).map("a1b2".__mul__)
    | st.sampled_from(["x", "0123456, ", "-" * 40]),
    max_size=8,
).map("".join)


@given(text=_LOOKALIKES, sought=st.lists(HEX_IDS, max_size=3))
def test_fast_search_equals_a_pattern_search(text: str, sought: list[str]) -> None:
    """Some of the texts are made to mislead the fast search, which skips most of a text."""
    data = text.join(["", *sought, ""]).encode()
    ids = {one.encode() for one in (*sought, "0" * 32)}
    pattern = "|".join(one.decode() for one in ids)

    digits = {one for one in find_known_ids(data, ids) if one[1] - one[0] == 32}

    assert digits == {one.span(1) for one in re.finditer(f"(?=({pattern}))".encode(), data)}
    assert list(find_possible_ids(data)) == [
        (one.end() - 32, one.end()) for one in re.finditer(rb"[0-9a-f]{32,}", data)
    ]
