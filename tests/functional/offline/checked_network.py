"""Run `cmkflow network check` on files, for tests."""

import json
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from cmkflow.__main__ import app

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
TEMPLATE_SCHEMA = "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#"


def write_service_tags(folder: Path) -> Path:
    """Write a service tag list with two regions, in Microsoft's format, to a folder. Return the
    file.
    """
    entries = {"": WEST + NORTH, ".WestEurope": WEST, ".NorthEurope": NORTH}
    return write(
        folder / "tags" / "ServiceTags.json",
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
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(document), encoding="utf-8")
    return file


def run_check(tags: Path, *rules: Path, regions: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    """Run the command with JSON output. Return its rows about `PowerPlatformPlex`, the required
    tag.
    """
    named = [option for one in rules for option in ("--firewalls", str(one))]
    asked = [option for one in regions for option in ("--region", one)]
    result = CliRunner().invoke(
        app, ["network", "check", "-o", "json", "--service-tags", str(tags), *named, *asked]
    )
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)["items"]
    return [row for row in rows if row["tag"] == "PowerPlatformPlex"]


def build_template(*resources: object, **more: object) -> dict[str, object]:
    return {
        "$schema": TEMPLATE_SCHEMA,
        "contentVersion": "1.0.0.0",
        "resources": [*resources],
        **more,
    }
