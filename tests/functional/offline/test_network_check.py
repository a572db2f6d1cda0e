"""`cmkflow network check` checks exported firewalls and shows a row for each resource."""

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
    """A service tag list with two regions, in Microsoft's format."""
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
    """Write a document as JSON and return the file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(document), encoding="utf-8")
    return file


def run_check(tags: Path, *rules: Path, regions: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    """Run the command with JSON output; return the rows about the tag that is always required."""
    named = [option for one in rules for option in ("--firewalls", str(one))]
    asked = [option for one in regions for option in ("--region", one)]
    result = CliRunner().invoke(
        app, ["network", "check", "-o", "json", "--service-tags", str(tags), *named, *asked]
    )
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)["items"]
    return [row for row in rows if row["tag"] == "PowerPlatformPlex"]


def build_template(*resources: object, **more: object) -> dict[str, object]:
    """Return a template that deploys these resources."""
    return {"$schema": _SCHEMA, "contentVersion": "1.0.0.0", "resources": [*resources], **more}


def test_row_has_the_verdict_and_the_missing_prefixes(tmp_path: Path, tags: Path) -> None:
    """Each firewall and region has a row, with a verdict for IPv4 and one for IPv6."""
    rule = security_rule("flows", 100, sourceAddressPrefixes=[*WEST[:2], "4.207.189.192/27"])
    rule["properties"].pop("sourceAddressPrefix")
    file = write(tmp_path / "edge.json", security_group(rule))

    west, north = run_check(tags, file, regions=("westeurope", "NorthEurope"))

    assert [*west] == KEYS
    assert west["resource"] == security_group()["id"]
    assert (west["kind"], west["tag"]) == ("network_security_group", "PowerPlatformPlex")
    assert (west["region"], west["verdict"]) == ("WestEurope", "partly_allowed")
    assert west["covered"] == {"ipv4": "allowed", "ipv6": "denied"}
    assert west["missing_prefixes"] == [WEST[2]]
    assert west["message"] == "refused_by: DenyAllInBound"
    assert (north["region"], north["covered"]) == ("NorthEurope", {"ipv4": "partly_allowed"})
    assert north["missing_prefixes"] == ["4.207.189.224/27"]


def test_check_without_a_region_needs_the_whole_tag(tmp_path: Path, tags: Path) -> None:
    """A rule for the tag allows all regions; a rule for one region does not."""
    whole = security_rule("flows", 100, sourceAddressPrefix="PowerPlatformPlex")
    part = security_rule("flows", 100, sourceAddressPrefix="PowerPlatformPlex.WestEurope")

    [all_of_it] = run_check(tags, write(tmp_path / "whole.json", security_group(whole)))
    [west_only] = run_check(tags, write(tmp_path / "part.json", security_group(part)))

    assert (all_of_it["region"], all_of_it["verdict"]) == (None, "allowed")
    assert (all_of_it["missing_prefixes"], all_of_it["message"]) == ([], None)
    assert (west_only["verdict"], west_only["missing_prefixes"]) == ("partly_allowed", NORTH)


def write_three_tags(tmp_path: Path) -> Path:
    """Write a service tag list with the three tags that Microsoft names.

    One region has no IPv4 prefixes.
    """
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


def run_command(tags: Path, rules: Path, *options: str) -> Result:
    """Run the command with a service tag list and firewalls."""
    arguments = ("--service-tags", str(tags), "--firewalls", str(rules))
    return CliRunner().invoke(app, ["network", "check", *arguments, *options])


def test_check_reports_three_tags_and_requires_one(tmp_path: Path) -> None:
    """Microsoft's page on IP addresses names three tags, its page on keys names one."""
    rule = security_rule("plex", 100, sourceAddressPrefix="PowerPlatformPlex")
    tags, file = write_three_tags(tmp_path), write(tmp_path / "edge.json", security_group(rule))

    rows = json.loads(run_command(tags, file, "-o", "json").stdout)["items"]
    shown = run_command(tags, file, "--fail-on", "gap")

    assert [(row["tag"], row["required"], row["verdict"]) for row in rows] == [
        ("PowerPlatformPlex", True, "allowed"),
        ("LogicApps", False, "denied"),
        ("PowerPlatformInfra", False, "denied"),
    ]
    assert "PowerPlatformPlex (required): 1 allowed.\n" in shown.stderr
    assert "LogicApps (reported only): 1 denied.\n" in shown.stderr
    assert shown.exit_code == 0


def test_also_required_tags_are_required(tmp_path: Path) -> None:
    """One fix allows all required tags."""
    rule = security_rule("plex", 100, sourceAddressPrefix="PowerPlatformPlex")
    tags, file = write_three_tags(tmp_path), write(tmp_path / "edge.json", security_group(rule))
    named = "LogicApps, PowerPlatformInfra"

    told = run_command(tags, file, "--also-required", named, "--show-fix", "az", "--fail-on", "gap")
    misspelled = run_command(tags, file, "--also-required", "LogicApp")

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
def test_ipv4_list_cannot_allow_a_region_without_ipv4_prefixes(
    tmp_path: Path, properties: dict[str, Any], verdict: str, refusal: str | None
) -> None:
    """The region's addresses are unknown, so only a firewall that allows everybody allows them."""
    file = write(tmp_path / "vault.json", key_vault.vault(**properties))
    asked = ("--region", "SpainCentral", "--show-fix", "az", "--fail-on", "gap", "-o", "json")

    result = run_command(write_three_tags(tmp_path), file, *asked)

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
def test_fail_on_gap_fails_if_no_firewall_was_checked(
    tmp_path: Path, tags: Path, name: str
) -> None:
    """The path is misspelled, the file is no JSON, or the folder has no firewall."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad.json").write_text("{")

    assert run_command(tags, tmp_path / name).exit_code == 0
    assert run_command(tags, tmp_path / name, "--fail-on", "gap").exit_code == 6


def test_unknown_region_is_rejected_with_the_known_regions(tmp_path: Path, tags: Path) -> None:
    """With a misspelled region, every verdict would be "unknown"."""
    file = write(tmp_path / "edge.json", security_group())

    result = CliRunner().invoke(
        app,
        ["network", "check", f"--service-tags={tags}", f"--firewalls={file}", "--region=WestEurop"],
    )

    assert result.exit_code == 1
    assert "WestEurope, NorthEurope" in result.stderr


def test_template_variables_and_child_resources_are_resolved(tmp_path: Path, tags: Path) -> None:
    """A child resource is nested in its parent, or beside it in the template."""
    document = build_template(
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

    group, rule = run_check(tags, write(tmp_path / "t.json", document))

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
def test_rule_with_a_parameter_as_source_is_unknown(
    tmp_path: Path, tags: Path, source: str
) -> None:
    """The person who deploys may replace a parameter's default value."""
    document = build_template(
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

    [row] = run_check(tags, write(tmp_path / "t.json", document))

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
def test_rules_from_a_parameter_or_a_loop_are_unknown(
    tmp_path: Path, tags: Path, properties: dict[str, object]
) -> None:
    """Such a list is not treated as an empty list."""
    group = {"type": "Microsoft.Network/networkSecurityGroups", "name": "e"}

    [row] = run_check(
        tags, write(tmp_path / "t.json", build_template({**group, "properties": properties}))
    )

    assert (row["verdict"], row["message"]) == ("unknown", "depends_on: securityRules")


def test_template_with_line_breaks_in_strings_is_read(tmp_path: Path, tags: Path) -> None:
    """Resource Manager accepts such templates."""
    rule = security_rule("flows", 100, sourceAddressPrefix="PowerPlatformPlex", description="a|b")
    file = write(tmp_path / "edge.json", security_group(rule))
    file.write_text(file.read_text().replace("a|b", "a\nb"))

    [row] = run_check(tags, file)

    assert row["verdict"] == "allowed"


def test_resources_of_a_nested_deployment_are_checked(tmp_path: Path, tags: Path) -> None:
    inner = build_template({"type": "Microsoft.Network/networkSecurityGroups", "name": "inner"})
    outer = build_template(
        {
            "type": "Microsoft.Resources/deployments",
            "name": "nested",
            "properties": {"template": inner},
        }
    )

    rows = run_check(tags, write(tmp_path / "t.json", outer))

    assert [(row["kind"], row["verdict"]) for row in rows] == [
        ("network_security_group", "denied"),
        ("Microsoft.Resources/deployments", None),
    ]


def test_app_service_answer_without_restrictions_is_unknown(tmp_path: Path, tags: Path) -> None:
    """A list of sites omits restrictions. A template without restrictions deploys an open site."""
    listed = site(state="Running")
    config = {
        "id": f"{listed['id']}/config/web",
        "type": "Microsoft.Web/sites/config",
        **web_config(restriction("PowerPlatformPlex", 100, tag="ServiceTag")),
    }
    alone = run_check(tags, write(tmp_path / "alone.json", {"value": [listed]}))
    both = run_check(tags, write(tmp_path / "both.json", [listed, config]))
    deployed = run_check(
        tags,
        write(tmp_path / "t.json", build_template({"type": "Microsoft.Web/sites", "name": "open"})),
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


def flatten(resource: dict[str, Any]) -> dict[str, Any]:
    """Return a resource in the format that the Azure CLI prints."""
    around = {key: one for key, one in resource.items() if key != "properties"}
    inner = {
        key: [flatten(one) for one in value] if isinstance(value, list) else value
        for key, value in resource["properties"].items()
    }
    return {"etag": "W/1", "resourceGroup": "rg", **around, **inner}


def test_network_security_group_printed_by_the_azure_cli_is_read(
    tmp_path: Path, tags: Path
) -> None:
    """For network resources, the Azure CLI prints the properties beside the other members."""
    group = security_group(security_rule("flows", 100, sourceAddressPrefix="PowerPlatformPlex"))

    [row] = run_check(tags, write(tmp_path / "nsg.json", flatten(group)))

    assert (row["kind"], row["verdict"]) == ("network_security_group", "allowed")


def test_key_vault_without_properties_is_unknown(tmp_path: Path, tags: Path) -> None:
    """Another tool may use other names, so a vault without rules is not treated as open."""
    printed = {**key_vault.vault(), "networkRuleSet": {"defaultAction": "Deny"}}
    del printed["properties"]

    [row] = run_check(tags, write(tmp_path / "vault.json", printed))

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
def test_file_without_a_resource_has_a_row_with_a_reason(
    tmp_path: Path, tags: Path, content: bytes, reason: str
) -> None:
    """The other files are checked."""
    file = tmp_path / "bad.json"
    file.write_bytes(content)

    group, row = run_check(tags, file, write(tmp_path / "edge.json", security_group()))

    assert group["verdict"] == "denied"
    assert (row["resource"], row["kind"], row["verdict"]) == (str(file), "file", None)
    assert row["message"].startswith(reason)


def test_missing_file_has_a_row_with_a_reason(tmp_path: Path, tags: Path) -> None:
    """A misspelled name must not look like a firewall without issues."""
    [row] = run_check(tags, tmp_path / "gone.json")

    assert row["message"] == "no_file: No such file or directory"


def test_unsupported_firewall_is_unknown_and_other_resources_have_no_verdict(
    tmp_path: Path, tags: Path
) -> None:
    document = build_template(
        {"type": "Microsoft.Network/frontDoors", "name": "door"},
        {"type": "Microsoft.Compute/virtualMachines", "name": "machine"},
    )

    door, machine = run_check(tags, write(tmp_path / "t.json", document))

    assert (door["verdict"], door["message"]) == ("unknown", "not_read: check it manually")
    assert (machine["verdict"], machine["message"]) == (None, "not_a_firewall")


def test_table_lists_firewalls_and_counts_other_resources(tmp_path: Path, tags: Path) -> None:
    machine = build_template({"type": "Microsoft.Compute/virtualMachines", "name": "machine"})
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


def test_table_adds_the_file_to_equal_firewall_names(tmp_path: Path, tags: Path) -> None:
    group = {"type": "Microsoft.Network/networkSecurityGroups", "properties": {}}
    twice = build_template({**group, "name": "edge"})
    write(tmp_path / "rules" / "a.json", twice)
    write(tmp_path / "rules" / "b.json", twice)
    write(tmp_path / "rules" / "c.json", build_template({**group, "name": "inner"}))

    shown = run_command(tags, tmp_path / "rules").stdout

    names = {line.split("\t")[0] for line in shown.splitlines()[1:]}
    assert names == {"edge (a.json)", "edge (b.json)", "inner"}


def test_show_fix_adds_one_fix_for_all_regions(tmp_path: Path, tags: Path) -> None:
    """A region that the firewall already allows has no fix."""
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
def test_issue_without_a_fix_has_the_reason_as_a_comment(
    tmp_path: Path, tags: Path, language: str, comment: str
) -> None:
    """The reason is a comment in the language of the fix, so the output is still valid."""
    vault = key_vault.vault(publicNetworkAccess="Disabled")
    file = write(tmp_path / "vault.json", vault)
    wanted = ("--service-tags", str(tags), "--firewalls", str(file), "--show-fix", language)

    result = CliRunner().invoke(app, ["network", "check", *wanted])

    assert f"\n{comment}closed: public access to kv-orders is off" in result.stdout


@pytest.mark.corpus
@pytest.mark.skipif("FLOW_CORPUS" not in os.environ, reason="FLOW_CORPUS is not set")
def test_every_issue_of_a_public_file_has_a_fix_or_a_documented_reason() -> None:
    """Each fix can be parsed in three languages, also with names and expressions of a template."""
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
def test_verdicts_of_public_files_match_the_recorded_counts() -> None:
    """The files are templates, recorded responses, fragments, and one file that is no JSON."""
    corpus = Path(os.environ["FLOW_CORPUS"])
    [tags] = (corpus / "servicetags").glob("ServiceTags_Public_*.json")

    rows = run_check(tags, corpus / "firewall")

    counted = Counter(
        (row["kind"].lower(), row["verdict"] or "–", (row["message"] or "").partition(":")[0])
        for row in rows
        if row["verdict"] or row["kind"] == "file"
    )
    others = {row["message"] for row in rows if not row["verdict"] and row["kind"] != "file"}
    assert counted == _COUNTS
    assert others == {"not_a_firewall", "part_of_a_firewall"}
