"""Generate the lists of docs/runbook.md: reasons, and error codes of the platform.

`python -m tests.runbook_tables` writes them.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from shared.domain.platform_errors import OTHER, REFUSALS
from shared.reason import Reason
from tests import generated_tables

PAGE = Path(__file__).parents[1] / "docs" / "runbook.md"
#: The entry of the page that says all of a reason, so that its code only leads there.
ENTRIES = {
    "original-and-copy-are-both-off": (Reason.BOTH_OFF,),
    "a-plan-awaits-approval": (Reason.PLAN_CHANGED,),
    "a-firewall-denies-a-copy": (Reason.FIREWALL_DENIES, Reason.FIREWALL_FIX_FAILED),
    "calls-by-a-copy-are-blocked": (Reason.OUTBOUND_CALL_BLOCKED,),
    "the-service-account-is-signed-out": (Reason.SERVICE_ACCOUNT_SIGNED_OUT,),
    "a-key-expires": (
        Reason.KEY_PROBLEM,
        Reason.KEY_WARNING,
        Reason.ENVIRONMENT_DISABLED,
    ),
    "the-key-of-the-storage-account-is-revoked": (Reason.STORAGE_KEY_UNUSABLE,),
    "a-remediation-does-not-move": (Reason.PLATFORM_MIGRATION_STALLED,),
    "a-service-does-not-answer": (Reason.SERVICE_OUTAGE,),
    "requests-are-used-up": (Reason.THROTTLED,),
    "an-unreadable-row": (Reason.UNREADABLE_ROW,),
    "kill-switch": (Reason.KILL_SWITCH_ON,),
    "rollback": (Reason.BACKLOG_REPLAY, Reason.CALLER_WRITE_LOST, Reason.ORIGINAL_ALREADY_DELETED),
    "delete-originals": (Reason.ORIGINAL_NOT_RETIRED, Reason.DELETION_DATE_TOO_EARLY),
}
#: Reasons whose code does not say enough about what has happened.
_EXPLAINED = frozenset(
    {
        Reason.ADDRESS_RANGES_CHANGED,
        Reason.ADDRESS_RANGES_OUTDATED,
        Reason.CONNECTION_REFERENCES_LOST,
        Reason.FIREWALL_FIX_IN_USE,
        Reason.FLOW_STATE_NOT_CHANGED,
        Reason.GRANT_NOT_REVOKED,
        Reason.INTERNAL_ERROR,
        Reason.LATE_CALLER,
        Reason.NOTIFICATION_CHANNEL_USES_FLOW,
        Reason.ORIGINAL_EDITED,
        Reason.ORPHANED_COPY,
        Reason.OWNER_UNAVAILABLE,
        Reason.REQUEST_BUDGET_RESET,
        Reason.RETIRED_ORIGINAL_ON,
        Reason.RETIRED_ORIGINALS_NOT_CHECKED,
        Reason.RETRIES_EXHAUSTED,
        Reason.ROW_SKIPPED,
        Reason.STALE_WRITE,
        Reason.START_WOULD_FAIL,
        Reason.STORE_OF_ANOTHER_VERSION,
        Reason.WRITE_NOT_VISIBLE,
    }
)
#: What begins the instruction of a reason about which nobody has to do anything.
_NOTHING = "Nothing"


def with_tables(page: str) -> str:
    tables = {
        "reasons": _format_reasons(page),
        "codes of the platform": _format_platform_codes(),
    }
    return generated_tables.with_tables(page, "tests.runbook_tables", tables)


def _is_waiting(reason: Reason) -> bool:
    """Return whether a job with this reason continues without a person."""
    return reason.fix.startswith(_NOTHING) and reason not in _find_anchors()


def _find_anchors() -> dict[Reason, str]:
    return {reason: anchor for anchor, reasons in ENTRIES.items() for reason in reasons}


def _format_reasons(page: str) -> Iterator[str]:
    titles = re.findall(r"^## (.+)$", page, re.MULTILINE)
    by_anchor = {title.lower().replace(" ", "-"): title for title in titles}
    waiting = ", ".join(f"`{reason}`" for reason in sorted(Reason) if _is_waiting(reason))
    yield f"* {waiting}: nothing, the job continues automatically."
    for reason in sorted(Reason):
        if anchor := _find_anchors().get(reason):
            yield f"* `{reason}`: [{by_anchor.get(anchor)}](#{anchor})"
        elif not _is_waiting(reason):
            meaning = f"{reason.meaning} " * (reason in _EXPLAINED)
            yield f"* `{reason}`: {meaning}{_strip_common_words(reason.fix)}"


def _format_platform_codes() -> Iterator[str]:
    for one in REFUSALS:
        codes = ", ".join(f"`{code}`" for code in one.codes)
        yield f"* {codes}: {_format_sentence(one.meaning)} {_strip_common_words(one.fix)}"
    means = OTHER.meaning.removeprefix("any other code: ")
    yield f"* Any other: {_format_sentence(means)} {_strip_common_words(OTHER.fix)}"


def _format_sentence(meaning: str) -> str:
    return f"{meaning[:1].upper()}{meaning[1:]}."


def _strip_common_words(fix: str) -> str:
    """Return a fix without its last words, which are the same for many fixes."""
    return re.sub("[,;] then retry[.]$", ".", fix)


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text()))
