"""The smallest change that lets in what a firewall lacks: as a patch to read, or to apply."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from shared.domain.network.firewall_fix_text import ResourceIdParts, az
from shared.domain.network.firewall_issue import FirewallIssue

#: How what the app adds is called, where it has a name.
PREFIX = "cmk-"
_LONGEST = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class AddedEntries:
    """Entries more in a list of one resource: a change that the app itself can make, and undo."""

    #: Azure resource id of what holds the list.
    resource_id: str
    #: Which list of it; empty: it has one.
    part: str = ""
    #: Each as JSON, with the members that the app writes.
    entries: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListEntries:
    """What stands in a list, each entry as an opening writes it."""

    texts: frozenset[str]
    #: Changes with the list; what it is made of differs by kind.
    etag: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ListUpdate:
    """Entries to be put into a list, or taken out of it."""

    present: ListEntries
    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FirewallFix:
    """How a gap is closed. Texts are empty where `refusal` says why there are none."""

    #: What the gap is waived by.
    gap: str
    #: What is added where, in words.
    summary: str = ""
    azure_cli: str = ""
    bicep: str = ""
    terraform: str = ""
    #: What to look at before it is made.
    notes: tuple[str, ...] = ()
    #: A name, and behind a colon what it is about.
    refusal: str = ""
    #: None: only a person can make it.
    opening: AddedEntries | None = None


def describe_added_prefixes(gap: FirewallIssue) -> str:
    """Return in words that a list gets the missing prefixes."""
    many = "es" if len(gap.missing_prefixes) > 1 else ""
    return f"let {len(gap.missing_prefixes)} prefix{many} more in on {gap.firewall_name}"


def no_fix(gap: FirewallIssue, reason: str) -> FirewallFix:
    """Return that a gap is closed in no such way."""
    return FirewallFix(gap=gap.name, refusal=reason)


def no_fix_public_access_off(gap: FirewallIssue) -> FirewallFix | None:
    """Return the refusal of a gap that no rule closes."""
    if gap.denies_all_public_access:
        name = gap.firewall_name
        return no_fix(gap, f"closed: public access to {name} is off, whatever the rules")
    if not gap.missing_prefixes:
        tags = ", ".join(gap.missing_tags)
        return no_fix(gap, f"no_ipv4: the list of service tags has no IPv4 addresses of {tags}")
    return None


def no_fix_list_full(gap: FirewallIssue, there: int, added: int, most: int) -> FirewallFix | None:
    """Return the refusal of a list that has no room for so many entries more."""
    if there + added <= most:
        return None
    return no_fix(
        gap, f"full: {gap.firewall_name} has {there} of at most {most} rules; {added} are to come"
    )


def unordered(
    gap: FirewallIssue, priorities: Iterable[tuple[object, object]]
) -> FirewallFix | None:
    """Return the refusal of a list in which a rule has no number; each is a name and a priority.

    In a template, an expression may stand there: where the order is open, no place comes before.
    """
    for name, priority in priorities:
        if not isinstance(priority, int):
            return no_fix(gap, f"not_written_out: the template does not say the priority of {name}")
    return None


def rule_set_command(service: str, gap: FirewallIssue) -> str:
    """Return the command that adds rules to the rule set of a namespace."""
    options = {**ResourceIdParts.of(gap.resource_id).options, "namespace-name": gap.resource_name}
    rules = (("ip-rule", [f"ip-address={one}", "action=Allow"]) for one in gap.missing_prefixes)
    return az(f"{service} namespace network-rule-set ip-rule add", options, *rules)


def rule_name(tag: str, *parts: str) -> str:
    """Return what a rule for a service tag is called: letters, digits, `.`, `-` and `_`.

    App Service shows 32 characters of a name.
    """
    name = PREFIX + tag.replace("PowerPlatform", "PP")
    behind = "".join(f"-{part.rpartition('/')[2]}" for part in parts if part)
    clean = "".join(one if one.isalnum() or one in ".-_" else "_" for one in name[:_LONGEST])
    return (clean + "".join(one if one.isalnum() or one in ".-_" else "_" for one in behind))[:80]


def free_priority(taken: Sequence[int], before: int, first: int) -> int | None:
    """Return the highest priority below `before`, and not below `first`, that no rule has."""
    used = set(taken)
    return next((one for one in range(before - 1, first - 1, -1) if one not in used), None)
