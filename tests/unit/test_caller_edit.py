import json
import os
from pathlib import Path

import pytest

from shared.domain.callers.caller_edit import (
    EditConflict,
    FlowReferenceKind,
    contains_reference,
    find_flow_references,
    find_format_before_reference,
    format_edits,
    merge_edits,
    parse_edits,
    refer_to_secret,
    replace_references,
    replace_secret_reference,
    revert_edits,
    split_at_references,
)
from shared.domain.trigger_urls.signatures import SignatureChanged, find_signatures

OLD_ID, NEW_ID = "0" * 31 + "a", "0" * 31 + "b"
CHILD, CHILD_COPY = "1111aaaa-0000-0000-0000-000000000001", "2222bbbb-0000-0000-0000-000000000002"
OLD_SIGNATURE, NEW_SIGNATURE = "o" * 43, "n" * 43


def build_old_url(path: str = "", signature: str = OLD_SIGNATURE) -> str:
    return (
        f"https://prod-7.westus.logic.azure.com:443/workflows/{OLD_ID}/triggers/manual/paths/invoke"
        f"{path}?api-version=2016-06-01&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig={signature}"
    )


NEW_URL = (
    "https://0a.1b.environment.api.powerplatform.com:443/powerautomate/automations/direct/workflows"
    f"/{NEW_ID}/triggers/manual/paths/invoke"
    f"?api-version=1&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig={NEW_SIGNATURE}"
)
URLS = {OLD_ID: NEW_URL}


def test_edit_keeps_the_path_and_the_text_around_the_url() -> None:
    text = f"url = {build_old_url('/orders')} ; retries = 3"

    done = replace_references(text, is_json=False, urls=URLS, flow_ids={})

    assert done.text == f"url = {NEW_URL.replace('invoke?', 'invoke/orders?')} ; retries = 3"
    assert [edit.new_id for edit in done.edits] == [NEW_ID]


def test_a_text_without_the_original_is_not_edited() -> None:
    text = build_old_url().replace(OLD_ID, "f" * 32)

    done = replace_references(text, is_json=False, urls=URLS, flow_ids={})

    assert (done.text, done.edits, done.not_replaced) == (text, (), frozenset())


def test_child_flow_id_is_replaced_only_in_a_call_of_the_child() -> None:
    """In any other member, the same GUID means something else."""
    text = json.dumps({"host": {"workflowReferenceName": CHILD.upper()}, "note": CHILD})

    done = replace_references(text, is_json=True, urls={}, flow_ids={CHILD: CHILD_COPY})

    assert json.loads(done.text) == {"host": {"workflowReferenceName": CHILD_COPY}, "note": CHILD}
    assert revert_edits(done.text, done.edits, {}) == text


def test_url_with_a_signature_from_a_parameter_is_not_replaced_and_is_reported() -> None:
    """The app cannot insert the new signature into a parameter."""
    text = build_old_url(signature="@{parameters('sig')}")

    done = replace_references(text, is_json=False, urls=URLS, flow_ids={})

    assert done.text == text
    assert done.not_replaced == {OLD_ID}
    assert contains_reference(done.text, is_json=False, urls={OLD_ID})


def test_revert_keeps_later_changes_at_other_places() -> None:
    text = json.dumps({"uri": build_old_url(), "retries": 3})
    done = replace_references(text, is_json=True, urls=URLS, flow_ids={})
    meanwhile = done.text.replace('"retries": 3', '"retries": 5, "owner": "ops"')

    back = revert_edits(meanwhile, done.edits, find_signatures(text))

    assert json.loads(back) == {"uri": build_old_url(), "retries": 5, "owner": "ops"}


def test_revert_changes_only_the_edited_one_of_two_equal_urls() -> None:
    text = f"first={NEW_URL} second={build_old_url()} third={NEW_URL}"
    done = replace_references(text, is_json=False, urls=URLS, flow_ids={})

    assert revert_edits(done.text, done.edits, find_signatures(text)) == text


def test_revert_raises_edit_conflict_if_the_place_was_changed() -> None:
    text = build_old_url("/orders")
    done = replace_references(text, is_json=False, urls=URLS, flow_ids={})
    meanwhile = done.text.replace("/orders", "/invoices")

    with pytest.raises(EditConflict, match="changed the caller") as conflict:
        revert_edits(meanwhile, done.edits, find_signatures(text))

    assert NEW_SIGNATURE not in conflict.value.what


def test_revert_raises_edit_conflict_for_two_equal_places() -> None:
    """The app cannot know which of the two places it edited."""
    done = replace_references(build_old_url(), is_json=False, urls=URLS, flow_ids={})

    with pytest.raises(EditConflict):
        revert_edits(f"{done.text} {done.text}", done.edits, find_signatures(build_old_url()))


def test_revert_accepts_places_that_were_restored_manually() -> None:
    text = f"first={build_old_url()} second={build_old_url()}"
    done = replace_references(text, is_json=False, urls=URLS, flow_ids={})
    first, _, second = done.text.partition(" second=")
    put_back = f"first={build_old_url()} second={second}"

    assert first != put_back
    assert revert_edits(put_back, done.edits, find_signatures(text)) == text


@pytest.mark.parametrize("pattern", ["{old} {new}", "{new} {old}", "{new} {old} {old}"])
def test_revert_restores_a_text_that_was_edited_twice(pattern: str) -> None:
    """A person changed the text between the two edits."""
    first = replace_references(build_old_url(), is_json=False, urls=URLS, flow_ids={})
    between = pattern.format(old=build_old_url(), new=first.text)
    second = replace_references(between, is_json=False, urls=URLS, flow_ids={})

    edits = merge_edits(first.edits, second.edits)

    text = pattern.format(old=build_old_url(), new=build_old_url())
    assert revert_edits(second.text, edits, find_signatures(text)) == text


def test_revert_raises_signature_changed_for_a_regenerated_signature() -> None:
    """The edit stores a hash of the old signature. If the platform now returns another signature,
    the app does not revert.
    """
    done = replace_references(build_old_url(), is_json=False, urls=URLS, flow_ids={})

    with pytest.raises(SignatureChanged):
        revert_edits(done.text, done.edits, find_signatures(build_old_url(signature="x" * 43)))


def test_edits_survive_a_state_row() -> None:
    text = json.dumps({"uri": build_old_url(), "host": {"workflowReferenceName": CHILD}})
    done = replace_references(text, is_json=True, urls=URLS, flow_ids={CHILD: CHILD_COPY})

    assert parse_edits(format_edits(done.edits)) == done.edits
    assert len(done.edits) == 2


def test_repr_of_an_edit_contains_no_signature() -> None:
    done = replace_references(build_old_url(), is_json=False, urls=URLS, flow_ids={})

    assert OLD_SIGNATURE not in repr(done)
    assert NEW_SIGNATURE not in repr(done)


def _read_text(path: Path) -> str:
    content = path.read_bytes()
    is_wide = content[:2] in {b"\xff\xfe", b"\xfe\xff"}
    return content.decode("utf-16" if is_wide else "utf-8-sig")


@pytest.mark.corpus
@pytest.mark.skipif("FLOW_CORPUS" not in os.environ, reason="FLOW_CORPUS is not set")
@pytest.mark.parametrize("folder", ["flows", "callers"])
def test_every_real_file_is_edited_and_reverted(folder: str) -> None:
    edited = 0
    for path in sorted(Path(os.environ["FLOW_CORPUS"], folder).rglob("*.*")):
        if path.suffix not in {".json", ".xml"}:
            continue
        text, is_json = _read_text(path), path.suffix == ".json"
        mentions = find_flow_references(text, is_json=is_json)
        urls = {one.id: NEW_URL for one in mentions if one.kind is FlowReferenceKind.TRIGGER_URL}
        flow_ids = {
            one.id: CHILD_COPY for one in mentions if one.kind is FlowReferenceKind.CHILD_FLOW
        }

        done = replace_references(text, is_json=is_json, urls=urls, flow_ids=flow_ids)
        edited += len(done.edits)

        left = find_flow_references(done.text, is_json=is_json)
        assert {one.id for one in left} <= {NEW_ID, CHILD_COPY} | done.not_replaced, path.name
        assert revert_edits(done.text, done.edits, find_signatures(text)) == text, path.name
    assert edited


REFERENCE = "@Microsoft.KeyVault(SecretUri=https://kv.vault.azure.net/secrets/trigger-url-1)"


def test_reference_to_a_secret_is_reverted_byte_for_byte() -> None:
    old = build_old_url()
    written = replace_references(old, is_json=False, urls=URLS, flow_ids={})
    referring = refer_to_secret(written, REFERENCE, "text/plain")
    stored = format_edits(referring.edits)
    edits, signatures = parse_edits(stored), find_signatures(old)

    assert referring.text == REFERENCE
    assert OLD_SIGNATURE not in stored
    assert NEW_SIGNATURE not in stored
    assert [revert_edits(text, edits, signatures) for text in (REFERENCE, old)] == [old, old]
    assert [find_format_before_reference(text, edits) for text in (REFERENCE, old)] == [
        "text/plain",
        None,
    ]
    with pytest.raises(EditConflict, match="reference to a secret"):
        revert_edits("another value", edits, signatures)


def test_url_in_place_of_a_reference_is_reverted_byte_for_byte() -> None:
    old = build_old_url()
    written = replace_references(old, is_json=False, urls=URLS, flow_ids={})
    referring = refer_to_secret(written, REFERENCE, None)
    holding = replace_secret_reference(REFERENCE, referring.edits, NEW_URL)
    edits, signatures = merge_edits(referring.edits, holding.edits), find_signatures(old)
    reverted = [revert_edits(text, edits, signatures) for text in (REFERENCE, NEW_URL, old)]

    assert holding.text == NEW_URL
    assert "old_format" not in format_edits(edits)
    assert reverted == [old] * 3


def test_reference_to_a_secret_has_nothing_around_it() -> None:
    """A comparison of the text around URLs must see no change if a reference replaces a URL."""
    around = split_at_references(build_old_url(), is_json=False)

    assert split_at_references(REFERENCE, is_json=False) == around
