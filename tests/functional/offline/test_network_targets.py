import csv
import io
import json
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from cmkflow.__main__ import app
from tests.fakes import definition_builder as define
from tests.kinds.case import HOST
from tests.kinds.firewalls import key_vault

WEST, NORTH = ["20.61.88.128/26", "2603:1061:2004:7800::/56"], ["4.207.189.192/26"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    calls = {
        "Orders": {"a": "https://PARTNER.example/orders", "b": f"https://{HOST}/secrets/x"},
        "=Invoices": {"a": "https://partner.example:8443/", "b": "https://graph.microsoft.com/v1"},
        "Anywhere": {"a": "@{triggerBody()?['url']}"},
    }
    (tmp_path / "flows").mkdir()
    for name, uris in calls.items():
        actions = {key: define.build_http_action(uri) for key, uri in uris.items()}
        flow = define.build_client_data(name, define.build_http_trigger(), actions)
        (tmp_path / "flows" / f"{name}.json").write_text(flow)
    (tmp_path / "vault.json").write_text(json.dumps(key_vault.build_vault([{"value": WEST[0]}])))
    entries = {"": WEST + NORTH, ".WestEurope": WEST, ".NorthEurope": NORTH}
    tags = [
        {"name": f"PowerPlatformPlex{region}", "properties": {"addressPrefixes": listed}}
        for region, listed in entries.items()
    ]
    (tmp_path / "tags.json").write_text(json.dumps({"changeNumber": 376, "values": tags}))
    return tmp_path


def run_command(folder: Path, *options: str) -> Result:
    return CliRunner().invoke(
        app,
        [
            *("network", "called-hosts", str(folder / "flows"), "--region=westeurope"),
            *("--region=NorthEurope", f"--service-tags={folder / 'tags.json'}"),
            *(f"--firewalls={folder / 'vault.json'}", *options),
        ],
    )


def run_for_rows(folder: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(run_command(folder, "-o", "json").stdout)["items"]
    return found


def test_host_belongs_to_a_resource_or_is_external(folder: Path) -> None:
    vault, partner, anywhere = run_for_rows(folder)

    assert (vault["host"], vault["resources"]) == (HOST, [key_vault.build_vault()["id"]])
    assert (vault["verdict"], vault["prefixes"]) == ("partly_allowed", NORTH)
    assert partner == {
        "host": "partner.example",
        "flows": ["=Invoices", "Orders"],
        "resources": [],
        "verdict": "external",
        "prefixes": WEST + NORTH,
    }
    assert (anywhere["host"], anywhere["verdict"]) == (None, "expression")
    assert anywhere["flows"] == ["Anywhere"]


def test_verdict_is_unknown_for_a_region_without_ipv4_prefixes(folder: Path) -> None:
    """The vault's rules are IPv4 only."""
    tags = [
        {"name": f"PowerPlatformPlex.{region}", "properties": {"addressPrefixes": listed}}
        for region, listed in (("WestEurope", WEST), ("NorthEurope", ["2603:1061:2004:7900::/56"]))
    ]
    (folder / "tags.json").write_text(json.dumps({"changeNumber": 376, "values": tags}))

    vault = run_for_rows(folder)[0]

    assert (vault["host"], vault["verdict"]) == (HOST, "unknown")


def test_csv_has_no_formula_from_a_flow_name(folder: Path) -> None:
    """Anybody can name a flow `=…`."""
    found = list(csv.DictReader(io.StringIO(run_command(folder, "-o", "csv").stdout)))

    assert [one["host"] for one in found] == [HOST, "partner.example", ""]
    assert json.loads(found[1]["flows"]) == ["=Invoices", "Orders"]
    assert json.loads(found[1]["prefixes"]) == WEST + NORTH


def test_email_to_the_owner_names_host_prefixes_and_regions(folder: Path) -> None:
    result = run_command(folder, "--email-folder", str(folder / "mails"))

    [file] = (folder / "mails").iterdir()
    message = message_from_bytes(file.read_bytes(), policy=default)
    text = message.get_content()
    assert str(file) in result.stderr.replace("\n", "")
    assert file.name == "partner.example.eml"
    assert "partner.example" in message["Subject"]
    assert message["X-Unsent"] == "1"
    assert [line.strip() for line in text.splitlines() if line.startswith("    ")] == WEST + NORTH
    assert "2 of our Power Automate flows call partner.example" in text
    assert "WestEurope, NorthEurope" in text
    assert "Microsoft's service tag list 376" in text
    assert "Orders" not in text


def test_table_is_followed_by_the_prefixes_for_external_hosts(folder: Path) -> None:
    shown = run_command(folder).stdout

    assert "(expression)" in shown
    assert "Ask the owners of partner.example to allow:" in shown
    assert all(prefix in shown for prefix in WEST + NORTH)
    assert "graph.microsoft.com" not in shown


def test_unreadable_file_is_reported_and_the_others_are_shown(folder: Path) -> None:
    (folder / "flows" / "workflow.json").write_text("{")

    result = run_command(folder, "-o", "json")

    assert result.exit_code == 1
    assert "workflow.json" in result.stderr
    assert len(json.loads(result.stdout)["items"]) == 3
