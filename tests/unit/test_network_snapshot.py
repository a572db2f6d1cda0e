"""What is kept of a network decides as the network itself does."""

import json
from dataclasses import asdict, replace

from shared.domain.network.firewall import Firewall, FirewallRule, RuleAction
from shared.domain.network.network_check import NetworkCheck
from shared.domain.network.service_tags import ServiceTag, ServiceTagList
from shared.domain.network.snapshot import NetworkSnapshot, build_snapshot
from shared.rows import type_adapter_for

HOST = "erp.contoso.example"
TAGS = {
    "PowerPlatformPlex": "20.1.0.0/24",
    "PowerPlatformPlex.WestEurope": "20.1.0.0/24",
    "PowerPlatformInfra.WestEurope": "20.3.0.0/24",
    "LogicApps.NorthEurope": "20.4.0.0/24",
    "AzureCloud.westeurope": "20.0.0.0/8",
    "ApiManagement.WestEurope": "20.1.0.0/25",
    "Storage.WestEurope": "20.9.0.0/24",
    "Sql": "20.8.0.0/24",
}
LISTED = ServiceTagList(ServiceTag(name=name, prefixes=(one,)) for name, one in TAGS.items())


def firewall(*sources: str, beyond: Firewall | None = None) -> Firewall:
    """Return a firewall that lets some sources in."""
    return Firewall(
        kind="app_service",
        id="/firewalls/erp",
        name="erp",
        hosts=frozenset({HOST, "b.contoso.example", "a.contoso.example"}),
        rules=(FirewallRule(name="flows", action=RuleAction.ALLOW, sources=sources),),
        default=RuleAction.DENY,
        behind=beyond,
        is_ipv4_only=True,
        protects=("subnet",),
    )


def kept(snapshot: NetworkSnapshot) -> NetworkSnapshot:
    """Return a snapshot as it comes out of the archive."""
    text = json.dumps(asdict(snapshot), default=sorted)
    back: NetworkSnapshot = type_adapter_for(NetworkSnapshot).validate_json(text)
    return back


def test_a_kept_network_has_the_gaps_that_the_network_has() -> None:
    """The test has tags by region, tags that only a rule names, and rules beyond other
    firewalls.
    """
    walls = [
        firewall("LogicApps"),
        firewall("AzureCloud.WestEurope"),
        firewall("ApiManagement.westeurope", "LogicApps"),
        firewall("*", beyond=firewall("*", beyond=firewall(" apimanagement.WestEurope "))),
        replace(firewall("20.1.0.0/24"), default=RuleAction.ALLOW),
    ]
    answers = []
    for wall in walls:
        snapshot = kept(build_snapshot([wall], LISTED))
        whole = NetworkCheck([wall], "europe", LISTED).find_issues([HOST])
        part = NetworkCheck(snapshot.firewalls, "europe", snapshot.service_tags).find_issues([HOST])
        assert part == whole
        answers.append(tuple(gap.missing_prefixes for gap in whole if gap.is_required))
    assert len(set(answers)) > 2, "the firewalls are not all alike"


def test_it_comes_back_as_it_was_put() -> None:
    """An archived snapshot is read back with every field, also with a firewall beyond another."""
    snapshot = build_snapshot([firewall("Sql", beyond=firewall("*"))], LISTED)

    assert kept(snapshot) == snapshot


def test_only_tags_that_may_decide_are_kept() -> None:
    """The whole list has three thousand tags and four megabytes."""
    names = {tag.name for tag in build_snapshot([firewall("Sql")], LISTED).tags}

    assert names == {
        "PowerPlatformPlex",
        "PowerPlatformPlex.WestEurope",
        "PowerPlatformInfra.WestEurope",
        "LogicApps.NorthEurope",
        "Sql",
    }
