import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from functions import doctor_api, evidence_api, remediation_actions_api
from shared.bootstrap import provide
from shared.domain.audit_seal import SEALS_FILE, AuditSeal
from shared.domain.evidence_file import AUDIT_DIFFERENCES, MANIFEST
from shared.errors import PlatformError
from shared.ports import StoreRow
from shared.use_cases.run_daily_check import run_daily_check
from shared.use_cases.seal_audit_log import read_last_seal, seal_audit_log
from tests.fakes.evidence_key import KEY_URL, VAULT_URL, add_evidence_key
from tests.fakes.fault_injection import Failing
from tests.fakes.memory_store import MemoryStore
from tests.fakes.services import build_fake_settings
from tests.functional.cli.cli_app import CommandLine
from tests.functional.scenarios.app_calls import call
from tests.functional.scenarios.remediation_scenario import Scenario


@pytest.fixture
async def scenario() -> Scenario:
    scenario = Scenario(settings=build_fake_settings(evidence_key=KEY_URL))
    add_evidence_key(scenario.world)
    scenario.build.add_http_flow("Orders")
    scenario.build.apply_key()
    await scenario.start_remediation()
    await cancel_remediation(scenario)
    scenario.world.clock.advance(timedelta(days=1))
    return scenario


async def cancel_remediation(scenario: Scenario) -> None:
    provide(scenario.services)
    path = f"remediations/{scenario.remediation.id}/cancel"
    await call(remediation_actions_api.cancel_remediation, id=scenario.remediation.id, path=path)


async def export_evidence(scenario: Scenario) -> dict[str, bytes]:
    provide(scenario.services)
    reply = await call(evidence_api.show_evidence, id=scenario.remediation.id)
    assert reply.status == 200
    with zipfile.ZipFile(io.BytesIO(reply.content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


async def read_differences(scenario: Scenario) -> list[str]:
    found: list[str] = json.loads((await export_evidence(scenario))[MANIFEST])[AUDIT_DIFFERENCES]
    return found


def list_audit_rows(scenario: Scenario) -> list[tuple[tuple[str, str, str], StoreRow]]:
    store = scenario.fakes.store
    return sorted((name, row) for name, row in store.rows.items() if name[0] == "auditlog")


async def list_seals(scenario: Scenario) -> list[AuditSeal]:
    return await scenario.services.tables.audit_seals.read_all("seal")


async def test_daily_check_seals_each_complete_day_once(scenario: Scenario) -> None:
    await run_daily_check(scenario.services, "today")
    await run_daily_check(scenario.services, "again")

    (seal,) = await list_seals(scenario)
    statement = seal.statement
    assert (statement.number, statement.entry_count, statement.begins_at) == (1, 2, None)
    assert seal.signature.key_id == f"{KEY_URL}/v1"


async def test_each_seal_is_linked_to_the_seal_before(scenario: Scenario) -> None:
    await seal_audit_log(scenario.services)
    add_evidence_key(scenario.world)
    scenario.world.clock.advance(timedelta(days=1))
    await seal_audit_log(scenario.services)

    newer, older = await list_seals(scenario)
    assert newer.statement.previous_sha256 == older.sha256
    assert newer.statement.begins_at == older.ends_at
    assert newer.statement.entry_count == 0
    assert newer.signature.key_id == f"{KEY_URL}/v2"
    assert await read_differences(scenario) == []


async def test_day_is_sealed_after_its_last_entry_can_be_written(scenario: Scenario) -> None:
    """An invocation may still write entries in the first minutes of the next day."""
    now = scenario.world.clock.now()
    midnight = now.replace(hour=0, minute=0) + timedelta(days=1)
    scenario.world.clock.advance(midnight + timedelta(minutes=11) - now)
    await seal_audit_log(scenario.services)
    early = await read_last_seal(scenario.services)
    scenario.world.clock.advance(timedelta(minutes=2))
    await seal_audit_log(scenario.services)
    late = await read_last_seal(scenario.services)

    assert early is not None
    assert late is not None
    assert (early.ends_at, late.ends_at) == (midnight - timedelta(days=1), midnight)


async def test_app_without_key_seals_nothing(scenario: Scenario) -> None:
    scenario.settings = build_fake_settings()
    await run_daily_check(scenario.services, "today")
    files = await export_evidence(scenario)

    assert await list_seals(scenario) == []
    assert SEALS_FILE not in files
    assert len(files["audit.jsonl"].splitlines()) == 2


async def test_day_without_a_signature_is_sealed_with_the_next_day(scenario: Scenario) -> None:
    error = PlatformError("not for you", code="Forbidden", status=403)
    without = replace(scenario.services, signing_keys=Failing(error))
    await run_daily_check(without, "today")
    rejected = await list_seals(scenario)
    scenario.world.clock.advance(timedelta(days=1))
    await seal_audit_log(scenario.services)

    (seal,) = await list_seals(scenario)
    assert rejected == []
    assert seal.statement.entry_count == 2


async def test_evidence_contains_the_seals_of_its_entries_and_no_later_ones(
    scenario: Scenario,
) -> None:
    """The evidence of an unchanged remediation must stay the same when later days are sealed."""
    await seal_audit_log(scenario.services)
    first = await export_evidence(scenario)
    scenario.world.clock.advance(timedelta(days=1))
    await seal_audit_log(scenario.services)

    assert await export_evidence(scenario) == first
    (line,) = first[SEALS_FILE].splitlines()
    (seal, *_) = (await list_seals(scenario))[::-1]
    assert json.loads(line)["text"] == seal.text
    (name,) = [name for name in first if name.startswith("audit-seals/0")]
    assert len(first[name].splitlines()) == 2


def remove_row(store: MemoryStore, name: tuple[str, str, str], row: StoreRow) -> None:
    del store.rows[name]


def change_row(store: MemoryStore, name: tuple[str, str, str], row: StoreRow) -> None:
    columns = {key: str(value).replace("cancel", "approve") for key, value in row.columns.items()}
    store.rows[name] = replace(row, columns={**row.columns, "data0": columns["data0"]})


def add_row(store: MemoryStore, name: tuple[str, str, str], row: StoreRow) -> None:
    key = name[2][:-1] + "9"
    store.rows[name[0], name[1], key] = replace(row, key=key)


def write_empty_row(store: MemoryStore, name: tuple[str, str, str], row: StoreRow) -> None:
    store.rows[name] = replace(row, columns={})


@pytest.mark.parametrize(
    ("attack", "said"),
    [
        (remove_row, "was removed"),
        (change_row, "was changed"),
        (add_row, "was added"),
        (write_empty_row, "was changed"),
    ],
)
async def test_entry_that_differs_from_its_seal_is_named(
    scenario: Scenario, attack: Callable[[MemoryStore, Any, Any], None], said: str
) -> None:
    await seal_audit_log(scenario.services)
    name, row = list_audit_rows(scenario)[0]
    attack(scenario.fakes.store, name, row)

    files = await export_evidence(scenario)

    (found,) = json.loads(files[MANIFEST])[AUDIT_DIFFERENCES]
    assert said in found
    assert found in files["report.html"].decode()


async def test_differences_are_found_without_the_list_of_entries(scenario: Scenario) -> None:
    await seal_audit_log(scenario.services)
    name, _ = list_audit_rows(scenario)[0]
    del scenario.fakes.store.rows[name]
    archive = scenario.fakes.archive.contents
    for one in [one for one in archive if one.startswith("audit-seals/")]:
        del archive[one]

    (found,) = await read_differences(scenario)

    assert "2 entries" in found


async def test_removed_seal_is_named(scenario: Scenario) -> None:
    """Seals have consecutive numbers, so a gap shows which ones are missing."""
    for _ in range(3):
        await seal_audit_log(scenario.services)
        scenario.world.clock.advance(timedelta(days=1))
    store = scenario.fakes.store
    (_, middle, _) = sorted(name for name in store.rows if name[0] == "auditseals")
    del store.rows[middle]

    assert await read_differences(scenario) == ["Seal 2 is missing"]


async def test_seal_by_another_key_with_the_same_id_is_named(scenario: Scenario) -> None:
    versions = scenario.world.keys[VAULT_URL, "evidence"]
    versions.append(replace(versions[0], version="v0"))  # v1 is then made of other numbers
    await seal_audit_log(scenario.services)
    versions.pop()

    assert await read_differences(scenario) == [
        "Seal 1 of the audit log is not signed with the key in the vault"
    ]


async def test_unavailable_public_key_is_named(scenario: Scenario) -> None:
    await seal_audit_log(scenario.services)
    scenario.world.keys.clear()
    files = await export_evidence(scenario)
    scenario.settings = build_fake_settings(evidence_key=KEY_URL[:-1])
    elsewhere = await export_evidence(scenario)

    omitted, other = (json.loads(one[MANIFEST])["omitted"] for one in (files, elsewhere))
    assert "no key evidence" in omitted[f"public key {KEY_URL}/v1"]
    assert "not a version of the key" in other[f"public key {KEY_URL}/v1"]


async def test_check_counts_sealed_entries(
    scenario: Scenario, cli: CommandLine, tmp_path: Any
) -> None:
    await seal_audit_log(scenario.services)
    await cancel_remediation(scenario)
    file = tmp_path / "evidence.zip"
    await cli.run("evidence", "export", scenario.remediation.id, "-f", str(file))

    checked = await cli.run("evidence", "check", str(file))

    assert checked.exit_code == 0, checked.output
    assert "2 of 4 entries are sealed, by seals 1 to 1" in checked.stdout


async def test_check_names_differences_that_the_app_found_at_the_export(
    scenario: Scenario, cli: CommandLine, tmp_path: Any
) -> None:
    await seal_audit_log(scenario.services)
    name, row = list_audit_rows(scenario)[0]
    change_row(scenario.fakes.store, name, row)
    provide(scenario.services)
    file = tmp_path / "evidence.zip"
    await cli.run("evidence", "export", scenario.remediation.id, "-f", str(file))

    checked = await cli.run("evidence", "check", str(file))

    assert checked.exit_code == 1
    first, second, *_ = checked.stdout.splitlines()
    assert first.startswith("Found by the app at the export: Audit entry")
    assert second.endswith("is not in its seal")


async def test_check_finds_changed_entries_seals_and_lists(
    scenario: Scenario, cli: CommandLine, tmp_path: Any
) -> None:
    await seal_audit_log(scenario.services)
    files = await export_evidence(scenario)
    (entry_list,) = [name for name in files if name.startswith("audit-seals/0")]
    file = tmp_path / "evidence.zip"
    said = []
    for name, old, new in (
        ("audit.jsonl", b"cancel", b"approve"),
        (SEALS_FILE, b"entry_count", b"entry_c0unt"),
        (SEALS_FILE, b'number\\": 1', b'number\\": 2'),
        (entry_list, b"-1", b"-2"),
        (entry_list, files[entry_list], b""),
    ):
        with zipfile.ZipFile(file, "w") as target:
            for one, content in files.items():
                target.writestr(one, content.replace(old, new) if one == name else content)
        checked = await cli.run("evidence", "check", str(file))
        assert checked.exit_code == 1
        said.append(checked.output)

    assert "is not in its seal" in said[0]
    assert "not a seal" in said[1]
    assert "Seal 2 of the audit log does not have a valid signature" in said[2]
    assert "it does not match seal 1" in said[3]
    assert "it does not match seal 1" in said[4]


async def test_check_names_a_seal_of_many_days(
    scenario: Scenario, cli: CommandLine, tmp_path: Any
) -> None:
    await seal_audit_log(scenario.services)
    scenario.world.clock.advance(timedelta(days=5))
    await cancel_remediation(scenario)
    scenario.world.clock.advance(timedelta(days=1))
    await seal_audit_log(scenario.services)
    provide(scenario.services)
    file = tmp_path / "evidence.zip"
    await cli.run("evidence", "export", scenario.remediation.id, "-f", str(file))

    checked = await cli.run("evidence", "check", str(file))

    assert checked.exit_code == 0, checked.output
    assert "Seal 2 covers 6 days" in checked.stdout


async def test_doctor_names_an_audit_log_that_is_not_sealed(scenario: Scenario) -> None:
    await seal_audit_log(scenario.services)
    provide(scenario.services)
    fresh = await call(doctor_api.check_deployment)
    scenario.world.clock.advance(timedelta(days=3))
    stale = await call(doctor_api.check_deployment)

    def find_levels(reply: Any) -> list[str]:
        return [one["level"] for one in reply.document["items"] if one["subject"] == "audit log"]

    assert (find_levels(fresh), find_levels(stale)) == ([], ["problem"])
