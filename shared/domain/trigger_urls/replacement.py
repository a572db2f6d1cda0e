"""Replace an original's trigger URL by its copy's, without changing any other byte.

Only the platform's parts of a URL are replaced. The caller's relative path, its query parameters,
their order, and its way of escaping text stay.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from shared.domain.definitions.json_literals import list_json_strings
from shared.domain.trigger_urls.url_layout import (
    PLATFORM_PARAMETERS,
    UrlLayout,
    UrlParameter,
    find_layouts,
)


@dataclass(frozen=True, slots=True)
class _Splice:
    """The replacement of `text[start:end]` by `new`."""

    start: int
    end: int
    new: str


@dataclass(frozen=True, slots=True)
class _NewUrl:
    #: Up to and including `/invoke`.
    head: str
    #: Whether its relative path starts with a double slash.
    has_double_slash: bool
    #: Value by name, in the platform's spelling.
    parameters: dict[str, str]


def replace_trigger_urls(text: str, replacements: Mapping[str, str]) -> str:
    """Return the text with the trigger URLs of some flows replaced.

    `replacements` maps an original's 32-hex trigger URL id, in lower case, to a whole URL from the
    platform. A URL that an expression or another setting completes is not changed
    (`TriggerUrlMatch.is_replaceable`). Raises `ValueError` for a replacement that is not a trigger
    URL.
    """
    return _apply_edits(text, _find_url_edits(text, _parse_replacements(replacements)))


def replace_in_json(text: str, *, urls: Mapping[str, str], flow_ids: Mapping[str, str]) -> str:
    """Return JSON source with the trigger URLs and child flow ids of some flows replaced.

    `urls` is as for `replace_trigger_urls`. `flow_ids` maps a child's workflow id, in lower case,
    to its copy's. Only string literals that contain one of them change. Raises `ValueError` for a
    replacement that is not a trigger URL.
    """
    parsed = _parse_replacements(urls)
    edits: list[_Splice] = []
    for string in list_json_strings(text):
        if string.key == "workflowReferenceName":
            changes = _find_reference_edits(string.value, flow_ids)
        else:
            changes = _find_url_edits(string.value, parsed)
        edits += [
            _Splice(*string.find_source_span(one.start, one.end), string.encode(one.new))
            for one in changes
        ]
    return _apply_edits(text, edits)


def _parse_replacements(replacements: Mapping[str, str]) -> dict[str, _NewUrl]:
    return {url_id: _parse_new_url(url) for url_id, url in replacements.items()}


def _parse_new_url(url: str) -> _NewUrl:
    layout = next(find_layouts(url), None)
    if (
        layout is None
        or not layout.is_replaceable
        or (layout.start, layout.end, layout.level) != (0, len(url), 0)
    ):
        raise ValueError("A replacement is not a trigger URL in the platform's format.")
    return _NewUrl(
        head=url[: layout.head_end],
        has_double_slash=url.startswith("//", layout.head_end),
        parameters={
            url[one.start : one.value_start - 1]: url[one.value_start : one.end]
            for one in layout.parameters
        },
    )


def _find_url_edits(text: str, replacements: Mapping[str, _NewUrl]) -> list[_Splice]:
    edits: list[_Splice] = []
    if replacements:
        for old in find_layouts(text):
            new = replacements.get(old.trigger_url_id)
            if new and old.is_replaceable:
                edits += _build_url_edits(text, old, new)
    return edits


def _build_url_edits(text: str, old: UrlLayout, new: _NewUrl) -> Iterator[_Splice]:
    head = _encode_part(new.head, old)
    # Hosts of environments double a leading slash that the classic hosts ignore
    # (platform.md#double-slash).
    if new.has_double_slash and _count_leading_slashes(text, old) == 1:
        head += old.slash
    yield _Splice(old.start, old.head_end, head)
    values = {name.lower(): value for name, value in new.parameters.items()}
    ours = [one for one in old.parameters if one.name in PLATFORM_PARAMETERS]
    kept = [one for one in ours if one.name in values]
    for one in kept:
        yield _Splice(one.value_start, one.end, _encode_part(values[one.name], old))
    yield from _build_parameter_removals(old, [one for one in ours if one.name not in values])
    # Parameters that only the new URL has, such as a signature where the original required a token.
    # Every replaceable URL has an `api-version`, so there is a last parameter.
    last = kept[-1].end
    for name, value in new.parameters.items():
        if name.lower() not in {one.name for one in old.parameters}:
            added = f"{old.ampersand}{name}{old.equals}{_encode_part(value, old)}"
            yield _Splice(last, last, added)


def _count_leading_slashes(text: str, old: UrlLayout) -> int:
    path = text[old.head_end : old.path_end]
    return 2 if path.startswith(old.slash * 2) else int(path.startswith(old.slash))


def _build_parameter_removals(old: UrlLayout, dropped: Sequence[UrlParameter]) -> Iterator[_Splice]:
    is_first = True
    for index, one in enumerate(old.parameters):
        if one not in dropped:
            is_first = False
        elif is_first:
            yield _Splice(one.start, old.parameters[index + 1].start, "")
        else:
            yield _Splice(one.joined_at, one.end, "")


def _find_reference_edits(reference: str, flow_ids: Mapping[str, str]) -> list[_Splice]:
    bare = reference.strip("{}")
    new = flow_ids.get(bare.lower())
    start = reference.find(bare)
    return [_Splice(start, start + len(bare), new)] if new else []


def _encode_part(part: str, old: UrlLayout) -> str:
    """Return a part of the new URL, encoded as the old URL is in its text."""
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


def _apply_edits(text: str, edits: Sequence[_Splice]) -> str:
    pieces: list[str] = []
    position = 0
    for edit in sorted(edits, key=lambda one: (one.start, one.end)):
        pieces += [text[position : edit.start], edit.new]
        position = edit.end
    return "".join([*pieces, text[position:]])
