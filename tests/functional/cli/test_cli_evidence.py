"""`cmkflow evidence`: writes the file of a remediation, and checks one offline."""

import hashlib
import zipfile
from pathlib import Path

import pytest

from shared.bootstrap import provide
from tests.functional.cli.cli_app import CommandLine
from tests.functional.scenarios.remediation_scenario import Scenario


@pytest.fixture
async def scenario() -> Scenario:
    """A remediation that has come to its end."""
    scenario = Scenario()
    scenario.build.app_setting_caller(scenario.build.http_flow("Orders"))
    scenario.build.link()
    await scenario.opt_in()
    scenario.world.traffic.beat(scenario.world)
    await scenario.order()
    await scenario.approve()
    provide(scenario.services)
    return scenario


async def test_evidence_is_written_and_verified(
    scenario: Scenario, cli: CommandLine, tmp_path: Path
) -> None:
    """The command says the file's SHA-256; `verify` says the same one, without the app."""
    file = tmp_path / "evidence.zip"

    exported = await cli.run("evidence", "export", scenario.remediation.id, "-f", str(file))
    verified = await cli.run("evidence", "check", str(file), key="")

    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert exported.exit_code == 0, exported.output
    assert digest in exported.stdout
    assert verified.exit_code == 0, verified.output
    assert digest in verified.stdout


async def test_what_was_changed_is_named(
    scenario: Scenario, cli: CommandLine, tmp_path: Path
) -> None:
    """One line for each difference, and an exit code for scripts."""
    file, forged = tmp_path / "evidence.zip", tmp_path / "forged.zip"
    await cli.run("evidence", "export", scenario.remediation.id, "-f", str(file))
    with zipfile.ZipFile(file) as source, zipfile.ZipFile(forged, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            target.writestr(name, content.replace(b"tests", b"other"))
        target.writestr("more.txt", b"")

    verified = await cli.run("evidence", "check", str(forged))

    assert verified.exit_code == 1
    (extra, *changed) = verified.stdout.splitlines()
    assert extra == "more.txt is not in the manifest"
    assert any(line.startswith("remediation.json was changed") for line in changed)


@pytest.mark.parametrize("content", [b"no zip", None])
async def test_what_is_no_evidence_is_told(
    scenario: Scenario, cli: CommandLine, tmp_path: Path, content: bytes | None
) -> None:
    """Another file, or none."""
    file = tmp_path / "evidence.zip"
    if content is not None:
        file.write_bytes(content)

    verified = await cli.run("evidence", "check", str(file))

    assert verified.exit_code == (2 if content is None else 1)
    assert "evidence.zip" in verified.stderr


async def test_an_unknown_remediation_writes_no_file(
    scenario: Scenario, cli: CommandLine, tmp_path: Path
) -> None:
    """The refusal is the API's."""
    file = tmp_path / "evidence.zip"

    nowhere = "00000000-0000-4000-8000-00000000dead"
    refused = await cli.run("evidence", "export", nowhere, "-f", str(file))

    assert refused.exit_code == 3
    assert not file.exists()
