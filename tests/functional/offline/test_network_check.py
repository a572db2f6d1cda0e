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
from tests.functional.offline.checked_network import (
    KEYS,
    NORTH,
    WEST,
    build_template,
    run_check,
    write,
    write_service_tags,
)
from tests.kinds.bicep_values import PARSER
from tests.kinds.firewalls import key_vault
from tests.kinds.firewalls.network_security_group import build_security_group, build_security_rule

#: Kind, verdict and reason of the resources in the corpus, for the whole `PowerPlatformPlex`.
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


@pytest.fixture
def tags(tmp_path: Path) -> Path:
    return write_service_tags(tmp_path)


def test_row_has_the_verdict_and_the_missing_prefixes(tmp_path: Path, tags: Path) -> None:
    rule = build_security_rule("flows", 100, sourceAddressPrefixes=[*WEST[:2], "4.207.189.192/27"])
    rule["properties"].pop("sourceAddressPrefix")
    file = write(tmp_path / "edge.json", build_security_group(rule))

    west, north = run_check(tags, file, regions=("westeurope", "NorthEurope"))

    assert [*west] == KEYS
    assert west["resource"] == build_security_group()["id"]
    assert (west["kind"], west["tag"]) == ("network_security_group", "PowerPlatformPlex")
    assert (west["region"], west["verdict"]) == ("WestEurope", "partly_allowed")
    assert west["covered"] == {"ipv4": "allowed", "ipv6": "denied"}
    assert west["missing_prefixes"] == [WEST[2]]
    assert west["message"] == "refused_by: DenyAllInBound"
    assert (north["region"], north["covered"]) == ("NorthEurope", {"ipv4": "partly_allowed"})
    assert north["missing_prefixes"] == ["4.207.189.224/27"]


def test_check_without_a_region_needs_the_whole_tag(tmp_path: Path, tags: Path) -> None:
    """A rule for the tag allows all regions; a rule for one region does not."""
    whole = build_security_rule("flows", 100, sourceAddressPrefix="PowerPlatformPlex")
    part = build_security_rule("flows", 100, sourceAddressPrefix="PowerPlatformPlex.WestEurope")

    [all_of_it] = run_check(tags, write(tmp_path / "whole.json", build_security_group(whole)))
    [west_only] = run_check(tags, write(tmp_path / "part.json", build_security_group(part)))

    assert (all_of_it["region"], all_of_it["verdict"]) == (None, "allowed")
    assert (all_of_it["missing_prefixes"], all_of_it["message"]) == ([], None)
    assert (west_only["verdict"], west_only["missing_prefixes"]) == ("partly_allowed", NORTH)


def write_three_tags(tmp_path: Path) -> Path:
    """Write a service tag list with the three tags that Microsoft names. One region has only IPv6
    prefixes.
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
    arguments = ("--service-tags", str(tags), "--firewalls", str(rules))
    return CliRunner().invoke(app, ["network", "check", *arguments, *options])


def test_check_reports_three_tags_and_requires_one(tmp_path: Path) -> None:
    """Microsoft names three tags for flows, but requires only one under a customer-managed key."""
    rule = build_security_rule("plex", 100, sourceAddressPrefix="PowerPlatformPlex")
    tags, file = (
        write_three_tags(tmp_path),
        write(tmp_path / "edge.json", build_security_group(rule)),
    )

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
    rule = build_security_rule("plex", 100, sourceAddressPrefix="PowerPlatformPlex")
    tags, file = (
        write_three_tags(tmp_path),
        write(tmp_path / "edge.json", build_security_group(rule)),
    )
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
    """The region's IPv4 addresses are unknown."""
    file = write(tmp_path / "vault.json", key_vault.build_vault(**properties))
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
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad.json").write_text("{")

    assert run_command(tags, tmp_path / name).exit_code == 0
    assert run_command(tags, tmp_path / name, "--fail-on", "gap").exit_code == 6


def test_unknown_region_is_rejected_with_the_known_regions(tmp_path: Path, tags: Path) -> None:
    """Otherwise a misspelled region would make every verdict "unknown"."""
    file = write(tmp_path / "edge.json", build_security_group())

    result = CliRunner().invoke(
        app,
        ["network", "check", f"--service-tags={tags}", f"--firewalls={file}", "--region=WestEurop"],
    )

    assert result.exit_code == 1
    assert "WestEurope, NorthEurope" in result.stderr


def test_table_lists_firewalls_and_counts_other_resources(tmp_path: Path, tags: Path) -> None:
    machine = build_template({"type": "Microsoft.Compute/virtualMachines", "name": "machine"})
    files = [
        write(tmp_path / "edge.json", build_security_group()),
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
    rule = build_security_rule("flows", 100, sourceAddressPrefix="PowerPlatformPlex.WestEurope")
    file = write(tmp_path / "edge.json", build_security_group(rule))
    wanted = ("--service-tags", str(tags), "--firewalls", str(file), "--show-fix", "az")
    regions = ("--region", "WestEurope", "--region", "NorthEurope")

    told = CliRunner().invoke(app, ["network", "check", "-o", "json", *wanted, *regions])
    shown = CliRunner().invoke(app, ["network", "check", *wanted, *regions])

    listed = json.loads(told.stdout)["items"]
    west, north = (row for row in listed if row["required"])
    assert west["fix"] is None
    assert north["fix"]["issue"] == f"network_security_group:{build_security_group()['id'].lower()}"
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
    """The output must still be valid in the language of the fix."""
    vault = key_vault.build_vault(publicNetworkAccess="Disabled")
    file = write(tmp_path / "vault.json", vault)
    wanted = ("--service-tags", str(tags), "--firewalls", str(file), "--show-fix", language)

    result = CliRunner().invoke(app, ["network", "check", *wanted])

    assert f"\n{comment}closed: public access to kv-orders is off" in result.stdout


@pytest.mark.corpus
@pytest.mark.skipif("FLOW_CORPUS" not in os.environ, reason="FLOW_CORPUS is not set")
def test_every_issue_of_a_public_file_has_a_fix_or_a_documented_reason() -> None:
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
            assert repair["unavailable_reason"].partition(":")[0] in _read_documented_refusals()
            continue
        assert not PARSER.parse(repair["bicep"].encode()).root_node.has_error, repair["bicep"]
        assert hcl2.loads(repair["terraform"])
        assert shlex.split(repair["azure_cli"], comments=True)[0] == "az"


def _read_documented_refusals() -> set[str]:
    text = _DOCUMENT.read_text(encoding="utf-8")
    chapter = text.partition("## Firewall fixes")[2].partition("\n## ")[0]
    return set(re.findall(r"^\| `(\w+)` \|", chapter, re.MULTILINE))


@pytest.mark.corpus
@pytest.mark.skipif("FLOW_CORPUS" not in os.environ, reason="FLOW_CORPUS is not set")
def test_verdicts_of_public_files_match_the_recorded_counts() -> None:
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
