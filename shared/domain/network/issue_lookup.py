"""Find the firewall issues that a person means by a name, an id or a resource name."""

from collections.abc import Collection, Iterable, Sequence
from difflib import get_close_matches

from shared.domain.network.firewall_issue import FirewallIssue

_CLOSE = 3


def find_issues_by_name(
    wanted: str, issues: Sequence[FirewallIssue], concerning: Collection[str]
) -> list[FirewallIssue]:
    """Return the firewall issues with this name, firewall id, or resource name.

    `concerning` contains the names of issues that affect a known flow. If several issues of a
    resource match, those are preferred. Raises `ValueError`, which lists the candidates, if several
    resources have the name or the part is ambiguous.
    """
    text = wanted.lower()
    exact = [issue for issue in issues if text in {issue.name.lower(), issue.firewall_id.lower()}]
    if exact:
        return exact
    whole = [
        issue
        for issue in issues
        if text in {issue.resource_id.lower(), issue.resource_name.lower()}
    ]
    counting = [issue for issue in whole if issue.name in concerning] or whole
    is_one = len({issue.resource_id.lower() for issue in whole}) == 1
    if len(counting) > 1 and not (is_one and counting is not whole):
        names = ", ".join(sorted(issue.name for issue in counting))
        raise ValueError(f"{wanted} is ambiguous. Name one of these: {names}")
    return counting


def suggest_issue_names(wanted: str, names: Iterable[str]) -> str:
    """Return a sentence that suggests similar names, or lists all names if none is similar."""
    known = sorted(set(names))
    if close := get_close_matches(wanted.lower(), known, n=_CLOSE, cutoff=0.6):
        return f"Did you mean {' or '.join(close)}?"
    return f"There are: {', '.join(known)}." if known else "There is none."
