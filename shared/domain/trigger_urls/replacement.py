"""Puts a copy's trigger URL where the original's stands, and changes no other byte.

The platform's part of a URL is replaced piece by piece in place: the caller's relative path, its
own query parameters, their order, and the way it escapes text all stay.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from shared.domain.definitions.json_literals import json_strings
from shared.domain.trigger_urls.url_layout import (
    PLATFORM_PARAMETERS,
    UrlLayout,
    UrlParameter,
    find_layouts,
)


@dataclass(frozen=True, slots=True)
class _Splice:
    """Replace `text[start:end]` by `new`."""

    start: int
    end: int
    new: str


@dataclass(frozen=True, slots=True)
class _NewUrl:
    #: through `/invoke`
    head: str
    #: whether its relative path begins with a double slash
    has_double_slash: bool
    #: name as the platform writes it → value
    parameters: dict[str, str]


def replace_trigger_urls(text: str, replacements: Mapping[str, str]) -> str:
    """Return the text with the URLs of some workflows replaced.

    `replacements` maps the 32-hex workflow id of an original, in lower case, to a whole URL as the
    platform gave it. A URL that an expression or another setting completes is left alone:
    `TriggerUrlMatch.is_replaceable` says so. Raises `ValueError` for a replacement that is no URL.
    """
    return _apply(text, _url_edits(text, _parsed(replacements)))


def replace_in_json(text: str, *, urls: Mapping[str, str], flow_ids: Mapping[str, str]) -> str:
    """Return JSON source with trigger URLs and child-flow references replaced.

    `urls` as for `replace_trigger_urls`; `flow_ids` maps a child's workflow id, in lower case, to
    its copy's. Only string literals that hold one of them change: whitespace, escapes and key
    order stay. Raises `ValueError` for a replacement that is no URL.
    """
    parsed = _parsed(urls)
    edits: list[_Splice] = []
    for string in json_strings(text):
        if string.key == "workflowReferenceName":
            changes = _reference_edits(string.value, flow_ids)
        else:
            changes = _url_edits(string.value, parsed)
        edits += [
            _Splice(*string.source_span(one.start, one.end), string.encode(one.new))
            for one in changes
        ]
    return _apply(text, edits)


def _parsed(replacements: Mapping[str, str]) -> dict[str, _NewUrl]:
    return {workflow_id: _new_url(url) for workflow_id, url in replacements.items()}


def _new_url(url: str) -> _NewUrl:
    layout = next(find_layouts(url), None)
    if (
        layout is None
        or not layout.is_replaceable
        or (layout.start, layout.end, layout.level) != (0, len(url), 0)
    ):
        raise ValueError("A replacement is not a trigger URL as the platform gives it.")
    return _NewUrl(
        head=url[: layout.head_end],
        has_double_slash=url.startswith("//", layout.head_end),
        parameters={
            url[one.start : one.value_start - 1]: url[one.value_start : one.end]
            for one in layout.parameters
        },
    )


def _url_edits(text: str, replacements: Mapping[str, _NewUrl]) -> list[_Splice]:
    edits: list[_Splice] = []
    if replacements:
        for old in find_layouts(text):
            new = replacements.get(old.workflow_id)
            if new and old.is_replaceable:
                edits += _edits_of_one(text, old, new)
    return edits


def _edits_of_one(text: str, old: UrlLayout, new: _NewUrl) -> Iterator[_Splice]:
    head = _encode(new.head, old)
    # The environment hosts double a leading slash that the classic ones swallow
    # (platform.md#double-slash).
    if new.has_double_slash and _slashes_at(text, old) == 1:
        head += old.slash
    yield _Splice(old.start, old.head_end, head)
    values = {name.lower(): value for name, value in new.parameters.items()}
    ours = [one for one in old.parameters if one.name in PLATFORM_PARAMETERS]
    kept = [one for one in ours if one.name in values]
    for one in kept:
        yield _Splice(one.value_start, one.end, _encode(values[one.name], old))
    yield from _removals(old, [one for one in ours if one.name not in values])
    # What only the new URL has, e.g. a signature where the original asked for a token. A
    # replaceable URL and a platform's URL both have an `api-version`, so there is a last one.
    last = kept[-1].end
    for name, value in new.parameters.items():
        if name.lower() not in {one.name for one in old.parameters}:
            added = f"{old.ampersand}{name}{old.equals}{_encode(value, old)}"
            yield _Splice(last, last, added)


def _slashes_at(text: str, old: UrlLayout) -> int:
    path = text[old.head_end : old.path_end]
    return 2 if path.startswith(old.slash * 2) else int(path.startswith(old.slash))


def _removals(old: UrlLayout, dropped: Sequence[UrlParameter]) -> Iterator[_Splice]:
    """Drop what only the old URL has, each with one separator."""
    is_first = True
    for index, one in enumerate(old.parameters):
        if one not in dropped:
            is_first = False
        elif is_first:
            yield _Splice(one.start, old.parameters[index + 1].start, "")
        else:
            yield _Splice(one.joined_at, one.end, "")


def _reference_edits(reference: str, flow_ids: Mapping[str, str]) -> list[_Splice]:
    bare = reference.strip("{}")
    new = flow_ids.get(bare.lower())
    start = reference.find(bare)
    return [_Splice(start, start + len(bare), new)] if new else []


def _encode(part: str, old: UrlLayout) -> str:
    """Write a piece of a plain URL the way the old one stands in its text."""
    if not old.level:
        return part.replace("/", old.slash).replace("&", old.ampersand)
    percent = "%" + "25" * (old.level - 1)
    keeps_slash = old.slash == "/"
    written: list[str] = []
    for character in part:
        if character.isalnum() or character in "-_.~" or (character == "/" and keeps_slash):
            written.append(character)
        else:
            code = f"{ord(character):02X}"
            written.append(percent + (code.lower() if old.is_lower_case else code))
    return "".join(written)


def _apply(text: str, edits: Sequence[_Splice]) -> str:
    pieces: list[str] = []
    position = 0
    for edit in sorted(edits, key=lambda one: (one.start, one.end)):
        pieces += [text[position : edit.start], edit.new]
        position = edit.end
    return "".join([*pieces, text[position:]])
