"""Replace trigger URLs and flow ids in a caller's text, and revert the replacements.

An edit describes one replaced reference: the old and the new text with each signature masked. To
revert it, the app asks the platform for the signatures again. A revert keeps what others have
changed in the text since the edit.
"""

import json
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum

from shared.domain.callers.url_secret import is_url_secret_reference
from shared.domain.definitions.json_literals import list_json_strings_around
from shared.domain.trigger_urls.replacement import replace_in_json, replace_trigger_urls
from shared.domain.trigger_urls.signatures import (
    find_signatures,
    mask_signatures,
    unmask_signatures,
)
from shared.domain.trigger_urls.trigger_url import find_trigger_urls

#: The key under which an action names the child flow that it runs.
CHILD_REFERENCE = "workflowReferenceName"
#: Part of every trigger URL (platform.md#url-shapes).
_URL_PART = "workflows"
_REFERENCE_PATTERN = re.compile(rf"{CHILD_REFERENCE}|(?i:{_URL_PART})")
_CHILD_REFERENCE_PATTERN = re.compile(CHILD_REFERENCE)


class EditConflict(ValueError):
    """The app cannot change or revert a caller's text safely, so a person has to check it."""

    def __init__(self, what: str) -> None:
        """`what` says what does not match. It must not contain a signature."""
        super().__init__(what)
        self.what = what


class FlowReferenceKind(StrEnum):
    """How a caller refers to a flow."""

    TRIGGER_URL = "trigger_url"
    CHILD_FLOW = "child_flow"
    #: The whole text refers to a secret instead of holding a trigger URL.
    SECRET_REFERENCE = "secret_reference"  # noqa: S105 -- the name of a kind


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowReference:
    """A trigger URL or child flow id in a text. Its start and end count characters."""

    kind: FlowReferenceKind
    #: 32 hex digits of a trigger URL, or the child flow's Dataverse id, in lower case.
    id: str
    start: int
    end: int
    #: False if the caller's own system inserts a part of the URL, so that it cannot be replaced.
    is_replaceable: bool = True
    #: True for a trigger URL on a host that no longer serves flows.
    is_retired: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerEdit:
    """The replacement of one reference in a caller's text, without any signature."""

    kind: FlowReferenceKind
    is_json: bool
    old_id: str
    new_id: str
    #: The replaced text, with a marker and the SHA-256 in place of each signature.
    old: str
    #: The new text, masked in the same way.
    new: str
    #: Which of the `count` references that read `new` after the change this one is, from 0.
    position: int
    occurrences: int
    #: `CallerContent.text_format` of the text that a reference to a secret replaces.
    old_format: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RewrittenText:
    """A changed text and its edits. `text` may hold signatures."""

    text: str = field(repr=False)
    edits: tuple[CallerEdit, ...]
    #: Trigger URL ids that could not be replaced because the caller's own system inserts a part of
    #: the URL.
    not_replaced: frozenset[str] = frozenset()


def find_flow_references(text: str, *, is_json: bool) -> tuple[FlowReference, ...]:
    """Return the trigger URLs in a text, in order. In JSON, also returns the child flow ids."""
    return tuple(_find_json_references(text) if is_json else _find_url_references(text))


def contains_reference(
    text: str, *, is_json: bool, urls: Collection[str] = (), flow_ids: Collection[str] = ()
) -> bool:
    """Return whether the text holds any of these trigger URL ids or child flow ids."""
    wanted = {FlowReferenceKind.TRIGGER_URL: urls, FlowReferenceKind.CHILD_FLOW: flow_ids}
    return any(
        reference.id in wanted[reference.kind]
        for reference in find_flow_references(text, is_json=is_json)
    )


def split_at_references(text: str, *, is_json: bool) -> list[str]:
    """Return the parts of a text before, between and after its references.

    For a reference to a secret, returns two empty parts, as for a URL alone.
    """
    if is_url_secret_reference(text):
        return ["", ""]  # as for the URL that it replaces
    return _split_text_around(text, find_flow_references(text, is_json=is_json))


def replace_references(
    text: str, *, is_json: bool, urls: Mapping[str, str], flow_ids: Mapping[str, str]
) -> RewrittenText:
    """Replace trigger URLs and child flow ids. All other characters stay.

    `urls` maps an original's 32-hex trigger URL id to the whole URL of its copy. `flow_ids` maps a
    child flow's Dataverse id to its copy's, and applies to JSON only. The keys of both are in lower
    case. Raises `EditConflict` if anything else would change, or if the change could not be
    reverted.
    """
    if is_json:
        new_text = replace_in_json(text, urls=urls, flow_ids=flow_ids)
    else:
        new_text = replace_trigger_urls(text, urls)
    before, after = (
        find_flow_references(text, is_json=is_json),
        find_flow_references(new_text, is_json=is_json),
    )
    if _split_text_around(text, before) != _split_text_around(new_text, after):
        raise EditConflict("The change would affect more than trigger URLs and flow ids")
    masked = [mask_signatures(new_text[reference.start : reference.end]) for reference in after]
    totals, seen = Counter(masked), Counter[str]()
    edits: list[CallerEdit] = []
    for old, new, new_masked in zip(before, after, masked, strict=True):
        raw = text[old.start : old.end]
        if raw != new_text[new.start : new.end]:
            edits.append(
                CallerEdit(
                    kind=old.kind,
                    is_json=is_json,
                    old_id=old.id,
                    new_id=new.id,
                    old=_mask_reversibly(raw),
                    new=new_masked,
                    position=seen[new_masked],
                    occurrences=totals[new_masked],
                )
            )
        seen[new_masked] += 1
    left = frozenset(
        reference.id
        for reference in before
        if not reference.is_replaceable and reference.id in urls
    )
    return RewrittenText(text=new_text, edits=tuple(edits), not_replaced=left)


def refer_to_secret(
    rewritten: RewrittenText, reference: str, old_format: str | None
) -> RewrittenText:
    """Replace the new trigger URL by a reference to the secret that contains it.

    `rewritten` must be a text that consists of exactly one trigger URL.
    """
    (edit,) = rewritten.edits
    kind = FlowReferenceKind.SECRET_REFERENCE
    edit = replace(edit, kind=kind, new=reference, old_format=old_format)
    return RewrittenText(text=reference, edits=(edit,))


def is_secret_reference(text: str, edits: Iterable[CallerEdit]) -> bool:
    """Return whether a text is the reference to a secret that one of these edits wrote."""
    return any(
        edit.kind is FlowReferenceKind.SECRET_REFERENCE and edit.new == text for edit in edits
    )


def find_format_before_reference(text: str, edits: Iterable[CallerEdit]) -> str | None:
    """Return the format of the text that an edit replaced by a reference to a secret.

    Returns None if `text` is not such a reference, or if its caller's texts have no format.
    """
    return next((edit.old_format for edit in edits if is_secret_reference(text, [edit])), None)


def replace_secret_reference(text: str, edits: Iterable[CallerEdit], url: str) -> RewrittenText:
    """Replace a reference to a secret by a trigger URL.

    `text` must be a reference that one of `edits` wrote. A revert of the new edit restores the text
    from before the reference.
    """
    edit = next(edit for edit in edits if is_secret_reference(text, [edit]))
    edit = replace(edit, kind=FlowReferenceKind.TRIGGER_URL, new=_mask_reversibly(url))
    return RewrittenText(text=url, edits=(edit,))


def revert_edits(text: str, edits: Sequence[CallerEdit], signatures: Mapping[str, str]) -> str:
    """Restore the replaced text of each edit. Edits that are already reverted change nothing.

    `signatures` maps the SHA-256 of each original signature to the signature that the platform
    returns now. Raises `SignatureChanged` if a signature has changed, and `EditConflict` if a
    reference was changed since or cannot be identified.
    """
    for edit in edits:
        if is_secret_reference(text, [edit]):
            return unmask_signatures(edit.old, signatures)
    if not edits:
        return text
    references = find_flow_references(text, is_json=edits[0].is_json)
    masked = [mask_signatures(text[reference.start : reference.end]) for reference in references]
    edits = _select_edits_to_revert(edits, masked)
    restored: dict[int, str] = {}
    unchanged = Counter(masked)
    ours = Counter(edit.new for edit in edits)
    olds = {new: {edit.old for edit in edits if edit.new == new} for new in ours}
    for edit in edits:
        matches = [index for index, found in enumerate(masked) if found == edit.new]
        if len(matches) == edit.occurrences:
            restored[matches[edit.position]] = unmask_signatures(edit.old, signatures)
        elif (
            matches
            and len(matches) < edit.occurrences == ours[edit.new]
            and len(olds[edit.new]) == 1
        ):
            # Somebody reverted some of these references. The others all have the same old text.
            restored |= dict.fromkeys(matches, unmask_signatures(edit.old, signatures))
        elif unchanged[edit.old] and not matches:
            unchanged[edit.old] -= 1
        else:
            raise EditConflict(_format_conflict(edit, len(matches)))
    pieces, position = [], 0
    for index in sorted(restored):
        pieces += [text[position : references[index].start], restored[index]]
        position = references[index].end
    return "".join([*pieces, text[position:]])


def _select_edits_to_revert(edits: Sequence[CallerEdit], masked: Sequence[str]) -> list[CallerEdit]:
    """Leave out edits that wrote a reference to a secret, if there are other edits or the old URL
    is back.
    """
    urls = [edit for edit in edits if edit.kind is not FlowReferenceKind.SECRET_REFERENCE]
    return urls or [edit for edit in edits if edit.old not in masked]


def merge_edits(
    earlier: Sequence[CallerEdit], later: Sequence[CallerEdit]
) -> tuple[CallerEdit, ...]:
    """Combine the edits of two rewrites of a text. Others may have changed the text in between.

    `later` was made on the latest text, so its counts of occurrences are the current ones.
    """
    merged: list[CallerEdit] = []
    by_new: dict[str, dict[CallerEdit, None]] = {}
    for edit in (*earlier, *later):
        by_new.setdefault(edit.new, {})[edit] = None
    counts = {edit.new: edit.occurrences for edit in (*earlier, *later)}
    for new, edits in by_new.items():
        count = counts[new]
        if len({edit.old for edit in edits}) == 1 and len(edits) >= count:
            same = next(iter(edits))
            merged += [replace(same, position=number, occurrences=count) for number in range(count)]
        else:
            merged += edits
    return tuple(merged)


def format_edits(edits: Iterable[CallerEdit]) -> str:
    """Return edits as JSON text for a state row."""
    rows = [asdict(edit) for edit in edits]
    for row in rows:
        if row["old_format"] is None:
            del row["old_format"]
    return json.dumps(rows, ensure_ascii=False, separators=(",", ":"))


def parse_edits(text: str) -> tuple[CallerEdit, ...]:
    """Parse the text that `format_edits` returned."""
    return tuple(
        CallerEdit(**{**edit, "kind": FlowReferenceKind(edit["kind"])}) for edit in json.loads(text)
    )


def _find_url_references(text: str) -> list[FlowReference]:
    return [
        FlowReference(
            kind=FlowReferenceKind.TRIGGER_URL,
            id=match.url.trigger_url_id,
            start=match.start,
            end=match.end,
            is_replaceable=match.is_replaceable,
            is_retired=match.url.is_retired,
        )
        for match in find_trigger_urls(text)
    ]


def _find_json_references(text: str) -> list[FlowReference]:
    references: list[FlowReference] = []
    # Most definitions hold no reference. This check avoids parsing their strings.
    has_urls = _URL_PART in text.lower()
    if not has_urls and CHILD_REFERENCE not in text:
        return references
    for string in list_json_strings_around(
        text, _REFERENCE_PATTERN if has_urls else _CHILD_REFERENCE_PATTERN
    ):
        if string.key == CHILD_REFERENCE:
            bare = string.value.strip("{}")
            first = string.value.find(bare)
            start, end = string.find_source_span(first, first + len(bare))
            kind = FlowReferenceKind.CHILD_FLOW
            references.append(FlowReference(kind=kind, id=bare.lower(), start=start, end=end))
            continue
        for found in _find_url_references(string.value):
            start, end = string.find_source_span(found.start, found.end)
            references.append(replace(found, start=start, end=end))
    return references


def _split_text_around(text: str, references: Sequence[FlowReference]) -> list[str]:
    starts = [reference.start for reference in references]
    ends = [reference.end for reference in references]
    return [text[end:start] for end, start in zip([0, *ends], [*starts, len(text)], strict=True)]


def _mask_reversibly(raw: str) -> str:
    masked = mask_signatures(raw)
    if unmask_signatures(masked, find_signatures(raw)) != raw:
        raise EditConflict("A signature is encoded in a way that could not be restored")
    return masked


def _format_conflict(edit: CallerEdit, found_count: int) -> str:
    if edit.kind is FlowReferenceKind.SECRET_REFERENCE:
        return "The reference to a secret that the app wrote is gone: somebody has changed it"
    what = "trigger URL" if edit.kind is FlowReferenceKind.TRIGGER_URL else "child flow"
    return (
        f"The {what} {edit.new_id} that replaced {edit.old_id} was written {edit.occurrences} "
        f"times and is there {found_count} times: somebody has changed the caller"
    )
