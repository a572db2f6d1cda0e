import hashlib
import json
import zipfile
from collections.abc import Callable
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cmkflow import signing_key
from local_cloud.tenant.time_stamps.token_signer import TokenSigner
from shared.bootstrap import provide
from shared.domain.evidence_file import MANIFEST, NO_TIME_STAMP, SIGNATURE, TIME_STAMP
from shared.domain.signature import SigningKey
from shared.errors import PlatformError
from shared.time_stamps import build_time_stamp_query
from shared.use_cases.sign_content import sign_content
from tests.fakes.evidence_key import KEY_URL, add_evidence_key
from tests.fakes.services import build_fake_settings
from tests.fakes.time_stamps import FakeTimeStamps
from tests.functional.cli.cli_app import CommandLine
from tests.functional.scenarios.remediation_scenario import Scenario


@pytest.fixture
async def scenario() -> Scenario:
    scenario = Scenario(
        settings=build_fake_settings(
            evidence_key=KEY_URL, time_stamp_authority="https://tsa.example/"
        )
    )
    add_evidence_key(scenario.world)
    scenario.build.add_app_setting_caller(scenario.build.add_http_flow("Orders"))
    scenario.build.apply_key()
    await scenario.opt_in()
    scenario.world.traffic.beat(scenario.world)
    await scenario.order()
    await scenario.approve()
    provide(scenario.services)
    return scenario


async def test_evidence_is_written_and_verified(
    scenario: Scenario, cli: CommandLine, tmp_path: Path
) -> None:
    file = tmp_path / "evidence.zip"

    export_evidence = await cli.run("evidence", "export", scenario.remediation.id, "-f", str(file))
    verified = await cli.run("evidence", "check", str(file), key="")

    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert export_evidence.exit_code == 0, export_evidence.output
    assert digest in export_evidence.stdout
    assert verified.exit_code == 0, verified.output
    assert digest in verified.stdout


async def test_check_names_changed_files(
    scenario: Scenario, cli: CommandLine, tmp_path: Path
) -> None:
    file = await export_evidence(scenario, cli, tmp_path)
    replace_approver(file)
    with zipfile.ZipFile(file, "a") as target:
        target.writestr("more.txt", b"")

    verified = await cli.run("evidence", "check", str(file))

    assert verified.exit_code == 1
    (extra, *changed) = verified.stdout.splitlines()
    assert extra == "more.txt is not in the manifest"
    assert any(line.startswith("remediation.json was changed") for line in changed)
    assert "All files match" not in verified.stdout
    assert "Verified:" not in verified.stdout


async def export_evidence(scenario: Scenario, cli: CommandLine, folder: Path) -> Path:
    file = folder / "evidence.zip"
    done = await cli.run("evidence", "export", scenario.remediation.id, "-f", str(file))
    assert done.exit_code == 0, done.output
    return file


def change_files(file: Path, change: Callable[[dict[str, bytes]], None]) -> None:
    with zipfile.ZipFile(file) as source:
        files = {name: source.read(name) for name in source.namelist()}
    change(files)
    with zipfile.ZipFile(file, "w") as target:
        for name, content in files.items():
            target.writestr(name, content)


def remove_signature(files: dict[str, bytes]) -> None:
    del files[SIGNATURE]


def remove_time_stamp(files: dict[str, bytes]) -> None:
    del files[TIME_STAMP]


def replace_approver(file: Path) -> None:
    """Replace the approver's name in each file that has a hash in the manifest."""

    def change(files: dict[str, bytes]) -> None:
        for name in files.keys() - {MANIFEST, SIGNATURE, TIME_STAMP}:
            files[name] = files[name].replace(b"tests", b"other")

    change_files(file, change)


def remake_manifest(file: Path) -> None:
    """Write the hashes of the changed files into the manifest."""

    def change(files: dict[str, bytes]) -> None:
        manifest = json.loads(files[MANIFEST])
        manifest["files"] = {
            name: {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
            for name, content in files.items()
            if name not in {MANIFEST, SIGNATURE, TIME_STAMP}
        }
        files[MANIFEST] = json.dumps(manifest).encode()

    change_files(file, change)


async def sign_again(scenario: Scenario, file: Path, key_id: str = "") -> None:
    """Sign an evidence file with a newer version of the key, and remove its time stamp. The
    signature states `key_id` if it is given.
    """
    add_evidence_key(scenario.world)
    with zipfile.ZipFile(file) as source:
        signature = await sign_content(scenario.services, source.read(MANIFEST))
    content = asdict(signature) | ({"key_id": key_id} if key_id else {})

    def replace_signature(files: dict[str, bytes]) -> None:
        files[SIGNATURE] = json.dumps(content).encode()
        # Without expected certificates, a time stamp of the forger would be accepted as well.
        files.pop(TIME_STAMP, None)

    change_files(file, replace_signature)


async def write_public_key(scenario: Scenario, folder: Path) -> Path:
    """Write the current public key as a PEM file with Windows line ends."""
    key = await scenario.services.signing_keys.read(KEY_URL)
    path = folder / "key.pem"
    path.write_text(key.public_key.replace("\n", "\r\n"))
    return path


async def test_check_without_expected_key_does_not_confirm_the_key(
    scenario: Scenario, cli: CommandLine, tmp_path: Path
) -> None:
    """Anyone can make a key and put it into the file."""
    file = await export_evidence(scenario, cli, tmp_path)

    checked = await cli.run("evidence", "check", str(file))

    assert checked.exit_code == 0, checked.output
    assert f"the key is not confirmed: {KEY_URL}/v1" in checked.stdout
    assert "anyone can make a key" in checked.stdout


async def test_check_with_public_key_confirms_the_signature(
    scenario: Scenario, cli: CommandLine, tmp_path: Path
) -> None:
    file = await export_evidence(scenario, cli, tmp_path)
    key = await write_public_key(scenario, tmp_path)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()

    checked = await cli.run(
        "evidence", "check", str(file), "--public-key", str(key), "--sha256", digest.upper()
    )

    assert checked.exit_code == 0, checked.output
    assert f"Signed with the expected key: {KEY_URL}/v1" in checked.stdout
    assert "Not verified: whether the app recorded everything" in checked.stdout
    assert "not confirmed" not in checked.stdout


async def test_check_of_replaced_approver_with_remade_manifest_fails(
    scenario: Scenario, cli: CommandLine, tmp_path: Path
) -> None:
    """The hashes match, so only the signature shows the change."""
    file = await export_evidence(scenario, cli, tmp_path)
    replace_approver(file)
    remake_manifest(file)

    checked = await cli.run("evidence", "check", str(file))

    assert checked.exit_code == 1
    assert checked.stdout.startswith("The signature is not valid")
    assert "Verified:" not in checked.stdout


async def test_check_of_file_signed_with_another_key_fails_if_a_key_is_expected(
    scenario: Scenario, cli: CommandLine, tmp_path: Path
) -> None:
    """A person may change the file and sign it with another key."""
    file = await export_evidence(scenario, cli, tmp_path)
    key = await write_public_key(scenario, tmp_path)
    replace_approver(file)
    remake_manifest(file)
    await sign_again(scenario, file)

    unconfirmed = await cli.run("evidence", "check", str(file))
    pinned = await cli.run("evidence", "check", str(file), "--public-key", str(key))

    assert unconfirmed.exit_code == 0
    assert "not confirmed" in unconfirmed.stdout
    assert pinned.exit_code == 1
    assert "not signed with the key in --public-key" in pinned.stdout


async def test_check_of_file_without_signature_fails_if_a_key_is_expected(
    scenario: Scenario, cli: CommandLine, tmp_path: Path
) -> None:
    """Nobody may avoid the check by removing the signature."""
    file = await export_evidence(scenario, cli, tmp_path)
    key = await write_public_key(scenario, tmp_path)
    change_files(file, remove_signature)

    unsigned = await cli.run("evidence", "check", str(file))
    pinned = await cli.run("evidence", "check", str(file), "--public-key", str(key))

    assert unsigned.exit_code == 0
    assert "Not signed" in unsigned.stdout
    assert (pinned.exit_code, pinned.stdout.splitlines()[0][:10]) == (1, "Not signed")


async def test_check_with_another_sha256_fails(
    scenario: Scenario, cli: CommandLine, tmp_path: Path
) -> None:
    file = await export_evidence(scenario, cli, tmp_path)

    checked = await cli.run("evidence", "check", str(file), "--sha256", "0" * 64)

    assert checked.exit_code == 1
    assert f"not {'0' * 64}." in checked.stdout


async def test_check_with_key_id_reads_the_public_key_from_the_vault(
    scenario: Scenario, cli: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file may contain one key and the id of another."""
    monkeypatch.setattr(signing_key, "read_signing_key", scenario.services.signing_keys.read)
    file = await export_evidence(scenario, cli, tmp_path)
    arguments = ("evidence", "check", str(file), "--key-id")

    by_name = await cli.run(*arguments, KEY_URL)
    by_version = await cli.run(*arguments, f"{KEY_URL.upper()}/V1")
    by_other_name = await cli.run(*arguments, KEY_URL[:-1])
    await sign_again(scenario, file, key_id=f"{KEY_URL}/v1")
    forged = await cli.run(*arguments, KEY_URL)
    await sign_again(scenario, file, key_id=f"{KEY_URL}/../other/v1")
    other = await cli.run(*arguments, KEY_URL)

    assert (by_name.exit_code, by_version.exit_code) == (0, 0), by_name.output
    assert "Signed with the expected key" in by_name.stdout
    assert by_other_name.exit_code == 1
    assert "names a key other than --key-id" in by_other_name.stdout
    assert (forged.exit_code, other.exit_code) == (1, 1)
    assert "names a key other than --key-id" in other.stdout
    assert "not signed with the key in the vault" in forged.stdout


async def test_check_with_key_id_of_closed_vault_names_the_reason(
    scenario: Scenario, cli: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def reject(key_id: str) -> SigningKey:
        raise PlatformError(f"no right to read {key_id}", code="Forbidden", status=403)

    monkeypatch.setattr(signing_key, "read_signing_key", reject)
    file = await export_evidence(scenario, cli, tmp_path)

    checked = await cli.run("evidence", "check", str(file), "--key-id", KEY_URL)

    assert checked.exit_code == 1
    assert "no right to read" in checked.stderr


async def test_public_key_of_another_kind_is_rejected(
    scenario: Scenario, cli: CommandLine, tmp_path: Path
) -> None:
    file = await export_evidence(scenario, cli, tmp_path)
    curve, text = tmp_path / "curve.pem", tmp_path / "text.pem"
    public = ec.generate_private_key(ec.SECP256R1()).public_key()
    curve.write_bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    text.write_text("no key")

    for path in (curve, text):
        checked = await cli.run("evidence", "check", str(file), "--public-key", str(path))
        assert checked.exit_code == 2
        assert path.name in checked.stderr


@pytest.mark.parametrize("content", [b"no zip", None])
async def test_file_that_is_no_evidence_is_named(
    scenario: Scenario, cli: CommandLine, tmp_path: Path, content: bytes | None
) -> None:
    file = tmp_path / "evidence.zip"
    if content is not None:
        file.write_bytes(content)

    verified = await cli.run("evidence", "check", str(file))

    assert verified.exit_code == (2 if content is None else 1)
    assert "evidence.zip" in verified.stderr


async def test_export_of_an_unknown_remediation_writes_no_file(
    scenario: Scenario, cli: CommandLine, tmp_path: Path
) -> None:
    file = tmp_path / "evidence.zip"

    nowhere = "00000000-0000-4000-8000-00000000dead"
    refused = await cli.run("evidence", "export", nowhere, "-f", str(file))

    assert refused.exit_code == 3
    assert not file.exists()


def write_root_certificate(folder: Path, authority: TokenSigner) -> Path:
    path = folder / f"{authority.name}.pem"
    path.write_bytes(authority.pem)
    return path


def build_authority(scenario: Scenario) -> TokenSigner:
    stamps = scenario.fakes.ports.time_stamps
    assert isinstance(stamps, FakeTimeStamps)
    return stamps.signer


async def test_check_with_certificates_of_the_authority_shows_the_time(
    scenario: Scenario, cli: CommandLine, tmp_path: Path
) -> None:
    file = await export_evidence(scenario, cli, tmp_path)
    root = write_root_certificate(tmp_path, build_authority(scenario))
    at = f"{scenario.world.clock.now():%Y-%m-%d %H:%M:%S} UTC"

    unverified = await cli.run("evidence", "check", str(file))
    checked = await cli.run("evidence", "check", str(file), "--tsa-certificates", str(root))

    assert (unverified.exit_code, checked.exit_code) == (0, 0), checked.output
    assert f"Time stamp of {at}, not verified" in unverified.stdout
    assert "The time stamp was not verified" in unverified.stdout
    assert f"Time stamp of {at} by a trusted authority" in checked.stdout
    assert "Verified: the signature existed at the time of the time stamp" in checked.stdout


async def test_check_of_time_stamp_by_another_authority_fails(
    scenario: Scenario, cli: CommandLine, tmp_path: Path
) -> None:
    """Anyone can make an authority of the same name, which stamps any time."""
    file = await export_evidence(scenario, cli, tmp_path)
    root = write_root_certificate(tmp_path, build_authority(scenario))
    forger = TokenSigner(build_authority(scenario).name, scenario.world.clock.now())
    earlier = scenario.world.clock.now() - timedelta(days=30)

    def stamp(files: dict[str, bytes]) -> None:
        query = build_time_stamp_query(files[SIGNATURE]).as_bytes()
        files[TIME_STAMP] = forger.answer(query, earlier)

    change_files(file, stamp)
    checked = await cli.run("evidence", "check", str(file), "--tsa-certificates", str(root))

    assert checked.exit_code == 1
    assert checked.stdout.startswith("The time stamp is not valid: ")


async def test_check_of_time_stamp_of_another_signature_fails(
    scenario: Scenario, cli: CommandLine, tmp_path: Path
) -> None:
    file = await export_evidence(scenario, cli, tmp_path)
    with zipfile.ZipFile(file) as archive:
        stamp = archive.read(TIME_STAMP)
    replace_approver(file)
    remake_manifest(file)
    await sign_again(scenario, file)
    change_files(file, lambda files: files.update({TIME_STAMP: stamp}))

    checked = await cli.run("evidence", "check", str(file))

    assert checked.exit_code == 1
    assert "The time stamp is not valid: it is a time stamp of other content" in checked.stdout


async def test_check_of_file_without_time_stamp_fails_if_one_is_expected(
    scenario: Scenario, cli: CommandLine, tmp_path: Path
) -> None:
    """Nobody may avoid the check by removing the time stamp."""
    file = await export_evidence(scenario, cli, tmp_path)
    root = write_root_certificate(tmp_path, build_authority(scenario))
    change_files(file, remove_time_stamp)

    plain = await cli.run("evidence", "check", str(file))
    pinned = await cli.run("evidence", "check", str(file), "--tsa-certificates", str(root))

    text = "No time stamp: it has no time stamp file. Not verified: when the file was signed."
    assert (plain.exit_code, pinned.exit_code) == (0, 1)
    assert text in plain.stdout
    assert pinned.stdout.startswith(text)


async def test_file_without_certificates_is_rejected(
    scenario: Scenario, cli: CommandLine, tmp_path: Path
) -> None:
    file = await export_evidence(scenario, cli, tmp_path)
    text = tmp_path / "text.pem"
    text.write_text("no certificate")

    checked = await cli.run("evidence", "check", str(file), "--tsa-certificates", str(text))

    assert checked.exit_code == 2
    assert "text.pem" in checked.stderr


async def test_line_breaks_in_texts_of_the_file_are_not_printed(
    scenario: Scenario, cli: CommandLine, tmp_path: Path
) -> None:
    """A text with a line break could look like a result of the check."""
    file = await export_evidence(scenario, cli, tmp_path)
    forged = "Signed with the expected key: https://kv/keys/evidence"

    def forge(files: dict[str, bytes]) -> None:
        files[SIGNATURE] = json.dumps({"reason": f"a test\n{forged}"}).encode()
        files.pop(TIME_STAMP)
        files[NO_TIME_STAMP] = f"a test\n{forged}".encode()

    change_files(file, forge)
    checked = await cli.run("evidence", "check", str(file))

    assert checked.exit_code == 0
    assert forged in checked.stdout
    assert not any(line.startswith("Signed") for line in checked.stdout.splitlines())
