"""Compare the app's evaluation of firewall rules with one by Python's `ipaddress`, on realistic
rule sets.

`python -m tests.performance.rule_sets` measures both. docs/performance.md has the results.
"""

import json
import os
import random
import time
from collections.abc import Callable, Iterable, Sequence
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_network
from pathlib import Path

from shared.domain.network.firewall import Firewall, FirewallRule, RuleAction
from shared.domain.network.firewall_decision import RuleSources, evaluate_rules
from shared.domain.network.network_check import FLOW_TAGS, PROTECTED_TAG
from shared.domain.network.service_tags import ServiceTag, ServiceTagList, parse_service_tags

type Network = IPv4Network | IPv6Network
type Answers = list[object]

SIZES = (20, 100, 200)
REGIONS = 43


def read_service_tag_list() -> ServiceTagList:
    """Return Microsoft's service tag list from `FLOW_CORPUS` if it is set, else a generated one."""
    if "FLOW_CORPUS" in os.environ:
        [path] = Path(os.environ["FLOW_CORPUS"], "servicetags").glob("ServiceTags_Public_*.json")
        return parse_service_tags(json.loads(path.read_bytes()))
    chance = random.Random(371)  # noqa: S311 -- repeatable, not secret
    regions = [
        [
            *(_generate_prefix(chance, range(22, 31)) for _ in range(9)),
            f"2603:1061:2004:{number:x}00::/57",
        ]
        for number in range(REGIONS)
    ]
    return ServiceTagList(
        ServiceTag(name=f"{PROTECTED_TAG}.Region{number}", prefixes=tuple(prefixes))
        for number, prefixes in enumerate(regions)
    )


def _generate_prefix(chance: random.Random, lengths: Sequence[int]) -> str:
    address = f"{chance.randrange(1, 224)}.{chance.randrange(256)}.{chance.randrange(256)}.0"
    return str(ip_network(f"{address}/{chance.choice(lengths)}", strict=False))


def get_prefixes_by_region(tags: ServiceTagList) -> dict[str, tuple[str, ...]]:
    """Return by region the prefixes from which flows under your key call."""
    return {tag.name: tag.prefixes for tag in tags if tag.name.startswith(f"{PROTECTED_TAG}.")}


def generate_rule_sets(tags: ServiceTagList, size: int, count: int) -> list[tuple[str, ...]]:
    """Return for each of `count` firewalls the `size` prefixes that it allows.

    Most are derived from the service tag, others are random.
    """
    published = [prefix for region in get_prefixes_by_region(tags).values() for prefix in region]
    chance = random.Random(size)  # noqa: S311 -- the same

    def draw_prefix() -> str:
        network = ip_network(chance.choice(published))
        match chance.randrange(10):
            case 0 | 1:
                return str(network.supernet(chance.randrange(3)))
            case 2 if network.prefixlen < network.max_prefixlen:
                return str(next(network.subnets()))
            case 3 | 4:
                return _generate_prefix(chance, (24,))
            case _:
                return str(network)

    return [tuple(draw_prefix() for _ in range(size)) for _ in range(count)]


class AppEvaluation:
    """The app's evaluation of a firewall, which parses the rules once."""

    def __init__(self, tags: ServiceTagList) -> None:
        self._sources = RuleSources(tags, FLOW_TAGS)
        regions = get_prefixes_by_region(tags)
        self._regions = [
            found for name in regions if (found := tags.find_addresses(name)) is not None
        ]

    def find_covered(self, rules: Sequence[str]) -> Answers:
        allowed = evaluate_rules(_build_firewall(rules), self._sources).allowed
        return [region <= allowed for region in self._regions]

    def find_missing(self, rules: Sequence[str]) -> Answers:
        allowed = evaluate_rules(_build_firewall(rules), self._sources).allowed
        return [(region - allowed).list_prefixes() for region in self._regions]


def _build_firewall(rules: Sequence[str]) -> Firewall:
    rule = FirewallRule(name="flows", action=RuleAction.ALLOW, sources=tuple(rules))
    return Firewall(
        kind="any",
        id="/one",
        name="one",
        hosts=frozenset(),
        rules=(rule,),
        default=RuleAction.DENY,
    )


class LibraryEvaluation:
    """An evaluation of a firewall with Python's `ipaddress`."""

    def __init__(self, tags: ServiceTagList) -> None:
        self._regions = [
            [ip_network(prefix) for prefix in prefixes]
            for prefixes in get_prefixes_by_region(tags).values()
        ]

    def find_covered(self, rules: Sequence[str]) -> Answers:
        """Return for each region whether all of it is allowed.

        Stops at the region's first missing prefix.
        """
        allowed = _group_by_version(rules)
        return [
            all(_is_in(one, allowed[one.version]) for one in region) for region in self._regions
        ]

    def find_missing(self, rules: Sequence[str]) -> Answers:
        """Return for each region the addresses that are not allowed, in the fewest prefixes."""
        allowed = _group_by_version(rules)
        return [
            tuple(
                str(left)
                for version in (4, 6)
                for left in _collapse(
                    left
                    for one in region
                    if one.version == version and not _is_in(one, allowed[version])
                    for left in _subtract(one, allowed[version])
                )
            )
            for region in self._regions
        ]


def _group_by_version(rules: Sequence[str]) -> dict[int, list[Network]]:
    networks = [ip_network(rule) for rule in rules]
    return {
        version: _collapse(one for one in networks if one.version == version) for version in (4, 6)
    }


def _collapse(networks: Iterable[Network]) -> list[Network]:
    return list(collapse_addresses(networks))  # type: ignore[type-var]  # all of one version


def _is_in(network: Network, allowed: Iterable[Network]) -> bool:
    return any(network.subnet_of(one) for one in allowed)  # type: ignore[arg-type]  # the same


def _subtract(network: Network, allowed: Iterable[Network]) -> list[Network]:
    left = [network]
    for one in allowed:
        if one.subnet_of(network):  # type: ignore[arg-type]  # the same version
            left = [
                part
                for whole in left
                for part in (
                    whole.address_exclude(one) if one.subnet_of(whole) else (whole,)  # type: ignore[arg-type]  # the same version
                )
            ]
    return left


def measure_answers(
    answer: Callable[[Sequence[str]], Answers], sets: Sequence[Sequence[str]]
) -> tuple[float, list[Answers]]:
    """Return the processor time in seconds of the answers for all rule sets, and the answers."""
    begun = time.process_time()
    answers = [answer(rules) for rules in sets]
    return time.process_time() - begun, answers


def main() -> None:
    tags = read_service_tag_list()
    ours, yardstick = AppEvaluation(tags), LibraryEvaluation(tags)
    for size in SIZES:
        sets = generate_rule_sets(tags, size, 1000)
        for question in ("covered", "missing"):
            least, found = measure_answers(getattr(ours, question), sets)
            most, expected = measure_answers(getattr(yardstick, question), sets)
            assert found == expected
            ratio = most / least
            print(f"{size:4} prefixes, {question}: {least:6.2f} s, {most:6.2f} s, {ratio:5.1f}x")


if __name__ == "__main__":
    main()
