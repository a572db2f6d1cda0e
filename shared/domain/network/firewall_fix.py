"""Define the firewall fix: the smallest change that allows the missing addresses.

A person can make the change, and the app can make some of these changes.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from shared.domain.network.firewall_fix_text import ResourceIdParts, format_az_command
from shared.domain.network.firewall_issue import FirewallIssue

#: Prefix of the names of rules and groups that the app adds.
PREFIX = "cmk-"
_MAX_LENGTH = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class AddedEntries:
    """Entries to add to a list of one resource."""

    #: Azure resource id of the resource with the list.
    resource_id: str
    #: Which list of the resource; empty: it has only one.
    list_name: str = ""
    #: Each as JSON, with the members that the app writes.
    entries: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListEntries:
    """The current entries of a list, in the format of `AddedEntries`."""

    texts: frozenset[str]
    #: Changes with the list; its source depends on the kind.
    etag: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ListUpdate:
    """A change of a list: entries to add, or entries to remove."""

    present: ListEntries
    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FirewallFix:
    """The proposed fix of a firewall issue.

    If there is no fix, its texts are empty and `unavailable_reason` says why.
    """

    #: The name by which the issue can be ignored.
    issue: str
    #: What is added where, as a sentence.
    summary: str = ""
    azure_cli: str = ""
    bicep: str = ""
    terraform: str = ""
    #: What to check before the change.
    notes: tuple[str, ...] = ()
    #: A code, then a colon and an explanation.
    unavailable_reason: str = ""
    #: None: only a person can make the change.
    added_entries: AddedEntries | None = None

    @property
    def is_applicable(self) -> bool:
        return self.added_entries is not None


def describe_added_prefixes(issue: FirewallIssue) -> str:
    """Return in words how many prefixes the fix adds to the firewall."""
    many = "es" if len(issue.missing_prefixes) > 1 else ""
    return f"allow {len(issue.missing_prefixes)} more prefix{many} on {issue.firewall_name}"


def build_unavailable_fix(issue: FirewallIssue, reason: str) -> FirewallFix:
    """Return a fix without a change, which says why there is none."""
    return FirewallFix(issue=issue.name, unavailable_reason=reason)


def explain_why_no_rule_helps(issue: FirewallIssue) -> FirewallFix | None:
    """Return a fix that says why no rule can fix the issue, or None if one can."""
    if issue.denies_all_public_access:
        name = issue.firewall_name
        return build_unavailable_fix(
            issue, f"closed: public access to {name} is off, so rules have no effect"
        )
    if not issue.missing_prefixes:
        tags = ", ".join(issue.missing_tags)
        return build_unavailable_fix(
            issue, f"no_ipv4: the service tag list has no IPv4 addresses of {tags}"
        )
    return None


def explain_full_list(
    issue: FirewallIssue, there: int, added: int, most: int
) -> FirewallFix | None:
    """Return a fix which says that new entries do not fit in a list, or None if they do."""
    if there + added <= most:
        return None
    return build_unavailable_fix(
        issue,
        (
            f"full: {issue.firewall_name} has {there} of at most {most} rules, so {added} more do "
            "not fit"
        ),
    )


def explain_unknown_order(
    issue: FirewallIssue, priorities: Iterable[tuple[object, object]]
) -> FirewallFix | None:
    """Return a fix that says why the order of rules is unknown, or None if it is known.

    `priorities` contains the name and priority of each rule. A template may have an expression as a
    priority, and then no position is certain to be first.
    """
    for name, priority in priorities:
        if not isinstance(priority, int):
            return build_unavailable_fix(
                issue, f"not_written_out: the template computes the priority of {name}"
            )
    return None


def format_rule_set_command(service: str, issue: FirewallIssue) -> str:
    """Return the Azure CLI command that adds the missing prefixes to a namespace's rule set."""
    options = {
        **ResourceIdParts.parse(issue.resource_id).options,
        "namespace-name": issue.resource_name,
    }
    rules = (("ip-rule", [f"ip-address={one}", "action=Allow"]) for one in issue.missing_prefixes)
    return format_az_command(f"{service} namespace network-rule-set ip-rule add", options, *rules)


def build_rule_name(tag: str, *parts: str) -> str:
    """Return the name of a new rule for a service tag, with only letters, digits, `.`, `-` and `_`.

    App Service shows 32 characters of a name.
    """
    name = PREFIX + tag.replace("PowerPlatform", "PP")
    behind = "".join(f"-{part.rpartition('/')[2]}" for part in parts if part)
    clean = "".join(one if one.isalnum() or one in ".-_" else "_" for one in name[:_MAX_LENGTH])
    return (clean + "".join(one if one.isalnum() or one in ".-_" else "_" for one in behind))[:80]


def find_free_priority(taken: Sequence[int], before: int, first: int) -> int | None:
    """Return the highest unused priority below `before`, at least `first`, or None."""
    used = set(taken)
    return next((one for one in range(before - 1, first - 1, -1) if one not in used), None)
