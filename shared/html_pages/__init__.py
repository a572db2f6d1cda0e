"""Render HTML pages for the app and the command line, with one style."""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import cache
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shared.domain.printable import make_printable
from shared.domain.trigger_urls.trigger_url import redact

if TYPE_CHECKING:
    from jinja2 import Environment

_FOLDER = Path(__file__).parent
#: An id of an Azure resource, with or without the kind of a firewall issue, up to its name.
_RESOURCE_ID = re.compile(r"(\w+:)?/subscriptions/[^\s,]*/(?=[^\s,/])", re.IGNORECASE)


@cache
def read_style() -> str:
    """Return the style sheet of every page."""
    return (_FOLDER / "style.css").read_text()


def render_template(template: Path, values: Mapping[str, Any]) -> str:
    """Return a page.

    Untrusted text is escaped and made printable, and trigger URLs are redacted.
    """
    return make_printable(
        redact(_build_environment(template.parent).get_template(template.name).render(values))
    )


@cache
def _build_environment(folder: Path) -> "Environment":
    # Imported here because most instances render no page.
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader((folder, _FOLDER)),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters["moment"] = format_moment
    environment.filters["day"] = lambda at: f"{at:%-d %B %Y}"
    environment.filters["second"] = lambda at: f"{at:%Y-%m-%d %H:%M:%S}"
    environment.filters["resource_names"] = replace_ids_by_names
    environment.filters["commands"] = format_commands
    environment.filters["words"] = lambda name: str(name).replace("_", " ")
    environment.filters["short"] = lambda text: text if len(text) <= 22 else f"{text[:21]}…"
    environment.filters["verb"] = lambda title: title.partition(" ")[0]
    environment.filters["span"] = format_span
    environment.filters["age"] = format_age
    environment.filters["first_two"] = lambda items: items[:2]
    return environment


def format_commands(text: str) -> str:
    """Return a text as HTML, in which the parts between backticks are code elements."""
    from jinja2.filters import do_mark_safe

    parts = re.split(r"`([^`]+)`", text)
    return do_mark_safe(
        "".join(
            f"<code>{escape(part)}</code>" if number % 2 else escape(part)
            for number, part in enumerate(parts)
        )
    )


def format_moment(at: datetime) -> str:
    """Return a time as text, in UTC and to the minute."""
    return f"{at:%Y-%m-%d %H:%M} UTC"


def replace_ids_by_names(text: str) -> str:
    """Replace each Azure resource id in a text with the resource's name."""
    return _RESOURCE_ID.sub("", text)


def format_span(time: timedelta) -> str:
    """Return a duration as text, in the largest unit of which it has at least two."""
    seconds = time.total_seconds()
    for unit, length, smaller in (("days", 86400, 3600), ("h", 3600, 60), ("min", 60, 1)):
        if round(seconds / smaller) * smaller >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def format_age(time: timedelta) -> str:
    """Return how long ago something was, to the minute, so that a refreshed page rarely changes."""
    minutes = time // timedelta(minutes=1)
    if minutes < 1:
        return "less than 1 min"
    return "1 min" if minutes == 1 else format_span(time)
