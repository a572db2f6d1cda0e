import json
import string

from hypothesis import given
from hypothesis import strategies as st

from shared.domain.callers.caller_edit import (
    contains_reference,
    format_edits,
    parse_edits,
    replace_references,
    revert_edits,
)
from shared.domain.trigger_urls.signatures import find_signatures

HEX = st.text("0123456789abcdef", min_size=32, max_size=32)
SIGNATURE = st.text(string.ascii_letters + string.digits + "-_", min_size=43, max_size=43)
CLASSIC = (
    "https://prod-01.westeurope.logic.azure.com:443/workflows/{id}/triggers/manual/paths/invoke"
    "{path}?api-version=2016-06-01&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig={sig}{extra}"
)
NEW = (
    "https://0a1b.2c.environment.api.powerplatform.com:443/powerautomate/automations/direct"
    "/workflows/{id}/triggers/manual/paths/invoke"
    "?api-version=1&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig={sig}"
)
GUIDS = st.uuids().map(str)
NOISE = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\\"), max_size=30)
OLD_IDS = ["a" * 32, "b" * 32, "c" * 32]


@st.composite
def draw_old_urls(draw: st.DrawFn) -> str:
    return CLASSIC.format(
        id=draw(st.sampled_from(OLD_IDS)),
        sig=draw(SIGNATURE),
        path=draw(st.sampled_from(["", "/orders/7", "/a/b"])),
        extra=draw(st.sampled_from(["", "&source=shop", "&tenant=1&x=2"])),
    )


@st.composite
def draw_plain_texts(draw: st.DrawFn) -> str:
    pieces = draw(
        st.lists(st.one_of(NOISE, draw_old_urls().map(lambda url: f' "{url}" ')), max_size=8)
    )
    return " ".join(pieces)


@st.composite
def draw_json_texts(draw: st.DrawFn) -> tuple[str, list[str]]:
    """Return a JSON text, and the ids of the child flows that it may run."""
    children = draw(st.lists(GUIDS, min_size=1, max_size=4))
    document = {
        "noise": draw(NOISE),
        "uris": draw(st.lists(draw_old_urls(), max_size=4)),
        "actions": [
            {"inputs": {"host": {"workflowReferenceName": draw(st.sampled_from(children))}}}
            for _ in range(draw(st.integers(0, 4)))
        ],
        draw(NOISE): draw(st.integers()),
    }
    indent = draw(st.sampled_from([None, 1, 4]))
    text = json.dumps(document, indent=indent, ensure_ascii=draw(st.booleans()))
    ampersand = draw(st.sampled_from(["&", "\\u0026"]))
    return text.replace("&", ampersand), children


@st.composite
def draw_replacements(draw: st.DrawFn) -> dict[str, str]:
    replaced = draw(st.sets(st.sampled_from(OLD_IDS)))
    new_id = HEX.filter(lambda one: one not in OLD_IDS)
    return {old: NEW.format(id=draw(new_id), sig=draw(SIGNATURE)) for old in sorted(replaced)}


@given(draw_plain_texts(), draw_replacements())
def test_revert_of_a_text_edit_restores_the_same_bytes(text: str, urls: dict[str, str]) -> None:
    done = replace_references(text, is_json=False, urls=urls, flow_ids={})

    edits = parse_edits(format_edits(done.edits))

    assert revert_edits(done.text, edits, find_signatures(text)) == text
    assert not contains_reference(done.text, is_json=False, urls=urls)


@given(draw_json_texts(), draw_replacements(), st.data())
def test_revert_of_a_json_edit_restores_the_same_bytes(
    document: tuple[str, list[str]], urls: dict[str, str], data: st.DataObject
) -> None:
    text, children = document
    flow_ids = {child: data.draw(GUIDS) for child in data.draw(st.sets(st.sampled_from(children)))}

    done = replace_references(text, is_json=True, urls=urls, flow_ids=flow_ids)

    assert revert_edits(done.text, done.edits, find_signatures(text)) == text
    assert not contains_reference(done.text, is_json=True, urls=urls, flow_ids=set(flow_ids))
    assert json.loads(done.text)["noise"] == json.loads(text)["noise"]


@given(draw_json_texts(), draw_replacements())
def test_edits_contain_no_signature(document: tuple[str, list[str]], urls: dict[str, str]) -> None:
    text, _ = document

    kept = format_edits(replace_references(text, is_json=True, urls=urls, flow_ids={}).edits)

    secrets = {**find_signatures(text), **find_signatures(" ".join(urls.values()))}
    assert not any(secret in kept for secret in secrets.values())


@given(draw_plain_texts(), draw_replacements())
def test_revert_can_be_repeated(text: str, urls: dict[str, str]) -> None:
    done = replace_references(text, is_json=False, urls=urls, flow_ids={})
    back = revert_edits(done.text, done.edits, find_signatures(text))

    assert revert_edits(back, done.edits, find_signatures(text)) == text
