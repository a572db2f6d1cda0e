"""Which gaps somebody means who names a firewall, by more or less of its name."""

from collections.abc import Collection, Iterable, Sequence
from difflib import get_close_matches

from shared.domain.network.firewall_issue import FirewallIssue

_CLOSE = 3


def find_issues_by_name(
    wanted: str, gaps: Sequence[FirewallIssue], concerning: Collection[str]
) -> list[FirewallIssue]:
    """Return the gaps of a name, an id, or the name of a resource.

    `concerning` are names of gaps that keep a known flow out: of several parts of a resource those
    are meant. Raises `ValueError` where more than one resource is called so, or nothing tells which
    part is meant: it names them.
    """
    text = wanted.lower()
    exact = [gap for gap in gaps if text in {gap.name.lower(), gap.firewall_id.lower()}]
    if exact:
        return exact
    whole = [gap for gap in gaps if text in {gap.resource_id.lower(), gap.resource_name.lower()}]
    counting = [gap for gap in whole if gap.name in concerning] or whole
    is_one = len({gap.resource_id.lower() for gap in whole}) == 1
    if len(counting) > 1 and not (is_one and counting is not whole):
        raise ValueError(f"{wanted} is one of these, say which: {_listed(counting)}")
    return counting


def describe_unknown_issue(wanted: str, names: Iterable[str]) -> str:
    """Return what to say of a name that is none: those that are close, else all there are."""
    known = sorted(set(names))
    if close := get_close_matches(wanted.lower(), known, n=_CLOSE, cutoff=0.6):
        return f"Did you mean {' or '.join(close)}?"
    return f"There are: {', '.join(known)}." if known else "There is none."


def _listed(gaps: Sequence[FirewallIssue]) -> str:
    return ", ".join(sorted(gap.name for gap in gaps))
