"""Render the layout that all pages share, and the pages for errors and expired sessions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from functions.dashboard.display_state import choose_css_class
from functions.dashboard.live_sections import add_hashes
from shared.domain.kill_switch import EFFECT, KillSwitch
from shared.domain.plans.display_text import CONVERSION_WORDS
from shared.domain.plans.pending_actions import format_count
from shared.domain.principal import Principal, PrincipalKind
from shared.html_pages import read_style, render_template

_FOLDER = Path(__file__).parent


#: Titles and URLs of the pages in the navigation.
_PAGES = (
    ("Overview", "/api/dashboard"),
    ("Environments", "/api/dashboard/environments"),
    ("Remediations", "/api/dashboard/remediations"),
    ("Callers", "/api/dashboard/callers"),
    ("Network", "/api/dashboard/network"),
    ("Deletions", "/api/dashboard/deletions"),
    ("Audit", "/api/dashboard/audit"),
    ("Settings", "/api/dashboard/settings"),
)

#: Message after an action, by the last part of its route.
_DONE = {
    "approve": "Approved: {plans}. The work starts automatically.",
    "cancel": "Cancelled. The app cancels or rolls back {flows}.",
    "retry": "Retried {jobs}.",
    "deletions": "Scheduled {deletions}.",
    "deletions-cancel": "Cancelled {deletions}. The originals are kept.",
    "rollback": "Rollback started for {flows}.",
    "ignored-issues": "Firewall ignored. Retried {jobs}.",
    "on": f"The kill switch is on. {EFFECT}",
    "off": "The kill switch is off. The app continues.",
    "settings": "The settings are saved.",
    "solution-setting": "New flows are created in a solution.",
    "solution-setting-revert": "The setting for new flows has its former value.",
    "url-secrets": "Changed the choice for {flows}. The plan has a new version.",
    "filed": "The support request is marked as filed.",
    "reopen": "The support request is open again.",
    "flows": "The caller is declared.",
    "import": "The callers of the file are declared.",
    "confirm": "The caller is confirmed. Retried {jobs}.",
    "remove": "The declared caller is removed.",
    "assessment": "The assessment has started.",
    "remediations": "The remediation has started.",
    "firewall-fixes": "Fixed {firewalls}. Now retry the blocked flows.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PageContext:
    """What every page needs, such as its reader and the time."""

    principal: Principal
    now: datetime
    #: The action that led to this page, and the number of its flows or jobs.
    completed_action: str = ""
    flow_count: int = 0
    #: Why the reader may not approve this plan in spite of their roles; empty if they may.
    may_not_approve: str = ""
    #: The kill switch as just read; None: it was never set, or the page does not show it.
    kill_switch: KillSwitch | None = None

    @property
    def is_stopped(self) -> bool:
        """Return whether the kill switch is on."""
        return self.kill_switch is not None and self.kill_switch.is_on

    @property
    def is_signed_in(self) -> bool:
        return self.principal.kind is PrincipalKind.USER

    @property
    def result_message(self) -> str:
        """Return the message about the reader's last action, or "" if there is none."""
        if self.completed_action == "retry" and not self.flow_count:
            return "Nothing was retried. No flow is blocked, failed or waiting."
        if self.completed_action == "cancel" and not self.flow_count:
            return "Cancelled. No flow had to be rolled back."
        if self.completed_action == "rollback" and not self.flow_count:
            return "Nothing was changed. No flow is left to roll back."
        if not self.completed_action:
            return ""
        if self.completed_action == "approve" and self.is_stopped:
            plans = format_count(self.flow_count, "plan")
            return f"Approved: {plans}. The work starts when the kill switch is off."
        nouns = ("deletion", "firewall", "flow", "job", "plan")
        counts = {f"{noun}s": format_count(self.flow_count, noun) for noun in nouns}
        return _DONE[self.completed_action].format(**counts)


@cache
def read_assets() -> dict[str, tuple[str, str]]:
    """Return the media type and text of each asset, by file name. The name contains a hash of the
    text.
    """
    files = (
        ("css", "text/css", read_style()),
        ("js", "text/javascript", (_FOLDER / "live.js").read_text()),
        ("plan-js", "text/javascript", (_FOLDER / "plan.js").read_text()),
        ("svg", "image/svg+xml", (_FOLDER / "icon.svg").read_text()),
    )
    return {
        f"{sha256(text.encode()).hexdigest()[:12]}-{suffix}": (kind, text)
        for suffix, kind, text in files
    }


def render_page(
    name: str, view: PageContext | None = None, *, section: str = "", **values: Any
) -> str:
    """Return a page as HTML, from the template `name`.

    `view` is None if the reader is not known. `section` is the title of the page in the navigation.
    """
    css, js, plan_js, icon = read_assets()
    common = {
        "css": css,
        "js": js,
        "plan_js": plan_js,
        "icon_file": icon,
        "pages": _PAGES,
        "section_title": section,
        "view": view,
        "look": choose_css_class,
        "conversion_words": CONVERSION_WORDS,
        "style": "",
        "stopped": None,
    }
    return add_hashes(render_template(_FOLDER / f"{name}.html.j2", {**common, **values}))


def build_expired_session_page(
    *,
    action: str,
    title: str,
    fields: Sequence[tuple[str, str]],
    shown: Mapping[str, Sequence[str]],
    login: str,
) -> str:
    """Return the page that keeps a form until a user whose session has expired signs in again."""
    return render_page(
        "session", action=action, title=title, fields=fields, shown=shown, login=login
    )


def build_problem_page(
    title: str,
    detail: str,
    fix: str,
    *,
    back: str = "",
    has_session: bool = False,
    has_pages: bool = True,
) -> str:
    """Return an error page. `back` is the URL of the page that the request came from.

    `has_session` offers to sign out and use another account. `has_pages` offers the other pages.
    """
    return render_page(
        "problem",
        title=title,
        detail=detail,
        fix=fix,
        back=back,
        has_session=has_session,
        pages=_PAGES if has_pages else (),
    )


def build_rejected_link_page(detail: str, fix: str) -> str:
    """Return the page for a confirmation link that cannot be used. Its reader has no account."""
    return render_page("rejected_link", style=read_style(), message=detail, fix=fix)
