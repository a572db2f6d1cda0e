"""Match paths with ASP.NET route templates, such as `flows/{id:guid}`.

Supported are literals, `{name}`, `{name?}`, `{name:int}` and other simple constraints, and
`{*rest}`.
"""

import re
from dataclasses import dataclass
from urllib.parse import unquote

_PARAMETER = re.compile(r"\{(?P<star>\*{0,2})(?P<name>\w+)(?::(?P<kind>\w+))?(?P<optional>\?)?\}")
_CONSTRAINTS = {
    "int": re.compile(r"-?\d{1,10}"),
    "long": re.compile(r"-?\d{1,19}"),
    "alpha": re.compile(r"[A-Za-z]+"),
    "bool": re.compile(r"true|false", re.IGNORECASE),
    "guid": re.compile(r"\{?[0-9a-f]{8}(-?[0-9a-f]{4}){3}-?[0-9a-f]{12}\}?", re.IGNORECASE),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Segment:
    literal: str = ""
    name: str = ""
    constraint: str = ""
    is_optional: bool = False
    is_rest: bool = False

    @property
    def rank(self) -> int:
        if self.literal:
            return 0
        return 3 if self.is_rest else (1 if self.constraint else 2)

    def is_match(self, part: str) -> bool:
        if self.literal:
            return part.lower() == self.literal.lower()
        return not self.constraint or bool(_CONSTRAINTS[self.constraint].fullmatch(part))


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    segments: tuple[_Segment, ...]

    @property
    def rank(self) -> tuple[int, ...]:
        """The precedence of the route.

        Routes with lower ranks are more specific and are tried first.
        """
        return tuple(segment.rank for segment in self.segments)

    def match(self, raw_path: str) -> dict[str, str] | None:
        """Return the parameters in a percent-encoded path, or None if the path does not match.

        The result does not contain an optional parameter that the path omits.
        """
        parts = [unquote(part) for part in raw_path.strip("/").split("/")] if raw_path else []
        values: dict[str, str] = {}
        for index, segment in enumerate(self.segments):
            if segment.is_rest:
                return values | {segment.name: "/".join(parts[index:])}
            if index >= len(parts):
                if not segment.is_optional:
                    return None
            elif not segment.is_match(parts[index]):
                return None
            elif segment.name:
                values[segment.name] = parts[index]
        return values if len(parts) <= len(self.segments) else None


def parse_route(template: str) -> Route:
    """Parse a route template. Raises `ValueError` for syntax that is not supported."""
    parts = template.strip("/").split("/") if template.strip("/") else []
    return Route(segments=tuple(_parse_segment(part, template) for part in parts))


def _parse_segment(part: str, template: str) -> _Segment:
    if "{" not in part:
        return _Segment(literal=part)
    match = _PARAMETER.fullmatch(part)
    kind = (match["kind"] or "").lower() if match else ""
    if match is None or (kind and kind not in _CONSTRAINTS):
        raise ValueError(f"the route {template!r}: this host does not understand {part!r}")
    return _Segment(
        name=match["name"],
        constraint=kind,
        is_optional=bool(match["optional"]),
        is_rest=bool(match["star"]),
    )
