"""What every page of the dashboard has: its frame, what it loads, who looks at it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from functions.dashboard.display_state import look_with
from shared.domain.plans.display_text import (
    ACTION_WORDS,
    CONVERSION_WORDS,
    LEFT_WORDS,
    format_state,
)
from shared.domain.plans.plan_item import NotMigratedReason
from shared.domain.plans.progress import RemediationProgress
from shared.domain.principal import Principal
from shared.html_pages import rendered, style

_FOLDER = Path(__file__).parent


#: What is said after an order, by the last part of its route.
_DONE = {
    "approve": "Approved: {} of the plans. The work begins by itself.",
    "cancel": "Cancelled: {} flows end or are rolled back.",
    "retry": "Retried: {} go on.",
    "roll-back": "Ordered: {} flows are rolled back.",
    "waivers": "Accepted: {} flows that a gap blocked go on.",
    "repairs": "Opened, and read back: {} firewalls. Now retry what the gap blocks.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PageContext:
    """Who looks, when, and what they have just done."""

    principal: Principal
    now: datetime
    done: str = ""
    jobs: int = 0
    #: Why they cannot approve this plan, whatever their roles; empty: they can.
    may_not_approve: str = ""

    @property
    def said(self) -> str:
        """Return what their order did; empty: there was none."""
        if self.done == "retry" and not self.jobs:
            return "Nothing was retried: no flow here is blocked, failed or waiting."
        return _DONE[self.done].format(self.jobs) if self.done else ""


@cache
def assets() -> dict[str, tuple[str, str]]:
    """Return what pages load, by a name with its hash: media type and text."""
    files = (
        ("css", "text/css", style()),
        ("js", "text/javascript", (_FOLDER / "live.js").read_text()),
        ("svg", "image/svg+xml", (_FOLDER / "icon.svg").read_text()),
    )
    return {
        f"{sha256(text.encode()).hexdigest()[:12]}-{suffix}": (kind, text)
        for suffix, kind, text in files
    }


def _needing(progress: RemediationProgress) -> int:
    """Return how many jobs, plans and flows of a remediation need a person."""
    asked = (NotMigratedReason.NEEDS_CHANGES, NotMigratedReason.AWAITING_APPROVAL)
    return progress.stuck + sum(progress.left.get(why, 0) for why in asked)


def render_page(name: str, view: PageContext | None = None, **values: Any) -> str:
    """Return a page by the name of its template; `view` None: nobody knows who looks."""
    css, js, icon = assets()
    common = {
        "css": css,
        "js": js,
        "icon": icon,
        "view": view,
        "look": look_with,
        "needing": _needing,
        "action_words": ACTION_WORDS,
        "conversion_words": CONVERSION_WORDS,
        "left_words": LEFT_WORDS,
        "state_in_words": format_state,
        "style": "",
    }
    return rendered(_FOLDER / f"{name}.html.j2", {**common, **values})


def session_page(
    *,
    action: str,
    title: str,
    fields: Sequence[tuple[str, str]],
    shown: Mapping[str, Sequence[str]],
    login: str,
) -> str:
    """Return the page that keeps a form which was sent after the session had ended."""
    return render_page(
        "session", action=action, title=title, fields=fields, shown=shown, login=login
    )


def problem_page(title: str, detail: str, instruction: str, *, back: str = "") -> str:
    """Return the page that says why there is no other; `back`: the page that led here."""
    return render_page("problem", title=title, detail=detail, instruction=instruction, back=back)
