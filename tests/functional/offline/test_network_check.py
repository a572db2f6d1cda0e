"""`cmkflow network check` judges exported firewalls; every resource of every file has a row."""

import json
import os
import re
import shlex
from collections import Counter
from pathlib import Path
from typing import Any

import hcl2
import pytest
from typer.testing import CliRunner, Result

from cmkflow.__main__ import app
from tests.kinds.bicep_values import PARSER
from tests.kinds.firewalls import key_vault
from tests.kinds.firewalls.app_service import restriction, site, web_config
from tests.kinds.firewalls.network_security_group import security_group, security_rule

KEYS = [
    "resource",
    "kind",
    "tag",
    "required",
    "region",
    "verdict",
    "covered",
    "missing_prefixes",
    "message",
]
WEST = ["20.61.88.128/26", "172.199.132.0/22", "2603:1061:2004:7800::/56"]
NORTH = ["4.207.189.192/26"]
#: Kind, verdict and reason of the resources in the real files, for the whole `PowerPlatformPlex`.
_COUNTS = {
    ("app_service", "allowed", ""): 4,
    ("azure_firewall", "unknown", "depends_on"): 4,
    ("azure_firewall", "allowed", ""): 1,
    ("azure_firewall", "denied", "refused_by"): 2,
    ("cosmos_account", "denied", "refused_by"): 1,
    ("key_vault", "allowed", ""): 1,
    ("network_security_group", "allowed", ""): 2,
    ("network_security_group", "denied", "refused_by"): 8,
    ("postgresql_server", "allowed", ""): 1,
    ("storage_account", "unknown", "depends_on"): 2,
    ("storage_account", "allowed", ""): 1,
    ("storage_account", "denied", "refused_by"): 1,
    ("microsoft.cdn/profiles", "unknown", "not_read"): 1,
    ("microsoft.cdn/profiles/securitypolicies", "unknown", "not_read"): 1,
    ("microsoft.network/applicationgateways", "unknown", "not_read"): 2,
    (
        "microsoft.network/applicationgatewaywebapplicationfirewallpolicies",
        "unknown",
        "not_read",
    ): 2,
    ("microsoft.network/frontdoors", "unknown", "not_read"): 1,
    ("microsoft.network/frontdoorwebapplicationfirewallpolicies", "unknown", "not_read"): 2,
    ("file", "–", "no_resource"): 6,
    ("file", "–", "not_json"): 1,
}
_DOCUMENT = Path(__file__).parents[3] / "docs" / "network.md"
_SCHEMA = "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#"


@pytest.fixture
def tags(tmp_path: Path) -> Path:
    """A list of service tags as Microsoft publishes it, of two regions."""
    entries = {"": WEST + NORTH, ".WestEurope": WEST, ".NorthEurope": NORTH}
    return write(
        tmp_path / "tags" / "ServiceTags.json",
        {
            "changeNumber": 376,
            "cloud": "Public",
            "values": [
                {
                    "name": f"PowerPlatformPlex{region}",
                    "properties": {"addressPrefixes": listed, "networkFeatures": ["API", "NSG"]},
                }
                for region, listed in entries.items()
            ],
        },
    )


def write(file: Path, document: object) -> Path:
    """Write a file of JSON."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(document), encoding="utf-8")
    return file


def check(tags: Path, *rules: Path, regions: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    """Return the rows of the command about the tag that is always required."""
    named = [option for one in rules for option in ("--firewalls", str(one))]
    asked = [option for one in regions for option in ("--region", one)]
    result = CliRunner().invoke(
        app, ["network", "check", "-o", "json", "--service-tags", str(tags), *named, *asked]
    )
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)["items"]
    return [row for row in rows if row["tag"] == "PowerPlatformPlex"]


def template(*resources: object, **more: object) -> dict[str, object]:
    """Return a template that deploys these resources."""
    return {"$schema": _SCHEMA, "contentVersion": "1.0.0.0", "resources": [*resources], **more}


def test_a_row_says_what_is_let_in_and_what_is_missing(tmp_path: Path, tags: Path) -> None:
    """One line for each firewall and region, versions of IP apart, prefixes in full."""
    rule = security_rule("flows", 100, sourceAddressPrefixes=[*WEST[:2], "4.207.189.192/27"])
    rule["properties"].pop("sourceAddressPrefix")
    file = write(tmp_path / "edge.json", security_group(rule))

    west, north = check(tags, file, regions=("westeurope", "NorthEurope"))

    assert [*west] == KEYS
    assert west["resource"] == security_group()["id"]
    assert (west["kind"], west["tag"]) == ("network_security_group", "PowerPlatformPlex")
    assert (west["region"], west["verdict"]) == ("WestEurope", "partly_allowed")
    assert west["covered"] == {"ipv4": "allowed", "ipv6": "denied"}
    assert west["missing_prefixes"] == [WEST[2]]
    assert west["message"] == "refused_by: DenyAllInBound"
    assert (north["region"], north["covered"]) == ("NorthEurope", {"ipv4": "partly_allowed"})
    assert north["missing_prefixes"] == ["4.207.189.224/27"]


def test_without_a_region_the_tag_is_asked_about_as_a_whole(tmp_path: Path, tags: Path) -> None:
    """A rule of its name covers it, a rule for one of its regions does not."""
    whole = security_rule("flows", 100, sourceAddressPrefix="PowerPlatformPlex")
    part = security_rule("flows", 100, sourceAddressPrefix="PowerPlatformPlex.WestEurope")

    [all_of_it] = check(tags, write(tmp_path / "whole.json", security_group(whole)))
    [west_only] = check(tags, write(tmp_path / "part.json", security_group(part)))

    assert (all_of_it["region"], all_of_it["verdict"]) == (None, "allowed")
    assert (all_of_it["missing_prefixes"], all_of_it["message"]) == ([], None)
    assert (west_only["verdict"], west_only["missing_prefixes"]) == ("partly_allowed", NORTH)


def of_three_tags(tmp_path: Path) -> Path:
    """Write a list with all tags that Microsoft requires, of a region without IPv4 prefixes too."""
    prefixes = {
        "PowerPlatformPlex": [*WEST, "2603:1061:2004:8f00::/56"],
        "PowerPlatformPlex.SpainCentral": ["2603:1061:2004:8f00::/56"],
        "LogicApps": ["13.69.71.0/25"],
        "LogicApps.SpainCentral": ["68.221.1.175/32"],
        "PowerPlatformInfra": ["4.150.232.8/29"],
        "PowerPlatformInfra.SpainCentral": ["2603:1061:2004:9000::/56"],
    }
    values = [
        {"name": name, "properties": {"addressPrefixes": listed}}
        for name, listed in prefixes.items()
    ]
    return write(tmp_path / "three.json", {"changeNumber": 376, "values": values})


def run(tags: Path, rules: Path, *options: str) -> Result:
    """Run the command."""
    arguments = ("--service-tags", str(tags), "--firewalls", str(rules))
    return CliRunner().invoke(app, ["network", "check", *arguments, *options])


def test_all_three_tags_are_reported_and_one_is_required(tmp_path: Path) -> None:
    """Microsoft's page on IP addresses requires three, its page on keys one."""
    rule = security_rule("plex", 100, sourceAddressPrefix="PowerPlatformPlex")
    tags, file = of_three_tags(tmp_path), write(tmp_path / "edge.json", security_group(rule))

    rows = json.loads(run(tags, file, "-o", "json").stdout)["items"]
    shown = run(tags, file, "--fail-on", "gap")

    assert [(row["tag"], row["required"], row["verdict"]) for row in rows] == [
        ("PowerPlatformPlex", True, "allowed"),
        ("LogicApps", False, "denied"),
        ("PowerPlatformInfra", False, "denied"),
    ]
    assert "PowerPlatformPlex (required): 1 allowed.\n" in shown.stderr
    assert "LogicApps (reported only): 1 denied.\n" in shown.stderr
    assert shown.exit_code == 0


def test_tags_that_the_app_requires_too_are_required_here(tmp_path: Path) -> None:
    """By an option, or by the setting of the app; a repair closes the gaps of all of them."""
    rule = security_rule("plex", 100, sourceAddressPrefix="PowerPlatformPlex")
    tags, file = of_three_tags(tmp_path), write(tmp_path / "edge.json", security_group(rule))
    named = "LogicApps, PowerPlatformInfra"

    told = run(tags, file, "--also-required", named, "--show-fix", "az", "--fail-on", "gap")
    misspelled = run(tags, file, "--also-required", "LogicApp")

    assert told.exit_code == 6
    assert "LogicApps (required): 1 denied.\n" in told.stderr
    assert "allow LogicApps, PowerPlatformInfra on edge, each with a rule" in told.stdout
    assert "2 firewall issues" in told.stderr
    assert misspelled.exit_code == 2


@pytest.mark.parametrize(
    ("properties", "verdict", "refusal"),
    [
        ({"publicNetworkAccess": "Disabled"}, "denied", "closed: "),
        ({"networkAcls": {"defaultAction": "Deny"}}, "denied", "no_ipv4: "),
        (
            {"networkAcls": {"defaultAction": "Deny", "ipRules": [{"value": "198.51.100.7"}]}},
            "unknown",
            "no_ipv4: ",
        ),
        ({"networkAcls": {"defaultAction": "Allow"}}, "allowed", None),
    ],
    ids=("closed", "refuses everybody", "lets somebody in", "open"),
)
def test_a_region_without_ipv4_prefixes_is_not_covered_by_a_list_of_ipv4(
    tmp_path: Path, properties: dict[str, Any], verdict: str, refusal: str | None
) -> None:
    """Which addresses come from there is not known: only who lets everybody in lets them in."""
    file = write(tmp_path / "vault.json", key_vault.vault(**properties))
    asked = ("--region", "SpainCentral", "--show-fix", "az", "--fail-on", "gap", "-o", "json")

    result = run(of_three_tags(tmp_path), file, *asked)

    row = json.loads(result.stdout)["items"][0]
    assert (row["tag"], row["verdict"], row["missing_prefixes"]) == (
        "PowerPlatformPlex",
        verdict,
        [],
    )
    assert row["covered"] == {"ipv4": verdict}
    assert (row["fix"] or {}).get("unavailable_reason", "").startswith(refusal or "")
    assert (row["fix"] is None) is (refusal is None)
    assert result.exit_code == (6 if refusal else 0)


@pytest.mark.parametrize("name", ["gone.json", "bad.json", "empty"])
def test_a_pipeline_fails_where_nothing_was_judged(tmp_path: Path, tags: Path, name: str) -> None:
    """A misspelled path, a file that is no JSON, and a folder without a firewall are no gap-free
    network.
    """
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad.json").write_text("{")

    assert run(tags, tmp_path / name).exit_code == 0
    assert run(tags, tmp_path / name, "--fail-on", "gap").exit_code == 6


def test_an_unknown_region_is_refused_with_those_that_there_are(tmp_path: Path, tags: Path) -> None:
    """A misspelled region would be "cannot be told" everywhere."""
    file = write(tmp_path / "edge.json", security_group())

    result = CliRunner().invoke(
        app,
        ["network", "check", f"--service-tags={tags}", f"--firewalls={file}", "--region=WestEurop"],
    )

    assert result.exit_code == 1
    assert "WestEurope, NorthEurope" in result.stderr


def test_a_template_is_read_as_it_deploys(tmp_path: Path, tags: Path) -> None:
    """Variables are what they say; children stand in their parent, or beside it."""
    document = template(
        {
            "type": "Microsoft.Network/networkSecurityGroups",
            "name": "[concat(variables('prefix'), '-nsg')]",
            "properties": {"securityRules": []},
            "resources": [
                {
                    "type": "securityRules",
                    "name": "flows",
                    "properties": security_rule(
                        "", 100, sourceAddressPrefix="[variables('sources')[0].tag]"
                    )["properties"],
                }
            ],
        },
        variables={"prefix": "edge", "sources": [{"tag": "PowerPlatformPlex"}]},
    )

    group, rule = check(tags, write(tmp_path / "t.json", document))

    assert group["resource"].endswith(
        "t.json!/providers/Microsoft.Network/networkSecurityGroups/edge-nsg"
    )
    assert group["verdict"] == "allowed"
    assert (rule["verdict"], rule["message"]) == (None, "part_of_a_firewall")


@pytest.mark.parametrize(
    "source",
    [
        "[parameters('allowed')]",
        "[reference('ip').ipAddress]",
        "[variables('loop')]",
        "[oops(",
        f"[{'concat(' * 5000}{')' * 5000}]",
    ],
    ids=("parameter", "reference", "loop", "broken", "deep"),
)
def test_what_only_a_deployment_decides_cannot_be_told(
    tmp_path: Path, tags: Path, source: str
) -> None:
    """A parameter's default proves no address: whoever deploys may give another."""
    document = template(
        {
            "type": "Microsoft.Network/networkSecurityGroups",
            "name": "[parameters('name')]",
            "properties": {
                "securityRules": [security_rule("flows", 100, sourceAddressPrefix=source)]
            },
        },
        parameters={"name": {"defaultValue": "edge"}, "allowed": {"defaultValue": "Internet"}},
        variables={"loop": "[variables('loop')]"},
    )

    [row] = check(tags, write(tmp_path / "t.json", document))

    assert row["resource"].endswith("/edge")
    assert (row["verdict"], row["message"]) == ("unknown", "depends_on: flows")
    assert row["missing_prefixes"]


@pytest.mark.parametrize(
    "properties",
    [
        {"securityRules": "[parameters('rules')]"},
        {"copy": [{"name": "securityRules", "count": 2, "input": {}}]},
    ],
)
def test_rules_that_are_not_written_out_cannot_be_told(
    tmp_path: Path, tags: Path, properties: dict[str, object]
) -> None:
    """A list that a parameter or a loop makes is not an empty one."""
    group = {"type": "Microsoft.Network/networkSecurityGroups", "name": "e"}

    [row] = check(tags, write(tmp_path / "t.json", template({**group, "properties": properties})))

    assert (row["verdict"], row["message"]) == ("unknown", "depends_on: securityRules")


def test_a_template_may_hold_line_breaks_in_its_texts(tmp_path: Path, tags: Path) -> None:
    """Resource Manager takes them as they are."""
    rule = security_rule("flows", 100, sourceAddressPrefix="PowerPlatformPlex", description="a|b")
    file = write(tmp_path / "edge.json", security_group(rule))
    file.write_text(file.read_text().replace("a|b", "a\nb"))

    [row] = check(tags, file)

    assert row["verdict"] == "allowed"


def test_a_nested_deployment_is_read_too(tmp_path: Path, tags: Path) -> None:
    """Its resources are resources of the file."""
    inner = template({"type": "Microsoft.Network/networkSecurityGroups", "name": "inner"})
    outer = template(
        {
            "type": "Microsoft.Resources/deployments",
            "name": "nested",
            "properties": {"template": inner},
        }
    )

    rows = check(tags, write(tmp_path / "t.json", outer))

    assert [(row["kind"], row["verdict"]) for row in rows] == [
        ("network_security_group", "denied"),
        ("Microsoft.Resources/deployments", None),
    ]


def test_an_answer_of_azures_that_shows_no_restrictions_proves_nothing(
    tmp_path: Path, tags: Path
) -> None:
    """A list of sites leaves them out; a template without them deploys an open site."""
    listed = site(state="Running")
    config = {
        "id": f"{listed['id']}/config/web",
        "type": "Microsoft.Web/sites/config",
        **web_config(restriction("PowerPlatformPlex", 100, tag="ServiceTag")),
    }
    alone = check(tags, write(tmp_path / "alone.json", {"value": [listed]}))
    both = check(tags, write(tmp_path / "both.json", [listed, config]))
    deployed = check(
        tags,
        write(tmp_path / "t.json", template({"type": "Microsoft.Web/sites", "name": "open"})),
    )

    [row] = alone
    assert (row["verdict"], row["message"]) == (
        "unknown",
        "incomplete: the files do not contain all parts of the firewall",
    )
    assert [(row["resource"].rpartition("#")[2], row["verdict"]) for row in both[:2]] == [
        (listed["id"], "allowed"),
        ("scm", "allowed"),
    ]
    assert [row["verdict"] for row in deployed] == ["allowed", "allowed"]


def flattened(resource: dict[str, Any]) -> dict[str, Any]:
    """Return a resource as the command line of Azure prints it."""
    around = {key: one for key, one in resource.items() if key != "properties"}
    inner = {
        key: [flattened(one) for one in value] if isinstance(value, list) else value
        for key, value in resource["properties"].items()
    }
    return {"etag": "W/1", "resourceGroup": "rg", **around, **inner}


def test_a_group_as_the_command_line_of_azure_prints_it_is_read(tmp_path: Path, tags: Path) -> None:
    """It mixes the properties of networks with the rest."""
    group = security_group(security_rule("flows", 100, sourceAddressPrefix="PowerPlatformPlex"))

    [row] = check(tags, write(tmp_path / "nsg.json", flattened(group)))

    assert (row["kind"], row["verdict"]) == ("network_security_group", "allowed")


def test_what_another_tool_printed_of_a_service_cannot_be_told(tmp_path: Path, tags: Path) -> None:
    """It may have other names there: no rules are not an open vault."""
    printed = {**key_vault.vault(), "networkRuleSet": {"defaultAction": "Deny"}}
    del printed["properties"]

    [row] = check(tags, write(tmp_path / "vault.json", printed))

    assert (row["verdict"], row["message"].partition(":")[0]) == ("unknown", "no_properties")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"{", "not_json: not JSON: line 1, column 2"),
        (b"\xff\xfe\x00", "not_json: the text is not utf-16-le"),
        (b"[]", "no_resource: not an object"),
        (b'{"ip_groups": []}', "no_resource: an object with ip_groups"),
        (b'{"interactions": [{"response": {"body": {"string": "<html>"}}}]}', "no_resource"),
    ],
)
def test_a_file_without_a_resource_has_a_row_with_a_reason(
    tmp_path: Path, tags: Path, content: bytes, reason: str
) -> None:
    """One bad file hides neither itself nor the others."""
    file = tmp_path / "bad.json"
    file.write_bytes(content)

    group, row = check(tags, file, write(tmp_path / "edge.json", security_group()))

    assert group["verdict"] == "denied"
    assert (row["resource"], row["kind"], row["verdict"]) == (str(file), "file", None)
    assert row["message"].startswith(reason)


def test_a_file_that_is_not_there_has_a_row_too(tmp_path: Path, tags: Path) -> None:
    """A misspelled name is not a firewall in order."""
    [row] = check(tags, tmp_path / "gone.json")

    assert row["message"] == "no_file: No such file or directory"


def test_what_no_kind_reads_is_not_called_open(tmp_path: Path, tags: Path) -> None:
    """A filter that is not read cannot be told; a machine filters nobody."""
    document = template(
        {"type": "Microsoft.Network/frontDoors", "name": "door"},
        {"type": "Microsoft.Compute/virtualMachines", "name": "machine"},
    )

    door, machine = check(tags, write(tmp_path / "t.json", document))

    assert (door["verdict"], door["message"]) == ("unknown", "not_read: check it manually")
    assert (machine["verdict"], machine["message"]) == (None, "not_a_firewall")


def test_people_get_a_table_of_the_firewalls(tmp_path: Path, tags: Path) -> None:
    """Resources that filter nobody are only counted."""
    machine = template({"type": "Microsoft.Compute/virtualMachines", "name": "machine"})
    files = [
        write(tmp_path / "edge.json", security_group()),
        write(tmp_path / "t.json", machine),
    ]
    named = [option for one in files for option in ("--firewalls", str(one))]

    result = CliRunner().invoke(app, ["network", "check", "--service-tags", str(tags), *named])

    assert result.exit_code == 0
    assert "refused_by" in result.stdout
    assert "virtualMachines" not in result.stdout
    assert "PowerPlatformPlex (required): 1 denied.\n" in result.stderr
    assert "1 other resources and files." in result.stderr


def test_a_firewall_in_a_template_is_shown_by_its_name(tmp_path: Path, tags: Path) -> None:
    """With the name of the file where two have that name."""
    group = {"type": "Microsoft.Network/networkSecurityGroups", "properties": {}}
    twice = template({**group, "name": "edge"})
    write(tmp_path / "rules" / "a.json", twice)
    write(tmp_path / "rules" / "b.json", twice)
    write(tmp_path / "rules" / "c.json", template({**group, "name": "inner"}))

    shown = run(tags, tmp_path / "rules").stdout

    names = {line.split("\t")[0] for line in shown.splitlines()[1:]}
    assert names == {"edge (a.json)", "edge (b.json)", "inner"}


def test_a_row_says_what_closes_the_gap_where_that_is_asked_for(tmp_path: Path, tags: Path) -> None:
    """One repair for all regions that were asked about; what lets all of them in needs none."""
    rule = security_rule("flows", 100, sourceAddressPrefix="PowerPlatformPlex.WestEurope")
    file = write(tmp_path / "edge.json", security_group(rule))
    wanted = ("--service-tags", str(tags), "--firewalls", str(file), "--show-fix", "az")
    regions = ("--region", "WestEurope", "--region", "NorthEurope")

    told = CliRunner().invoke(app, ["network", "check", "-o", "json", *wanted, *regions])
    shown = CliRunner().invoke(app, ["network", "check", *wanted, *regions])

    listed = json.loads(told.stdout)["items"]
    west, north = (row for row in listed if row["required"])
    assert west["fix"] is None
    assert north["fix"]["issue"] == f"network_security_group:{security_group()['id'].lower()}"
    assert north["fix"]["bicep"].startswith("resource edge 'Microsoft.Network/")
    assert north["fix"]["azure_cli"] in shown.stdout
    assert "# allow PowerPlatformPlex.NorthEurope on edge, each with a rule" in shown.stdout
    assert "PowerPlatformPlex.WestEurope" not in north["fix"]["azure_cli"]


@pytest.mark.parametrize(
    ("language", "comment"), [("az", "# "), ("bicep", "// "), ("terraform", "# ")]
)
def test_a_gap_without_a_repair_says_why(
    tmp_path: Path, tags: Path, language: str, comment: str
) -> None:
    """As a comment of the language, so that the text can be kept as it is."""
    vault = key_vault.vault(publicNetworkAccess="Disabled")
    file = write(tmp_path / "vault.json", vault)
    wanted = ("--service-tags", str(tags), "--firewalls", str(file), "--show-fix", language)

    result = CliRunner().invoke(app, ["network", "check", *wanted])

    assert f"\n{comment}closed: public access to kv-orders is off" in result.stdout


@pytest.mark.corpus
@pytest.mark.skipif("FLOW_CORPUS" not in os.environ, reason="FLOW_CORPUS is not set")
def test_every_gap_of_a_real_file_has_a_repair_or_a_named_refusal() -> None:
    """In three languages that can be parsed, whatever names and expressions templates hold."""
    corpus = Path(os.environ["FLOW_CORPUS"])
    [tags] = (corpus / "servicetags").glob("ServiceTags_Public_*.json")
    arguments = ("--service-tags", str(tags), "--firewalls", str(corpus / "firewall"))

    result = CliRunner().invoke(
        app, ["network", "check", "-o", "json", "--show-fix", "az", *arguments]
    )

    rows = json.loads(result.stdout)["items"]
    lacking = [row for row in rows if row["required"] and row["missing_prefixes"]]
    assert lacking != []
    for repair in (row["fix"] for row in lacking):
        if repair["unavailable_reason"]:
            assert repair["unavailable_reason"].partition(":")[0] in _written_refusals()
            continue
        assert not PARSER.parse(repair["bicep"].encode()).root_node.has_error, repair["bicep"]
        assert hcl2.loads(repair["terraform"])
        assert shlex.split(repair["azure_cli"], comments=True)[0] == "az"


def _written_refusals() -> set[str]:
    text = _DOCUMENT.read_text(encoding="utf-8")
    chapter = text.partition("## Firewall fixes")[2].partition("\n## ")[0]
    return set(re.findall(r"^\| `(\w+)` \|", chapter, re.MULTILINE))


@pytest.mark.corpus
@pytest.mark.skipif("FLOW_CORPUS" not in os.environ, reason="FLOW_CORPUS is not set")
def test_every_real_file_has_the_verdict_that_it_had() -> None:
    """Templates, cassettes, fragments and the one that is no JSON, checked as a whole."""
    corpus = Path(os.environ["FLOW_CORPUS"])
    [tags] = (corpus / "servicetags").glob("ServiceTags_Public_*.json")

    rows = check(tags, corpus / "firewall")

    counted = Counter(
        (row["kind"].lower(), row["verdict"] or "–", (row["message"] or "").partition(":")[0])
        for row in rows
        if row["verdict"] or row["kind"] == "file"
    )
    others = {row["message"] for row in rows if not row["verdict"] and row["kind"] != "file"}
    assert counted == _COUNTS
    assert others == {"not_a_firewall", "part_of_a_firewall"}
