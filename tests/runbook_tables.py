"""The tables of docs/runbook.md that the code knows: reasons, and codes of the platform.

`python -m tests.runbook_tables` writes them.
"""

from collections.abc import Iterator
from pathlib import Path

from shared.domain.platform_errors import OTHER, REFUSALS
from shared.reason import Reason

PAGE = Path(__file__).parents[1] / "docs" / "runbook.md"
#: The entry of the page that says more of a reason than its row.
ENTRIES = {
    "original-and-copy-are-both-off": (Reason.NEITHER_ON,),
    "a-plan-awaits-approval": (Reason.STALE,),
    "a-firewall-denies-a-copy": (Reason.NETWORK_GAP, Reason.REPAIR),
    "calls-of-a-copy-are-blocked": (Reason.CALL_REFUSED,),
    "the-service-account-is-signed-out": (Reason.OPERATOR_SIGN_IN,),
    "a-key-expires": (Reason.KEY_PROBLEM, Reason.KEY_WARNING),
    "a-remediation-does-not-move": (Reason.MIGRATION,),
    "a-service-does-not-answer": (Reason.OUTAGE,),
    "requests-are-used-up": (Reason.THROTTLED,),
    "an-unreadable-row": (Reason.UNREADABLE_ROW,),
    "kill-switch": (Reason.KILL_SWITCH,),
    "rollback": (Reason.REPLAY, Reason.CALLER, Reason.DELETED),
    "delete-originals": (Reason.NOT_RETIRED, Reason.TOO_EARLY),
}
_HEAD = ("| code | What it means | What to do |", "|---|---|---|")


def with_tables(page: str) -> str:
    """Return the page's text with both tables as the code has them."""
    tables = {"reasons": _reasons(), "codes of the platform": _platform_codes()}
    for name, rows in tables.items():
        begin, end = f"<!-- {name}: python -m tests.runbook_tables -->\n", "<!-- end -->"
        table = "\n".join((*_HEAD, *rows, ""))
        before, found, rest = page.partition(begin)
        if not found or end not in rest:
            raise ValueError(f"docs/runbook.md has no place for the {name}")
        page = before + begin + table + rest[rest.index(end) :]
    return page


def _reasons() -> Iterator[str]:
    entry = {reason: name for name, reasons in ENTRIES.items() for reason in reasons}
    for reason in sorted(Reason):
        more = f" [More](#{entry[reason]})" if reason in entry else ""
        yield f"| `{reason}` | {reason.meaning} | {reason.instruction}{more} |"


def _platform_codes() -> Iterator[str]:
    for one in REFUSALS:
        codes = ", ".join(f"`{code}`" for code in one.codes)
        yield f"| {codes} | {one.means} | {one.instruction} |"
    yield f"| any other | {OTHER.means.removeprefix('any other code: ')} | {OTHER.instruction} |"


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text()))
