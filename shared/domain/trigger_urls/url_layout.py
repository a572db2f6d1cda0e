"""Locate trigger URLs and their parts in a text.

Callers write the same URL plain, JSON-escaped, XML-escaped, or percent-encoded inside another URL,
with expressions in the middle. Nothing is decoded: only offsets in the text are computed, so that a
replacement changes no other byte.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from shared.domain.trigger_urls.signatures import SIGNATURE_VALUE

#: Up to `/paths/invoke`, or `/run` as until 2016: platform.md#url-shapes. Any host, because new
#: ones appear.
_HEAD = re.compile(
    r"""
    https(?P<colon>:|\\+u003A|%(?:25)*3A)
    (?P<root>/|\\+/|\\+u002F|%(?:25)*2F)(?P=root)
    (?P<host>[A-Z0-9][A-Z0-9.-]{0,252})
    (?:(?::|\\+u003A|%(?:25)*3A)[0-9]{1,5})?
    (?=(?P<slash>/|\\+/|\\+u002F|%(?:25)*2F))
    (?P<prefix>(?:(?P=slash)[A-Z0-9_.~-]+){0,12}?)
    (?P=slash)workflows(?P=slash)(?P<id>[0-9A-F]{32})
    (?P<version>(?P=slash)versions(?P=slash)[A-Z0-9]+)?
    (?P=slash)triggers(?P=slash)
    (?P<trigger>(?:(?!(?P=slash))(?:[A-Z0-9_.~!$()*:@-]|%[0-9A-F]{2}))+)
    (?P=slash)(?:paths(?P=slash)invoke|run)
    (?![A-Z0-9_-])
    """,
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)
_SCHEME = re.compile("https", re.IGNORECASE)
#: Characters of a URL up to its id at most, with its separators percent-encoded three times.
_LONGEST_HEAD = 2_000
_NEVER_IN_URLS = ' \n"'
#: Parts that the caller's system inserts: `@{…}` of a flow, `{id}`, `{{named-value}}`,
#: `${VARIABLE}`.
_OPAQUE = r"@\{(?:[^{}'\"\\]|'[^'\"]*'|\\.)*\}|\{\{?[\w.$ -]+\}?\}"
_PLAIN_REST = re.compile(
    rf"(?:{_OPAQUE}"
    r"|\\+u00(?:26|2[BbFf]|3[DdFf])|\\+/"
    r"|[,;](?!https?[:%])"  # a list of URLs: the next one is not part of this one
    r"|[A-Za-z0-9._~:/?#\[\]@!$&()*+=%-])*"
)
_OPAQUE_PART = re.compile(_OPAQUE)
_SENTENCE_END = ".,;:!?)]"
_SIGNATURE = re.compile(SIGNATURE_VALUE)
_OTHER_VALUE = re.compile(r"[A-Za-z0-9_.~%/-]*")
#: Parameters that the platform signs or chooses; all others belong to the caller.
PLATFORM_PARAMETERS = frozenset({"api-version", "sp", "sv", "sig", "se"})


@dataclass(frozen=True, slots=True, kw_only=True)
class UrlParameter:
    """A query parameter of a trigger URL. Offsets count from the start of the text."""

    name: str
    #: Start of the separator before it; `start` for the first parameter.
    joined_at: int
    start: int
    #: End of the platform's text; a caller's text may follow without a separator.
    end: int
    value_start: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UrlLayout:
    """Where a trigger URL and its parts are in a text. Offsets count from the start of the text."""

    start: int
    #: After `/invoke` or `/run`.
    head_end: int
    #: After the caller's relative path.
    path_end: int
    end: int
    parameters: tuple[UrlParameter, ...]
    #: The separators as this text writes them.
    slash: str
    ampersand: str
    equals: str
    #: How often the whole URL is percent-encoded.
    level: int
    #: Whether its percent-encoding uses lower-case hex digits.
    is_lower_case: bool
    host: str
    prefix: str
    trigger_url_id: str
    trigger: str
    #: Whether it runs a fixed version of the flow, which no copy has.
    has_version: bool
    #: Whether only a part of the URL is percent-encoded, as if a program had half decoded it.
    is_partly_encoded: bool
    #: False if the caller completes the URL, or if one of the two above is true.
    is_replaceable: bool

    def find_parameter(self, name: str) -> UrlParameter | None:
        return next((one for one in self.parameters if one.name == name), None)


@dataclass(frozen=True, slots=True)
class _Syntax:
    """How a URL writes the separators of its path and query at one level of percent-encoding."""

    rest: re.Pattern[str]
    question: re.Pattern[str]
    ampersand: re.Pattern[str]
    equals: re.Pattern[str]
    fragment: re.Pattern[str]


_PLAIN = _Syntax(
    rest=_PLAIN_REST,
    question=re.compile(r"\?|\\+u003[Ff]"),
    ampersand=re.compile(r"&(?:amp;)+|&#38;|&#x26;|\\+u0026|&"),
    equals=re.compile(r"=|\\+u003[Dd]"),
    fragment=re.compile("#"),
)


@lru_cache(maxsize=8)
def _build_percent_syntax(level: int) -> _Syntax:
    percent = "%" + "25" * (level - 1)
    # An encoded blank, quote, bracket, bar or line end closes the URL at the level of its text.
    closing = r"(?:2[027]|3[CcEe]|0[9AaDd]|5[Cc]|7[Cc]|(?:2[Cc]|3[Bb])https)"
    return _Syntax(
        rest=re.compile(rf"(?:[A-Za-z0-9_.~*!()/-]|(?!{percent}{closing})%[0-9A-Fa-f]{{2}})*"),
        question=re.compile(rf"{percent}3[Ff]"),
        ampersand=re.compile(rf"{percent}26"),
        equals=re.compile(rf"{percent}3[Dd]"),
        fragment=re.compile(rf"{percent}23"),
    )


def find_layouts(text: str) -> Iterator[UrlLayout]:
    """Yield every trigger URL in a text, in order. They do not overlap."""
    # Most texts have none, and this check avoids the search.
    if "workflows" not in text.lower():
        return
    position = 0
    while head := _HEAD.search(text, position):
        layout = _build_layout(text, head)
        yield layout
        position = layout.end


def find_layout_around(text: str, id_start: int) -> UrlLayout | None:
    """Return the trigger URL whose id starts at an offset, or None.

    It may be inside another URL.
    """
    first = max(0, id_start - _LONGEST_HEAD)
    schemes = [scheme.start() for scheme in _SCHEME.finditer(text, first, id_start)]
    for scheme in reversed(schemes):
        head = _HEAD.match(text, scheme)
        if head and head.start("id") == id_start:
            return _build_layout(text, head)
    return None


def is_inside_another(text: str, layout: UrlLayout) -> bool:
    """Return whether a URL is a part of another trigger URL, as `find_layouts` divides the text."""
    first = max(0, layout.start - _LONGEST_HEAD)
    first = max(first, *(text.rfind(one, first, layout.start) for one in _NEVER_IN_URLS))
    heads = (_HEAD.match(text, one.start()) for one in _SCHEME.finditer(text, first, layout.start))
    return any(_build_layout(text, head).end > layout.start for head in heads if head)


def _build_layout(text: str, head: re.Match[str]) -> UrlLayout:
    level, is_partly_encoded = _find_encoding_level(head)
    syntax = _build_percent_syntax(level) if level else _PLAIN
    end = head.end() + len(_get_path_and_query(text, head.end(), syntax))
    # Same length, so that offsets stay; a question mark inside an expression starts no query.
    shadow = _OPAQUE_PART.sub(lambda part: "\0" * len(part[0]), text[head.end() : end])
    fragment = syntax.fragment.search(shadow)
    query_end = fragment.start() if fragment else len(shadow)
    question = syntax.question.search(shadow, 0, query_end)
    path_end, query_start = question.span() if question else (query_end, query_end)
    parameters = tuple(_parse_parameters(shadow[:query_end], query_start, head.end(), syntax))
    if parameters and parameters[-1].name in PLATFORM_PARAMETERS and not fragment:
        end = parameters[-1].end
    ampersand = syntax.ampersand.search(shadow, query_start, query_end)
    equals = syntax.equals.search(shadow, query_start, query_end)
    percent = "%" + "25" * (level - 1)
    return UrlLayout(
        start=head.start(),
        head_end=head.end(),
        path_end=head.end() + path_end,
        end=end,
        parameters=parameters,
        slash=head["slash"],
        ampersand=ampersand[0] if ampersand else f"{percent}26" if level else "&",
        equals=equals[0] if equals else f"{percent}3D" if level else "=",
        level=level,
        is_lower_case=level > 0 and head["colon"].endswith("a"),
        host=head["host"].lower(),
        prefix=head["prefix"].replace(head["slash"], "/"),
        trigger_url_id=head["id"].lower(),
        trigger=head["trigger"],
        has_version=head["version"] is not None,
        is_partly_encoded=is_partly_encoded,
        is_replaceable=_has_all_parameters(parameters)
        and not (text.startswith("{", end) or head["version"] or is_partly_encoded),
    )


def _find_encoding_level(head: re.Match[str]) -> tuple[int, bool]:
    """Return how often the path and query are percent-encoded, and whether the rest differs."""
    colon, slash = (
        (len(one) - 1) // 2 if one.startswith("%") else 0 for one in (head["colon"], head["slash"])
    )
    if head["root"] == head["slash"] and slash in {0, colon}:
        return colon, False
    return slash, True


def _has_all_parameters(parameters: tuple[UrlParameter, ...]) -> bool:
    """Return whether a URL has all the parameters that it needs.

    If not, an expression or a template adds them. Every trigger URL has an `api-version`, and a
    signature comes with `sp` and `sv` (platform.md#url-shapes).
    """
    filled = {one.name for one in parameters if one.end > one.value_start}
    signed = {one.name for one in parameters} & {"sp", "sv", "sig"}
    return "api-version" in filled and (not signed or "sig" in filled)


def _get_path_and_query(text: str, start: int, syntax: _Syntax) -> str:
    """Return the text of a URL after `/invoke` or `/run`, or "" if no path, query or fragment
    follows."""
    found = syntax.rest.match(text, start)
    rest = found[0] if found else ""
    if rest[:1] not in {"/", "?", "#", "\\", "%"}:
        return ""
    return rest.rstrip(_SENTENCE_END) if syntax is _PLAIN else rest


def _parse_parameters(
    query: str, start: int, offset: int, syntax: _Syntax
) -> Iterator[UrlParameter]:
    joined_at = start
    while start < len(query):
        separator = syntax.ampersand.search(query, start)
        end = separator.start() if separator else len(query)
        equals = syntax.equals.search(query, start, end)
        name_end, value_start = equals.span() if equals else (end, end)
        name = query[start:name_end].lower()
        value_end = end
        if name in PLATFORM_PARAMETERS:
            pattern = _SIGNATURE if name == "sig" else _OTHER_VALUE
            value = pattern.match(query, value_start, end)
            value_end = value.end() if value else value_start
        yield UrlParameter(
            name=name,
            joined_at=offset + joined_at,
            start=offset + start,
            end=offset + value_end,
            value_start=offset + value_start,
        )
        joined_at = end
        start = separator.end() if separator else len(query)
