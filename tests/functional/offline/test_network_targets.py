"""`cmkflow network called-hosts` says which hosts flows call, and asks the owners of those of
others.
"""

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
    """Flows that call four hosts, a vault that answers for one of them, and a list of tags."""
    calls = {
        "Orders": {"a": "https://PARTNER.example/orders", "b": f"https://{HOST}/secrets/x"},
        "=Invoices": {"a": "https://partner.example:8443/", "b": "https://graph.microsoft.com/v1"},
        "Anywhere": {"a": "@{triggerBody()?['url']}"},
    }
    (tmp_path / "flows").mkdir()
    for name, uris in calls.items():
        actions = {key: define.http_action(uri) for key, uri in uris.items()}
        flow = define.client_data(name, define.http_trigger(), actions)
        (tmp_path / "flows" / f"{name}.json").write_text(flow)
    (tmp_path / "vault.json").write_text(json.dumps(key_vault.vault([{"value": WEST[0]}])))
    entries = {"": WEST + NORTH, ".WestEurope": WEST, ".NorthEurope": NORTH}
    tags = [
        {"name": f"PowerPlatformPlex{region}", "properties": {"addressPrefixes": listed}}
        for region, listed in entries.items()
    ]
    (tmp_path / "tags.json").write_text(json.dumps({"changeNumber": 376, "values": tags}))
    return tmp_path


def run(folder: Path, *options: str) -> Result:
    """Run the command for both regions."""
    return CliRunner().invoke(
        app,
        [
            *("network", "called-hosts", str(folder / "flows"), "--region=westeurope"),
            *("--region=NorthEurope", f"--service-tags={folder / 'tags.json'}"),
            *(f"--firewalls={folder / 'vault.json'}", *options),
        ],
    )


def rows(folder: Path) -> list[dict[str, Any]]:
    """Return the rows as JSON has them."""
    found: list[dict[str, Any]] = json.loads(run(folder, "-o", "json").stdout)["items"]
    return found


def test_a_host_is_answered_by_a_resource_or_is_anothers(folder: Path) -> None:
    """Hosts of Microsoft's services are nobody's to ask; an expression may be any."""
    vault, partner, anywhere = rows(folder)

    assert (vault["host"], vault["resources"]) == (HOST, [key_vault.vault()["id"]])
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


def test_a_region_whose_addresses_are_not_known_makes_no_host_covered(folder: Path) -> None:
    """A list of IPv4 addresses cannot hold a region that has none."""
    tags = [
        {"name": f"PowerPlatformPlex.{region}", "properties": {"addressPrefixes": listed}}
        for region, listed in (("WestEurope", WEST), ("NorthEurope", ["2603:1061:2004:7900::/56"]))
    ]
    (folder / "tags.json").write_text(json.dumps({"changeNumber": 376, "values": tags}))

    vault = rows(folder)[0]

    assert (vault["host"], vault["verdict"]) == (HOST, "unknown")


def test_a_table_for_spreadsheets_holds_no_formula(folder: Path) -> None:
    """The name of a flow is anybody's text."""
    found = list(csv.DictReader(io.StringIO(run(folder, "-o", "csv").stdout)))

    assert [one["host"] for one in found] == [HOST, "partner.example", ""]
    assert json.loads(found[1]["flows"]) == ["=Invoices", "Orders"]
    assert json.loads(found[1]["prefixes"]) == WEST + NORTH


def test_an_email_to_the_owner_can_be_sent_as_it_stands(folder: Path) -> None:
    """One for each external host: what, from where, until when; no name of a flow leaves."""
    result = run(folder, "--email-folder", str(folder / "mails"))

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


def test_people_are_told_whom_to_ask(folder: Path) -> None:
    """A table, and below it the prefixes to pass on."""
    shown = run(folder).stdout

    assert "(expression)" in shown
    assert "Ask the owners of partner.example to allow:" in shown
    assert all(prefix in shown for prefix in WEST + NORTH)
    assert "graph.microsoft.com" not in shown


def test_a_file_that_cannot_be_read_is_named(folder: Path) -> None:
    """The others are shown all the same."""
    (folder / "flows" / "workflow.json").write_text("{")

    result = run(folder, "-o", "json")

    assert result.exit_code == 1
    assert "workflow.json" in result.stderr
    assert len(json.loads(result.stdout)["items"]) == 3
