import json
from dataclasses import asdict, replace

from shared.domain.network.firewall import Firewall, FirewallRule, RuleAction
from shared.domain.network.network_check import NetworkCheck
from shared.domain.network.service_tags import ServiceTag, ServiceTagList
from shared.domain.network.snapshot import NetworkSnapshot, build_network_snapshot
from shared.state.rows import get_type_adapter

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


def build_firewall(*sources: str, beyond: Firewall | None = None) -> Firewall:
    """Return a firewall that allows these sources. `beyond` is a firewall behind it."""
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


def store_and_read(snapshot: NetworkSnapshot) -> NetworkSnapshot:
    text = json.dumps(asdict(snapshot), default=sorted)
    back: NetworkSnapshot = get_type_adapter(NetworkSnapshot).validate_json(text)
    return back


def test_stored_snapshot_yields_the_same_issues() -> None:
    walls = [
        build_firewall("LogicApps"),
        build_firewall("AzureCloud.WestEurope"),
        build_firewall("ApiManagement.westeurope", "LogicApps"),
        build_firewall(
            "*", beyond=build_firewall("*", beyond=build_firewall(" apimanagement.WestEurope "))
        ),
        replace(build_firewall("20.1.0.0/24"), default=RuleAction.ALLOW),
    ]
    answers = []
    for wall in walls:
        snapshot = store_and_read(build_network_snapshot([wall], LISTED))
        whole = NetworkCheck([wall], "europe", LISTED).find_issues([HOST])
        part = NetworkCheck(snapshot.firewalls, "europe", snapshot.service_tags).find_issues([HOST])
        assert part == whole
        answers.append(tuple(gap.missing_prefixes for gap in whole if gap.is_required))
    assert len(set(answers)) > 2, "the firewalls are not all alike"


def test_snapshot_is_read_back_unchanged() -> None:
    snapshot = build_network_snapshot([build_firewall("Sql", beyond=build_firewall("*"))], LISTED)

    assert store_and_read(snapshot) == snapshot


def test_snapshot_contains_only_relevant_tags() -> None:
    """Microsoft's whole list has 3,000 tags in 4 MB."""
    names = {tag.name for tag in build_network_snapshot([build_firewall("Sql")], LISTED).tags}

    assert names == {
        "PowerPlatformPlex",
        "PowerPlatformPlex.WestEurope",
        "PowerPlatformInfra.WestEurope",
        "LogicApps.NorthEurope",
        "Sql",
    }
