"""Shorten a pending action to what fits in a message. The page that the message links to shows
everything.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from shared.domain.plans.pending_actions import NAMED, PendingAction, PendingActionKind
from shared.domain.trigger_urls.trigger_url import redact

#: Most characters of a name, of the reason, and of what to do. Together they stay below 20 KB in
#: JSON, in which a character has at most 12 bytes: a webhook takes 20 KB, Teams 28 KB.
LONGEST_NAME = 80
LONGEST_REASON = 200
LONGEST_FIX = 300
_ID_IN_PARENTHESES = re.compile(r" ?\([^()]*[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}[^()]*\)")
#: The end of a sentence, which a capital letter, a figure or a quotation follows.
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z0-9\"'“‘`])")


def shorten_action(action: PendingAction) -> PendingAction:
    """Return the action with short names, one sentence as its reason, and a short fix.

    Trigger URLs, which names and stored texts may contain, are removed.
    """
    flows = tuple(redact(one) for one in action.flows[:NAMED])
    caller = redact(action.caller)
    names = (*flows, caller, environment := redact(action.environment_name))
    return replace(
        action,
        reason_code=_shorten_text(redact(action.reason_code), LONGEST_NAME),
        environment_name=_shorten_text(environment, LONGEST_NAME),
        caller=_shorten_text(caller, LONGEST_NAME),
        flows=tuple(_shorten_text(one, LONGEST_NAME) for one in flows),
        message=select_first_sentences(
            _remove_urls_and_ids(action.message), 0, LONGEST_REASON, names
        ),
        fix=select_first_sentences(
            _remove_urls_and_ids(action.fix), LONGEST_FIX, LONGEST_FIX, names
        ),
    )


def select_first_sentences(text: str, enough: int, most: int, names: Iterable[str] = ()) -> str:
    """Return the first sentence of a text, and the next ones while they fit in `enough` characters.

    The result has at most `most` characters. The end of a sentence inside one of `names` does not
    count.
    """
    covered = [
        found.span() for name in names if name for found in re.finditer(re.escape(name), text)
    ]
    kept = ""
    for end in [*_find_sentence_ends(text, covered), len(text)]:
        if kept and end > enough:
            break
        kept = text[:end]
    return _shorten_text(kept, most)


def describe_flows(action: PendingAction) -> str:
    """Return the names of the first flows and the number of the others, such as `A, B and 3
    more`.
    """
    more = action.count - len(action.flows)
    if more > 0 and action.flows:
        return f"{', '.join(action.flows)} and {more} more"
    *first, last = action.flows or ("",)
    return f"{', '.join(first)} and {last}" if first else last


def build_digest(actions: Sequence[PendingAction]) -> PendingAction:
    """Return one pending action that summarizes all of these and names the first ones."""
    titles = "; ".join(_shorten_text(one.title, LONGEST_NAME) for one in actions[:2])
    return PendingAction(
        kind=PendingActionKind.DIGEST,
        count=len(actions),
        message=f"The first are: {titles}.",
        fix="Open the Overview page: it shows each of them with its fix.",
        next_command="cmkflow status",
    )


def _remove_urls_and_ids(text: str) -> str:
    return _ID_IN_PARENTHESES.sub("", redact(text))


def _find_sentence_ends(text: str, covered: Sequence[tuple[int, int]]) -> list[int]:
    return [
        found.start()
        for found in _SENTENCE_END.finditer(text)
        if not any(start < found.start() < end for start, end in covered)
    ]


def _shorten_text(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
