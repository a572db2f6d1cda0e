import json
import os
import re
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import hcl2
import pytest
from typer.testing import CliRunner

from cmkflow.__main__ import app
from tests.bicep_compiler import list_diagnostics, needs_compiler
from tests.kinds.bicep_values import PARSER
from tests.kinds.case import Json
from tests.kinds.cases import FIREWALL_KINDS, load_firewall_case
from tests.kinds.firewalls import azure_firewall
from tests.kinds.firewalls.network_security_group import build_security_rule
from tests.unit.uncovered import build_tag_list

TAGS = {
    "PowerPlatformPlex": ["20.61.88.128/26", "4.207.189.192/26"],
    "PowerPlatformPlex.WestEurope": ["20.61.88.128/26", "4.207.189.192/26"],
    "LogicApps": ["13.69.71.0/25"],
    "LogicApps.WestEurope": ["13.69.71.0/25"],
}
_SCHEMA = "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#"
_EXPRESSION = re.compile(r"\[\w+\(")
_DECLARED = re.compile(r'^(?:param|var|variable|output) "?(\w+)', re.MULTILINE)


def read_fixes(tags: Path, rules: Path) -> list[dict[str, Any]]:
    arguments = ("--service-tags", str(tags), "--firewalls", str(rules))
    result = CliRunner().invoke(
        app, ["network", "check", "-o", "json", "--show-fix", "az", *arguments]
    )
    rows = json.loads(result.stdout)["items"]
    found = {row["resource"]: row["fix"] for row in rows if row.get("fix")}
    return [one for one in found.values() if not one["unavailable_reason"]]


def remove_comments(text: str) -> str:
    lines = text.splitlines()
    return "\n".join(one for one in lines if not one.lstrip().startswith(("#", "//")))


def check_fix(repair: Mapping[str, Any], folder: Path) -> None:
    """Require that a fix can be parsed and has no path, unused declaration or expression outside
    comments.
    """
    files = [file.name.lower() for file in folder.rglob("*.json")]
    assert files != []
    for text in (repair["azure_cli"], repair["bicep"], repair["terraform"]):
        assert not [one for one in (str(folder).lower(), *files) if one in text.lower()]
        assert not _EXPRESSION.search(remove_comments(text)), text
        for name in _DECLARED.findall(text):
            assert len(re.findall(rf"\b{name}\b", remove_comments(text))) > 1, (name, text)
    for placeholder in re.findall(r"<[\w. -]+>", remove_comments(repair["azure_cli"])):
        assert f"# {placeholder}: " in repair["azure_cli"]
    assert "<" not in remove_comments(repair["bicep"]) + remove_comments(repair["terraform"])
    assert not PARSER.parse(repair["bicep"].encode()).root_node.has_error, repair["bicep"]
    hcl2.loads(repair["terraform"])
    shlex.split(repair["azure_cli"], comments=True)


def compile_fixes(texts: Iterable[str], folder: Path) -> list[str]:
    """Compile the texts, and return the diagnostics except those about omitted members (BCP035)."""
    folder.mkdir()
    for number, text in enumerate(texts):
        (folder / f"{number}.bicep").write_text(text, encoding="utf-8")
    return [one for one in list_diagnostics(folder, "*.bicep") if ": Warning BCP035: " not in one]


def build_template(resources: Mapping[str, Json]) -> Json:
    """Return a template of these resources, whose names and `Deny` actions are parameters."""
    written = []
    for path, one in resources.items():
        provider, *parts = path.rpartition("/providers/")[2].split("/")
        first, *names = parts[1::2]
        inner = "".join(f"/{name}" for name in names)
        text = json.dumps(one["properties"]).replace('"Deny"', "\"[parameters('action')]\"")
        written.append(
            {
                "type": "/".join((provider, *parts[::2])),
                "name": f"[concat(parameters('{first}-name'), '{inner}')]",
                "properties": json.loads(text),
            }
        )
    return {"$schema": _SCHEMA, "contentVersion": "1.0.0.0", "resources": written}


@pytest.fixture
def tags(tmp_path: Path) -> Path:
    values = [
        {"name": name, "properties": {"addressPrefixes": listed, "networkFeatures": ["NSG"]}}
        for name, listed in TAGS.items()
    ]
    file = tmp_path / "tags.json"
    file.write_text(json.dumps({"changeNumber": 1, "cloud": "Public", "values": values}))
    return file


def write_template(tmp_path: Path, document: object) -> Path:
    """Write a template to the folder `exported`, a name that would stand out in a fix. Return the
    file.
    """
    file = tmp_path / "exported" / "template.json"
    file.parent.mkdir()
    file.write_text(json.dumps(document), encoding="utf-8")
    return file


@pytest.mark.parametrize("kind", FIREWALL_KINDS)
def test_fix_of_a_template_has_no_file_path_and_no_expression(
    tmp_path: Path, tags: Path, kind: str
) -> None:
    case = load_firewall_case(kind)
    sources = case.build_sources(["LogicApps.WestEurope"], build_tag_list(TAGS))
    file = write_template(tmp_path, build_template(case.resources(sources)))

    found = read_fixes(tags, file)

    assert found != []
    for repair in found:
        check_fix(repair, file.parent)


def test_expression_becomes_a_parameter_or_an_explained_placeholder(
    tmp_path: Path, tags: Path
) -> None:
    rule = build_security_rule("flows", 100, destinationAddressPrefix="[parameters('systems')]")
    template = {
        "$schema": _SCHEMA,
        "parameters": {"systems": {"type": "string"}, "edge": {"type": "string"}},
        "resources": [
            {
                "type": "Microsoft.Network/networkSecurityGroups",
                "name": "[concat(parameters('edge'), '-nsg')]",
                "properties": {"securityRules": [rule]},
            }
        ],
    }
    rule["properties"]["sourceAddressPrefix"] = "LogicApps"

    [_, repair] = read_fixes(tags, write_template(tmp_path, template))

    assert "--nsg-name '<edge>-nsg'" in repair["azure_cli"]
    assert "--destination-address-prefixes '<systems>'" in repair["azure_cli"]
    assert "# <systems>: [parameters('systems')] of the template\n" in repair["azure_cli"]
    assert "param systems string\n" in repair["bicep"]
    assert "destinationAddressPrefix: systems\n" in repair["bicep"]
    assert "name: '${edge}-nsg'\n" in repair["bicep"]
    assert 'variable "systems" {' in repair["terraform"]
    assert "destination_address_prefix = var.systems\n" in repair["terraform"]
    assert 'network_security_group_name = "${var.edge}-nsg"\n' in repair["terraform"]


def test_azure_firewall_rule_refers_to_its_ip_group(tmp_path: Path, tags: Path) -> None:
    nat = azure_firewall.build_collection(
        "published", 100, azure_firewall.build_nat_rule("orders", "13.69.71.0/25"), action="Dnat"
    )
    listed = [
        azure_firewall.build_policy(),
        azure_firewall.build_group("edge-policy", "inbound", 200, nat),
    ]
    template = build_template({one["id"]: one for one in listed})

    file = write_template(tmp_path, template)

    [repair] = read_fixes(tags, file)

    check_fix(repair, file.parent)
    assert "              cmk__edge_policy_name_.id\n" in repair["bicep"]
    assert "azurerm_ip_group.cmk__edge_policy_name_.id" in repair["terraform"]
    group = (
        "/subscriptions/<subscription>/resourceGroups/<resource group>"
        "/providers/Microsoft.Network/ipGroups/cmk-<edge-policy-name>"
    )
    assert f"--source-ip-groups '{group}'" in repair["azure_cli"]


@pytest.mark.parametrize(
    "properties",
    [
        {"securityRules": "[parameters('rules')]"},
        {"copy": [{"name": "securityRules", "count": 2, "input": {}}]},
    ],
)
def test_computed_list_of_rules_has_no_fix(tmp_path: Path, tags: Path, properties: Json) -> None:
    group = {"type": "Microsoft.Network/networkSecurityGroups", "name": "edge"}
    template = {"$schema": _SCHEMA, "resources": [{**group, "properties": properties}]}
    arguments = (
        "--service-tags",
        str(tags),
        "--firewalls",
        str(write_template(tmp_path, template)),
    )

    result = CliRunner().invoke(
        app, ["network", "check", "-o", "json", "--show-fix", "az", *arguments]
    )

    row = json.loads(result.stdout)["items"][0]
    refusal = "not_written_out: the template does not contain securityRules as a list"
    assert (row["fix"]["unavailable_reason"], row["fix"]["bicep"]) == (refusal, "")


@pytest.mark.parametrize("kind", ["app_service", "network_security_group"])
def test_rules_with_a_computed_priority_have_no_fix(tmp_path: Path, tags: Path, kind: str) -> None:
    """The app cannot place a rule before one whose priority the template computes."""
    resources = load_firewall_case(kind).resources(["LogicApps.WestEurope"])
    template = json.dumps(build_template(resources))
    opened = re.sub(r'"priority": \d+', '"priority": "[parameters(\'first\')]"', template, count=1)
    file = write_template(tmp_path, json.loads(opened))
    arguments = ("--service-tags", str(tags), "--firewalls", str(file), "--show-fix", "az")

    result = CliRunner().invoke(app, ["network", "check", *arguments])

    assert "not_written_out: the template computes the priority of" in result.stdout
    assert "\naz " not in result.stdout


@pytest.mark.corpus
@pytest.mark.skipif("FLOW_CORPUS" not in os.environ, reason="FLOW_CORPUS is not set")
def test_fixes_of_public_templates_have_no_file_path_and_no_expression() -> None:
    corpus = Path(os.environ["FLOW_CORPUS"])
    [tags] = (corpus / "servicetags").glob("ServiceTags_Public_*.json")

    found = read_fixes(tags, corpus / "firewall")

    assert found != []
    for repair in found:
        check_fix(repair, corpus / "firewall")


@needs_compiler
def test_bicep_compiler_accepts_fixes_of_every_firewall_kind(tmp_path: Path, tags: Path) -> None:
    rules = tmp_path / "rules"
    rules.mkdir()
    for kind in FIREWALL_KINDS:
        case = load_firewall_case(kind)
        sources = case.build_sources(["LogicApps.WestEurope"], build_tag_list(TAGS))
        template = json.dumps(build_template(case.resources(sources)))
        (rules / f"{kind}.json").write_text(template, encoding="utf-8")

    found = read_fixes(tags, rules)

    assert {one["issue"].partition(":")[0] for one in found} == {*FIREWALL_KINDS}
    assert compile_fixes((one["bicep"] for one in found), tmp_path / "bicep") == []


@needs_compiler
@pytest.mark.corpus
@pytest.mark.skipif("FLOW_CORPUS" not in os.environ, reason="FLOW_CORPUS is not set")
def test_bicep_compiler_accepts_fixes_of_public_templates(tmp_path: Path) -> None:
    corpus = Path(os.environ["FLOW_CORPUS"])
    [tags] = (corpus / "servicetags").glob("ServiceTags_Public_*.json")

    found = read_fixes(tags, corpus / "firewall")

    assert compile_fixes((one["bicep"] for one in found), tmp_path / "bicep") == []
