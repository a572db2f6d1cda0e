from pathlib import Path
from typing import Any

import pytest

from tests.functional.offline.checked_network import (
    build_template,
    run_check,
    write,
    write_service_tags,
)
from tests.kinds.firewalls import key_vault
from tests.kinds.firewalls.app_service import build_restriction, build_site, build_web_config
from tests.kinds.firewalls.network_security_group import build_security_group, build_security_rule


@pytest.fixture
def tags(tmp_path: Path) -> Path:
    return write_service_tags(tmp_path)


def test_template_variables_and_child_resources_are_resolved(tmp_path: Path, tags: Path) -> None:
    """A child resource may be nested in its parent, or be a separate resource of the template."""
    document = build_template(
        {
            "type": "Microsoft.Network/networkSecurityGroups",
            "name": "[concat(variables('prefix'), '-nsg')]",
            "properties": {"securityRules": []},
            "resources": [
                {
                    "type": "securityRules",
                    "name": "flows",
                    "properties": build_security_rule(
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
    """A deployment may replace the default value of the parameter."""
    document = build_template(
        {
            "type": "Microsoft.Network/networkSecurityGroups",
            "name": "[parameters('name')]",
            "properties": {
                "securityRules": [build_security_rule("flows", 100, sourceAddressPrefix=source)]
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
    group = {"type": "Microsoft.Network/networkSecurityGroups", "name": "e"}

    [row] = run_check(
        tags, write(tmp_path / "t.json", build_template({**group, "properties": properties}))
    )

    assert (row["verdict"], row["message"]) == ("unknown", "depends_on: securityRules")


def test_template_with_line_breaks_in_strings_is_read(tmp_path: Path, tags: Path) -> None:
    """Resource Manager accepts line breaks in JSON strings."""
    rule = build_security_rule(
        "flows", 100, sourceAddressPrefix="PowerPlatformPlex", description="a|b"
    )
    file = write(tmp_path / "edge.json", build_security_group(rule))
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
    """Azure's list of sites omits the restrictions."""
    listed = build_site(state="Running")
    config = {
        "id": f"{listed['id']}/config/web",
        "type": "Microsoft.Web/sites/config",
        **build_web_config(build_restriction("PowerPlatformPlex", 100, tag="ServiceTag")),
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


def format_as_cli_output(resource: dict[str, Any]) -> dict[str, Any]:
    around = {key: one for key, one in resource.items() if key != "properties"}
    inner = {
        key: [format_as_cli_output(one) for one in value] if isinstance(value, list) else value
        for key, value in resource["properties"].items()
    }
    return {"etag": "W/1", "resourceGroup": "rg", **around, **inner}


def test_network_security_group_printed_by_the_azure_cli_is_read(
    tmp_path: Path, tags: Path
) -> None:
    """The Azure CLI moves the members of `properties` up to the resource itself."""
    group = build_security_group(
        build_security_rule("flows", 100, sourceAddressPrefix="PowerPlatformPlex")
    )

    [row] = run_check(tags, write(tmp_path / "nsg.json", format_as_cli_output(group)))

    assert (row["kind"], row["verdict"]) == ("network_security_group", "allowed")


def test_key_vault_without_properties_is_unknown(tmp_path: Path, tags: Path) -> None:
    """Another tool may print other member names."""
    printed = {**key_vault.build_vault(), "networkRuleSet": {"defaultAction": "Deny"}}
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
    file = tmp_path / "bad.json"
    file.write_bytes(content)

    group, row = run_check(tags, file, write(tmp_path / "edge.json", build_security_group()))

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
