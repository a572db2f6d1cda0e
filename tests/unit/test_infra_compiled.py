"""Check the template with Microsoft's compiler. `make infra` runs these tests."""

import json
import shutil
from pathlib import Path

import pytest

from shared.domain.clouds import CLOUDS, CloudName
from tests.bicep_compiler import (
    compare_snapshot,
    list_diagnostics,
    needs_compiler,
    run_bicep,
    write_snapshot,
)
from tests.unit.deployed import FILES, INFRA, SETS

pytestmark = needs_compiler


@pytest.fixture
def copied_folder(tmp_path: Path) -> Path:
    """Return a copy of the folder `infra`, in which a test may write."""
    return shutil.copytree(INFRA, tmp_path / "infra")


def test_compiler_reports_no_diagnostics() -> None:
    assert list_diagnostics(INFRA, "**/*.bicep*") == []


def test_compiler_warning_is_reported(copied_folder: Path) -> None:
    """For example, a parameter that nobody uses causes a warning."""
    main = copied_folder / "main.bicep"
    main.write_text(main.read_text() + "\nparam unused string = ''\n")

    [said] = list_diagnostics(copied_folder, "main.bicep")

    assert "Warning no-unused-params" in said


def test_every_file_is_formatted(copied_folder: Path) -> None:
    """If this fails, `bicep format FILE` formats the file."""
    for pattern in ("**/*.bicep", "**/*.bicepparam"):
        run_bicep("format", "--pattern", pattern, of=copied_folder)

    for path in (*FILES, *SETS):
        assert path.read_text() == (copied_folder / path.relative_to(INFRA)).read_text()


@pytest.mark.parametrize("path", SETS, ids=lambda path: path.stem)
def test_each_snapshot_is_current(path: Path, copied_folder: Path) -> None:
    """Snapshots show a reviewer which resources a change of the template affects."""
    made = write_snapshot(copied_folder / path.relative_to(INFRA))

    if made.read_text() != path.with_suffix(".snapshot.json").read_text():
        pytest.fail(f"`make snapshots` brings it up to date.\n{compare_snapshot(path)}")


def test_no_snapshot_contains_the_value_of_a_setting(copied_folder: Path) -> None:
    """The compiler does not write the value of a secure parameter to a snapshot."""
    given = copied_folder / "snapshots" / "open.bicepparam"
    tunables = "{ CMK_WEBHOOK: 'https://example.org/hook' }"
    given.write_text(f"{given.read_text()}\nparam tunables = {tunables}\n")

    assert "example.org" not in write_snapshot(given).read_text()


@pytest.mark.parametrize(
    ("cloud", "azure", "names"),
    [
        (
            CloudName.PUBLIC,
            "AzureCloud",
            (
                "blob.core.windows.net table.core.windows.net servicebus.windows.net "
                "vaultcore.azure.net azurewebsites.net monitor.azure.com oms.opinsights.azure.com "
                "ods.opinsights.azure.com agentsvc.azure-automation.net"
            ),
        ),
        (
            CloudName.GCC_HIGH,
            "AzureUSGovernment",
            (
                "blob.core.usgovcloudapi.net table.core.usgovcloudapi.net "
                "servicebus.usgovcloudapi.net vaultcore.usgovcloudapi.net azurewebsites.us "
                "monitor.azure.us oms.opinsights.azure.us ods.opinsights.azure.us "
                "agentsvc.azure-automation.us"
            ),
        ),
        (
            CloudName.CHINA,
            "AzureChinaCloud",
            (
                "blob.core.chinacloudapi.cn table.core.chinacloudapi.cn "
                "servicebus.chinacloudapi.cn vaultcore.azure.cn chinacloudsites.cn "
                "monitor.azure.cn oms.opinsights.azure.cn ods.opinsights.azure.cn "
                "agentsvc.azure-automation.cn"
            ),
        ),
    ],
)
def test_private_zones_have_the_names_of_each_cloud(
    cloud: CloudName, azure: str, names: str, copied_folder: Path
) -> None:
    domains = CLOUDS[cloud]
    (copied_folder / "probe.bicep").write_text("param names object\noutput names object = names\n")
    given = copied_folder / "probe.bicepparam"
    given.write_text(
        "using 'probe.bicep'\nimport { zones } from 'modules/private-zones.bicep'\n"
        f"param names = zones('{azure}', '{domains.storage_domain}', "
        f"'.{domains.key_vault_domain}')\n"
    )

    found = json.loads(write_snapshot(given).read_text())["outputs"]["names"]

    parts = ["blob", "table", "namespace", "vault", "sites", "monitor", "oms", "ods", "agents"]
    assert list(found) == parts
    assert list(found.values()) == [f"privatelink.{name}" for name in names.split()]


def test_existing_network_without_subnets_is_rejected(copied_folder: Path) -> None:
    """Otherwise the app would be deployed without access to its network."""
    given = copied_folder / "snapshots" / "existing-network.bicepparam"
    lines = [one for one in given.read_text().splitlines() if "endpointSubnetId" not in one]
    given.write_text("\n".join(lines) + "\n")

    with pytest.raises(ValueError, match="An existing network needs appSubnetId"):
        write_snapshot(given)
