"""Changes what a caller holds, and remembers how to put it back without keeping a secret.

An edit is one place in a text: what stood there with each signature masked, and what stands there
now. Undoing asks the platform for the signatures again; what somebody changed elsewhere in the
text meanwhile stays.
"""

import json
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum

from shared.domain.definitions.json_literals import json_strings_around
from shared.domain.trigger_urls.trigger_url import (
    SignatureChanged,
    find_trigger_urls,
    mask_signatures,
    replace_in_json,
    replace_trigger_urls,
    signatures_in,
    unmask_signatures,
)

__all__ = [
    "CHILD_REFERENCE",
    "CallerEdit",
    "EditConflict",
    "FlowReference",
    "FlowReferenceKind",
    "RewrittenText",
    "SignatureChanged",
    "contains_reference",
    "edits_from_json",
    "edits_to_json",
    "find_references",
    "merge_edits",
    "replace_references",
    "revert_edits",
    "text_between_references",
]

#: The key under which an action names the child flow that it runs.
CHILD_REFERENCE = "workflowReferenceName"
#: Stands in every trigger URL (platform.md#url-shapes).
_URL_WORD = "workflows"
_MENTIONING = re.compile(rf"{CHILD_REFERENCE}|(?i:{_URL_WORD})")
_MENTIONING_FLOWS = re.compile(CHILD_REFERENCE)


class EditConflict(ValueError):
    """A caller's text is not what it must be for the change: a person has to look."""

    def __init__(self, what: str) -> None:
        """`what` says what does not fit; it never holds a signature."""
        super().__init__(what)
        self.what = what


class FlowReferenceKind(StrEnum):
    """What a text mentions."""

    TRIGGER_URL = "trigger_url"
    CHILD_FLOW = "child_flow"


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowReference:
    """One trigger URL or child-flow id in a text; offsets count its characters."""

    kind: FlowReferenceKind
    #: 32 hex digits of a trigger URL, or a child's Dataverse id; lower case
    id: str
    start: int
    end: int
    #: False where the caller's own system fills in a part: nothing can be put there
    is_replaceable: bool = True
    #: True for a trigger URL on a host that flows have left
    is_retired: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerEdit:
    """One changed place, without any signature."""

    kind: FlowReferenceKind
    is_json: bool
    old_id: str
    new_id: str
    #: what stood there, each signature replaced by a marker with its SHA-256
    old: str
    #: what stands there now, masked likewise
    new: str
    #: which of the `count` places that read `new` after the change
    ordinal: int
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RewrittenText:
    """A changed text and what was changed in it. `text` may hold signatures."""

    text: str = field(repr=False)
    edits: tuple[CallerEdit, ...]
    #: trigger URL ids that were to go but cannot: the caller's own system fills in a part of them
    left: frozenset[str] = frozenset()


def find_references(text: str, *, is_json: bool) -> tuple[FlowReference, ...]:
    """Return every trigger URL of a text, and in JSON source every child-flow id, in order."""
    return tuple(_json_mentions(text) if is_json else _url_mentions(text))


def contains_reference(
    text: str, *, is_json: bool, urls: Collection[str] = (), flow_ids: Collection[str] = ()
) -> bool:
    """Say whether any of these trigger URL ids or child-flow ids still stands in the text."""
    wanted = {FlowReferenceKind.TRIGGER_URL: urls, FlowReferenceKind.CHILD_FLOW: flow_ids}
    return any(
        mention.id in wanted[mention.kind] for mention in find_references(text, is_json=is_json)
    )


def text_between_references(text: str, *, is_json: bool) -> list[str]:
    """Return what stands before, between and after the mentions: no change of ours touches it."""
    return _around(text, find_references(text, is_json=is_json))


def replace_references(
    text: str, *, is_json: bool, urls: Mapping[str, str], flow_ids: Mapping[str, str]
) -> RewrittenText:
    """Put new trigger URLs and child-flow ids where the old ones stand; all other bytes stay.

    `urls` maps an original's 32-hex id to its copy's whole URL as the platform gave it, `flow_ids`
    a child's Dataverse id to its copy's; both keys in lower case. Ids in a text that is not JSON
    are left alone. Raises `EditConflict` when anything else would change or could not be undone.
    """
    if is_json:
        new_text = replace_in_json(text, urls=urls, flow_ids=flow_ids)
    else:
        new_text = replace_trigger_urls(text, urls)
    before, after = (
        find_references(text, is_json=is_json),
        find_references(new_text, is_json=is_json),
    )
    if _around(text, before) != _around(new_text, after):
        raise EditConflict("The change would touch more than trigger URLs and flow ids")
    masked = [mask_signatures(new_text[mention.start : mention.end]) for mention in after]
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
                    old=_reversibly_masked(raw),
                    new=new_masked,
                    ordinal=seen[new_masked],
                    count=totals[new_masked],
                )
            )
        seen[new_masked] += 1
    left = frozenset(
        mention.id for mention in before if not mention.is_replaceable and mention.id in urls
    )
    return RewrittenText(text=new_text, edits=tuple(edits), left=left)


def revert_edits(text: str, edits: Sequence[CallerEdit], signatures: Mapping[str, str]) -> str:
    """Put back what stood at each edited place; an edit that is undone already stays so.

    `signatures` maps the SHA-256 of each original's signature to the signature, as the platform
    gives it now. Raises `SignatureChanged` when one no longer fits, `EditConflict` when a place
    has changed or cannot be told from another.
    """
    if not edits:
        return text
    mentions = find_references(text, is_json=edits[0].is_json)
    masked = [mask_signatures(text[mention.start : mention.end]) for mention in mentions]
    restored: dict[int, str] = {}
    undone = Counter(masked)
    ours = Counter(edit.new for edit in edits)
    olds = {new: {edit.old for edit in edits if edit.new == new} for new in ours}
    for edit in edits:
        standing = [index for index, found in enumerate(masked) if found == edit.new]
        if len(standing) == edit.count:
            restored[standing[edit.ordinal]] = unmask_signatures(edit.old, signatures)
        elif standing and len(standing) < edit.count == ours[edit.new] and len(olds[edit.new]) == 1:
            # Somebody put some of them back: each one that is left stands for the same.
            restored |= dict.fromkeys(standing, unmask_signatures(edit.old, signatures))
        elif undone[edit.old] and not standing:
            undone[edit.old] -= 1
        else:
            raise EditConflict(_difference(edit, len(standing)))
    pieces, position = [], 0
    for index in sorted(restored):
        pieces += [text[position : mentions[index].start], restored[index]]
        position = mentions[index].end
    return "".join([*pieces, text[position:]])


def merge_edits(
    earlier: Sequence[CallerEdit], later: Sequence[CallerEdit]
) -> tuple[CallerEdit, ...]:
    """Return all edits of a text that was rewritten, partly put back or added to, and rewritten.

    `later` was made on the text as it stood then: it tells how often each new text stands there.
    """
    merged: list[CallerEdit] = []
    by_new: dict[str, dict[CallerEdit, None]] = {}
    for edit in (*earlier, *later):
        by_new.setdefault(edit.new, {})[edit] = None
    counts = {edit.new: edit.count for edit in (*earlier, *later)}
    for new, edits in by_new.items():
        count = counts[new]
        if len({edit.old for edit in edits}) == 1 and len(edits) >= count:
            same = next(iter(edits))
            merged += [replace(same, ordinal=number, count=count) for number in range(count)]
        else:
            merged += edits
    return tuple(merged)


def edits_to_json(edits: Iterable[CallerEdit]) -> str:
    """Return edits as JSON text for a state row."""
    return json.dumps([asdict(edit) for edit in edits], ensure_ascii=False, separators=(",", ":"))


def edits_from_json(text: str) -> tuple[CallerEdit, ...]:
    """Read what `edits_to_json` wrote."""
    return tuple(
        CallerEdit(**{**edit, "kind": FlowReferenceKind(edit["kind"])}) for edit in json.loads(text)
    )


def _url_mentions(text: str) -> list[FlowReference]:
    return [
        FlowReference(
            kind=FlowReferenceKind.TRIGGER_URL,
            id=match.url.workflow_id,
            start=match.start,
            end=match.end,
            is_replaceable=match.is_replaceable,
            is_retired=match.url.is_retired,
        )
        for match in find_trigger_urls(text)
    ]


def _json_mentions(text: str) -> list[FlowReference]:
    mentions: list[FlowReference] = []
    # Most definitions mention nobody: one cheap look saves the walk over their strings.
    has_urls = _URL_WORD in text.lower()
    if not has_urls and CHILD_REFERENCE not in text:
        return mentions
    for string in json_strings_around(text, _MENTIONING if has_urls else _MENTIONING_FLOWS):
        if string.key == CHILD_REFERENCE:
            bare = string.value.strip("{}")
            first = string.value.find(bare)
            start, end = string.source_span(first, first + len(bare))
            kind = FlowReferenceKind.CHILD_FLOW
            mentions.append(FlowReference(kind=kind, id=bare.lower(), start=start, end=end))
            continue
        for found in _url_mentions(string.value):
            start, end = string.source_span(found.start, found.end)
            mentions.append(replace(found, start=start, end=end))
    return mentions


def _around(text: str, mentions: Sequence[FlowReference]) -> list[str]:
    """Return the text between the mentions."""
    starts = [mention.start for mention in mentions]
    ends = [mention.end for mention in mentions]
    return [text[end:start] for end, start in zip([0, *ends], [*starts, len(text)], strict=True)]


def _reversibly_masked(raw: str) -> str:
    masked = mask_signatures(raw)
    if unmask_signatures(masked, signatures_in(raw)) != raw:
        raise EditConflict("A signature is written in a way that could not be put back")
    return masked


def _difference(edit: CallerEdit, standing: int) -> str:
    what = "trigger URL" if edit.kind is FlowReferenceKind.TRIGGER_URL else "child flow"
    return (
        f"The {what} {edit.new_id} that replaced {edit.old_id} stands {standing} times as it was"
        f" written, not {edit.count} times: somebody changed the place meanwhile"
    )
