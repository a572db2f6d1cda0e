import json
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from shared.domain.trigger_urls.replacement import replace_in_json, replace_trigger_urls
from shared.domain.trigger_urls.signatures import (
    find_signatures,
    hash_signature,
    mask_signatures,
    unmask_signatures,
)
from shared.domain.trigger_urls.trigger_url import find_trigger_urls, parse_trigger_url, redact
from tests.property.trigger_url_texts import WRITINGS, draw_trigger_urls

#: Text that cannot be taken for a part of a URL beside it.
_AROUND = st.text(st.characters(exclude_characters="«»", codec="utf-8"), max_size=30).map(
    lambda text: f"{text} "
)


def _parse_id(url: str) -> str:
    found = parse_trigger_url(url)
    assert found is not None
    return found.trigger_url_id


@given(
    before=_AROUND,
    after=_AROUND,
    write=WRITINGS,
    old=draw_trigger_urls(),
    new=draw_trigger_urls(as_platform_gives=True),
)
def test_replacement_changes_only_the_url_and_can_be_reverted(
    before: str, after: str, write: Callable[[str], str], old: str, new: str
) -> None:
    platform_url = old.split("?")[0].split("/invoke")[0] + "/invoke?" + _get_platform_query(old)
    text = f"{before}{write(old)} {after}"

    changed = replace_trigger_urls(text, {_parse_id(old): new})

    assert changed.startswith(before)
    assert changed.endswith(f" {after}")
    assert [match.url for match in find_trigger_urls(changed)] == [parse_trigger_url(new)]
    assert replace_trigger_urls(changed, {_parse_id(new): platform_url}) == text


def _get_platform_query(url: str) -> str:
    names = ("api-version=", "sp=", "sv=", "sig=")
    return "&".join(part for part in url.split("?")[1].split("&") if part.startswith(names))


@given(
    write=WRITINGS,
    old=draw_trigger_urls(signed=False),
    new=draw_trigger_urls(as_platform_gives=True),
)
def test_replacement_adds_the_signature_that_the_copy_needs(
    write: Callable[[str], str], old: str, new: str
) -> None:
    """A URL may have no signature if its callers send a token."""
    unsigned = old.split("/invoke")[0] + "/invoke?" + _get_platform_query(old)

    signed = replace_trigger_urls(old, {_parse_id(old): new})

    assert [match.url for match in find_trigger_urls(signed)] == [parse_trigger_url(new)]
    assert replace_trigger_urls(signed, {_parse_id(new): unsigned}) == old
    written = replace_trigger_urls(write(signed), {_parse_id(new): unsigned})
    assert written == write(old)


@given(
    before=_AROUND,
    write=WRITINGS,
    url=draw_trigger_urls(),
    other=draw_trigger_urls(as_platform_gives=True),
)
def test_urls_of_other_workflows_are_not_changed(
    before: str, write: Callable[[str], str], url: str, other: str
) -> None:
    text = before + write(url)

    assert replace_trigger_urls(text, {"0" * 31 + "g": other}) == text


@given(before=_AROUND, after=_AROUND, write=WRITINGS, url=draw_trigger_urls())
def test_masked_signature_is_restored_exactly(
    before: str, after: str, write: Callable[[str], str], url: str
) -> None:
    signature = url.split("sig=")[1].split("&")[0]
    text = f"{before}{write(url)} {after}"

    masked = mask_signatures(text)

    assert signature not in masked
    assert mask_signatures(masked) == masked
    assert hash_signature(signature) in masked
    assert unmask_signatures(masked, find_signatures(text)) == text


@given(st.text(st.sampled_from("sigSIG=%23DdfF25u0026&?;\\\"': abc-_./~+\n")))
def test_unmasking_restores_any_text(text: str) -> None:
    """The text may contain something that looks like a masked signature."""
    masked = mask_signatures(text)

    assert mask_signatures(masked) == masked
    assert unmask_signatures(masked, find_signatures(text)) == text


@given(before=_AROUND, write=WRITINGS, url=draw_trigger_urls())
def test_redacted_text_has_no_secret(before: str, write: Callable[[str], str], url: str) -> None:
    """Nobody can call the flow with only the id that the text still contains."""
    redacted = redact(before + write(url))

    assert url.split("sig=")[1].split("&")[0] not in redacted
    assert _parse_id(url) in redacted


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(
    around=_JSON,
    old=draw_trigger_urls(),
    new=draw_trigger_urls(as_platform_gives=True),
    indent=st.sampled_from([None, 2, "\t"]),
    escaped=st.sets(st.sampled_from("/&=:?ahw")),
    ids=st.tuples(st.uuids(), st.uuids()).filter(lambda ids: ids[0] != ids[1]),
)
def test_replacement_in_json_keeps_all_other_bytes(
    around: object,
    old: str,
    new: str,
    indent: int | str | None,
    escaped: set[str],
    ids: tuple[object, object],
) -> None:
    child, copy = map(str, ids)
    pattern = {"before": around, "uri": "<1>", "workflowReferenceName": "<2>", "after": around}
    source = json.dumps(pattern, indent=indent, ensure_ascii=False)
    written = "".join(f"\\u{ord(c):04x}" if c in escaped else c for c in old)
    text = source.replace("<1>", written).replace("<2>", child.upper())

    changed = replace_in_json(text, urls={_parse_id(old): new}, flow_ids={child: copy})

    head, tail = source.split("<1>")
    assert changed.startswith(head)
    assert changed.endswith(tail.replace("<2>", copy))
    uri = json.loads(changed)["uri"]
    assert uri == replace_trigger_urls(old, {_parse_id(old): new})
