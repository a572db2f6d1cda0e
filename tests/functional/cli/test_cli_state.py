import asyncio
import base64
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cmkflow.__main__ import app
from cmkflow.state_file import Record, StateFile, StateSecret
from cmkflow.state_transfer import StatePlace, export_state, import_state
from shared.adapters.archive.folder import FolderArchive
from shared.adapters.state.sqlite_store import SqliteStore
from shared.adapters.state.versioned_store import IMPORT, VERSION, VersionedStore
from shared.domain.environment import ApprovalPolicy
from shared.errors import InvalidInput, JobBlocked, ServiceUnavailable
from shared.ports import InsertRow, StoreRow, UpsertRow
from shared.use_cases.poll_environments import poll_environments
from shared.use_cases.run_daily_check import run_daily_check
from tests.fakes.definition_builder import build_http_action
from tests.fakes.memory_archive import MemoryArchive
from tests.fakes.memory_store import MemoryStore
from tests.functional.scenarios.remediation_scenario import Scenario

KEY = base64.b64encode(bytes(range(32))).decode()
ARCHIVE_KEY = base64.urlsafe_b64encode(bytes(32)).decode()
SECRET = StateSecret(KEY, is_key=True)


class FailingStore(MemoryStore):
    """A store that stops answering after a number of writes."""

    def __init__(self, rows: dict[Any, StoreRow] | None = None) -> None:
        super().__init__()
        self.rows = dict(rows or {})
        self.writes_left: Iterator[int] = count()

    async def write(self, *operations: Any) -> list[StoreRow]:
        if next(self.writes_left, None) is None:
            raise ServiceUnavailable("The store does not answer.")
        return await super().write(*operations)


def build_place(
    rows: dict[Any, StoreRow] | None = None, archive: MemoryArchive | None = None
) -> tuple[StatePlace, FailingStore]:
    """Return a store and an archive in memory as one place, and the store."""
    store = FailingStore(rows)
    return StatePlace(store, archive or MemoryArchive()), store


async def build_running_scenario() -> Scenario:
    scenario = Scenario(mode=ApprovalPolicy.AUTOMATIC)
    for number in range(3):
        scenario.build.add_app_setting_caller(scenario.build.add_http_flow(f"Flow {number}"))
    scenario.build.apply_key()
    await scenario.start_remediation()
    await scenario.run(timedelta(days=1))
    await scenario.fakes.store.write(InsertRow(build_row(VERSION, schema_version=1)))
    return scenario


def build_row(name: tuple[str, str, str], **columns: Any) -> StoreRow:
    return StoreRow(table=name[0], partition=name[1], key=name[2], columns=columns)


def read_contents(store: MemoryStore) -> dict[Any, Any]:
    return {name: dict(row.columns) for name, row in store.rows.items()}


async def export_scenario(scenario: Scenario, path: Path) -> tuple[StatePlace, StateFile]:
    """Export the state of a scenario. Return the place of the state, and the file."""
    store, archive = FailingStore(scenario.fakes.store.rows), MemoryArchive()
    archive.contents = scenario.fakes.archive.contents
    place, file = StatePlace(store, archive), StateFile.create(path, SECRET)
    await export_state(place, file)
    return place, file


async def test_remediation_continues_from_an_imported_state(tmp_path: Path) -> None:
    scenario = await build_running_scenario()
    place, file = await export_scenario(scenario, tmp_path / "state")
    new, store = build_place()

    found = await import_state(new, file)

    assert read_contents(store) == read_contents(scenario.fakes.store)
    assert new.archive.contents == scenario.fakes.archive.contents  # type: ignore[attr-defined]
    assert found.rows.total() == len(store.rows)
    assert found.files == len(scenario.fakes.archive.contents) > 0
    scenario.fakes.store.rows = store.rows
    scenario.fakes.messages.lose_waiting_messages()
    scenario.renew()
    await scenario.run(timedelta(days=30))
    assert {job.state for job in (await scenario.read_jobs()).values()} == {"retired"}
    assert place.store is not new.store


async def test_file_contains_no_readable_text_and_only_its_owner_may_read_it(
    tmp_path: Path,
) -> None:
    """The archive contains signatures of trigger URLs."""
    await export_scenario(await build_running_scenario(), tmp_path / "state")

    content = (tmp_path / "state").read_bytes()
    assert b"Flow 1" not in content
    assert b"sig=" not in content
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o600


async def test_interrupted_export_continues(tmp_path: Path) -> None:
    scenario = await build_running_scenario()
    place, _ = await export_scenario(scenario, tmp_path / "state")
    whole = (tmp_path / "state").read_bytes()
    header = whole.index(b"\n") + 1

    for size in range(header, len(whole), (len(whole) - header) // 40):
        path = tmp_path / f"cut-{size}"
        path.write_bytes(whole[:size])
        file = StateFile.open(path, SECRET)
        new, store = build_place()
        with pytest.raises(InvalidInput, match="incomplete"):
            await import_state(new, file)
        assert store.rows == {}
        await export_state(place, file)
        await import_state(new, file)
        assert read_contents(store) == read_contents(scenario.fakes.store)


@pytest.mark.parametrize("is_complete", [True, False])
async def test_export_to_a_file_of_an_earlier_state_is_rejected(
    is_complete: bool, tmp_path: Path
) -> None:
    """The app may have run since the first export."""
    place, file = await export_scenario(await build_running_scenario(), tmp_path / "state")
    whole = file.path.read_bytes()
    if not is_complete:
        file.path.write_bytes(whole[: len(whole) // 2])
    name = ("remediations", "remediation", "another")
    await place.store.write(InsertRow(build_row(name, a=1)))
    await place.store.write(UpsertRow(build_row(("callers", "a", "first"), a=1)))

    with pytest.raises(InvalidInput, match="export to another file"):
        await export_state(place, StateFile.open(file.path, SECRET))

    if not is_complete:
        with pytest.raises(InvalidInput, match="incomplete"):
            await import_state(build_place()[0], StateFile.open(file.path, SECRET))


async def test_row_that_changes_during_an_export_is_reported(tmp_path: Path) -> None:
    """An export of a running app would mix rows of different times."""
    place, file = await export_scenario(await build_running_scenario(), tmp_path / "state")
    file = StateFile.create(tmp_path / "another", SECRET)
    list_names = place.archive.list_names

    async def list_names_late(folder: str = "") -> list[str]:
        await place.store.write(UpsertRow(build_row(("callers", "a", "first"), a=1)))
        return await list_names(folder)

    place.archive.list_names = list_names_late  # type: ignore[method-assign]

    with pytest.raises(InvalidInput, match="Table callers differs"):
        await export_state(place, file)


async def test_interrupted_import_continues_and_is_rejected_until_it_is_complete(
    tmp_path: Path,
) -> None:
    scenario = await build_running_scenario()
    _, file = await export_scenario(scenario, tmp_path / "state")
    new, store = build_place()

    for interruptions in count():
        store.writes_left = iter(range(3 + interruptions))
        try:
            await import_state(new, file)
            break
        except ServiceUnavailable:
            with pytest.raises(JobBlocked, match="import into the store is not complete"):
                await VersionedStore(store, [], "").get("flowjobs", "e", "j")

    assert interruptions > 5
    assert read_contents(store) == read_contents(scenario.fakes.store)
    assert IMPORT not in store.rows


async def build_first_start() -> Scenario:
    """Return an app that worked for a day without a person's request."""
    scenario = Scenario()
    actions = {"Call": build_http_action("https://erp.contoso.example/orders")}
    scenario.build.add_app_setting_caller(scenario.build.add_http_flow("Flow", actions))
    scenario.build.apply_key()
    await poll_environments(scenario.services)
    await run_daily_check(scenario.services, "today")
    await scenario.run(timedelta(days=1))
    await scenario.fakes.store.write(InsertRow(build_row(VERSION, schema_version=1)))
    return scenario


async def test_import_replaces_what_a_first_start_has_written(tmp_path: Path) -> None:
    scenario = await build_running_scenario()
    _, file = await export_scenario(scenario, tmp_path / "state")
    first = await build_first_start()
    new, store = build_place(first.fakes.store.rows, first.fakes.archive)
    assert {"remediations", "policylinks"} <= {table for table, _, _ in store.rows}
    assert await new.archive.list_names() != []

    for interruptions in count():
        store.writes_left = iter(range(interruptions))
        try:
            await import_state(new, file)
            break
        except ServiceUnavailable:
            continue

    assert read_contents(store) == read_contents(scenario.fakes.store)


async def test_row_of_a_running_app_is_found_in_a_table_that_the_file_does_not_have(
    tmp_path: Path,
) -> None:
    """An app that runs during the import may add such a row."""
    _, file = await export_scenario(await build_running_scenario(), tmp_path / "state")
    new, store = build_place()
    store.writes_left = iter(range(1))
    with pytest.raises(ServiceUnavailable):
        await import_state(new, file)
    store.writes_left = count()
    await store.write(InsertRow(StoreRow(table="other", partition="p", key="k", columns={})))

    with pytest.raises(InvalidInput, match="Table other differs from the file"):
        await import_state(new, file)


async def test_import_after_a_request_of_a_person_is_rejected(tmp_path: Path) -> None:
    _, file = await export_scenario(await build_running_scenario(), tmp_path / "state")
    first = await build_first_start()
    await first.opt_in()
    new, store = build_place(first.fakes.store.rows)
    before = read_contents(store)

    with pytest.raises(InvalidInput, match="table environmentsettings has rows"):
        await import_state(new, file)

    assert read_contents(store) == before


async def test_import_whose_last_write_had_no_answer_is_known_as_complete(tmp_path: Path) -> None:
    _, file = await export_scenario(await build_running_scenario(), tmp_path / "state")
    new, _ = build_place()
    await import_state(new, file)

    with pytest.raises(InvalidInput, match="an import is complete"):
        await import_state(new, file)


@pytest.mark.parametrize("change", ["row", "file", "another import", "this import"])
async def test_import_into_a_place_with_content_is_rejected(change: str, tmp_path: Path) -> None:
    _, file = await export_scenario(await build_running_scenario(), tmp_path / "state")
    new, store = build_place()
    match change:
        case "row":
            await store.write(UpsertRow(build_row(("callers", "p", "k"), a=1)))
        case "file":
            await new.archive.put("a", b"b")
        case "another import":
            await store.write(UpsertRow(build_row(IMPORT, export_id="x", records=0)))
        case _:
            await import_state(new, file)
    before = read_contents(store)

    with pytest.raises(InvalidInput):
        await import_state(new, file)

    assert read_contents(store) == before


@pytest.mark.parametrize("place", range(0, 1000, 37))
async def test_changed_file_is_rejected(place: int, tmp_path: Path) -> None:
    path = tmp_path / "state"
    _, _ = await export_scenario(await build_running_scenario(), path)
    content = bytearray(path.read_bytes())
    content[place * len(content) // 1000] ^= 1
    path.write_bytes(content)
    new, store = build_place()

    with pytest.raises(InvalidInput):
        await import_state(new, StateFile.open(path, SECRET))

    assert store.rows == {}


def test_file_without_an_id_is_rejected(tmp_path: Path) -> None:
    """The import needs the id of the file to continue after an interruption."""
    file = tmp_path / "state"
    file.write_text('{"format": "cmkflow-state-1", "salt": "AAAA"}\n')

    with pytest.raises(InvalidInput, match="not an exported state"):
        StateFile.open(file, StateSecret("x"))


def test_removed_or_moved_record_is_rejected(tmp_path: Path) -> None:
    """Each record is authenticated together with its number and its file."""
    file = StateFile.create(tmp_path / "a", SECRET)
    start = file.path.stat().st_size
    for number in range(2):
        file.append_record(Record({"file": "n"}, bytes([number])))
    first, content = start, file.path.read_bytes()
    second = first + 4 + int.from_bytes(content[first : first + 4])

    file.path.write_bytes(content[:first] + content[second:] + content[first:second])

    with pytest.raises(InvalidInput, match="record 0 is damaged"):
        list(file.read_records())
    other = StateFile.create(tmp_path / "b", SECRET)
    other.path.write_bytes(other.path.read_bytes() + content[first:])
    with pytest.raises(InvalidInput):
        list(other.read_records())


async def test_row_that_something_else_has_changed_during_an_import_is_reported(
    tmp_path: Path,
) -> None:
    _, file = await export_scenario(await build_running_scenario(), tmp_path / "state")
    new, store = build_place()
    name = next(one for one in (await list_row_names(file)) if one[0] == "flowjobs")

    def change() -> None:
        if name in store.rows:
            store.rows[name] = replace(store.rows[name], columns={"a": 1})

    store.watchers.append(change)

    with pytest.raises(InvalidInput, match="Table flowjobs differs"):
        await import_state(new, file)
    assert IMPORT in store.rows


async def list_row_names(file: StateFile) -> list[tuple[str, str, str]]:
    place, store = build_place()
    await import_state(place, file)
    return list(store.rows)


async def store_in_folder(scenario: Scenario, folder: Path) -> None:
    store = SqliteStore(folder / "state.db")
    for row in scenario.fakes.store.rows.values():
        await store.write(InsertRow(replace(row, etag=None)))
    await store.close()
    archive = FolderArchive(folder / "archive", ARCHIVE_KEY)
    for name, content in scenario.fakes.archive.contents.items():
        await archive.put(name, content)


async def read_archive(folder: Path, key: str) -> dict[str, bytes]:
    archive = FolderArchive(folder / "archive", key)
    return {name: await archive.get(name) for name in await archive.list_names()}


def test_commands_move_a_state_from_folder_to_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenario = asyncio.run(build_running_scenario())
    asyncio.run(store_in_folder(scenario, tmp_path / "old"))
    file = str(tmp_path / "state")

    def run(action: str, folder: str, key: str, passphrase: str) -> str:
        monkeypatch.setenv("CMKFLOW_STATE_PASSPHRASE", passphrase)
        monkeypatch.setenv("CMK_ARCHIVE_KEY", key)
        target = ["--state-folder", str(tmp_path / folder)]
        return CliRunner().invoke(app, ["state", action, file, *target]).output

    exported = run("export", "old", ARCHIVE_KEY, "correct horse")
    again = run("export", "old", ARCHIVE_KEY, "correct horse")
    rejected = run("import", "new", KEY, "wrong horse")
    imported = run("import", "new", KEY, "correct horse")

    assert exported.startswith(f"Exported {len(scenario.fakes.store.rows)} rows of ")
    assert again == exported
    assert "the passphrase or key is wrong" in rejected
    assert imported == exported.replace("Exported", "Imported")
    archived = asyncio.run(read_archive(tmp_path / "new", KEY))
    assert archived == scenario.fakes.archive.contents


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ([], "Give either --storage-account or --state-folder."),
        (["--state-folder", "x", "--storage-account", "y"], "Give either"),
        (["--state-folder", "x"], "CMK_ARCHIVE_KEY"),
        (["--storage-account", "x", "--key-file", "none"], "Cannot read none."),
    ],
)
def test_wrong_options_are_explained(
    options: list[str], text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CMKFLOW_STATE_PASSPHRASE", "p")
    monkeypatch.delenv("CMK_ARCHIVE_KEY", raising=False)

    done = CliRunner().invoke(app, ["state", "export", "file", *options])

    assert done.exit_code != 0
    assert text in " ".join(done.output.replace("│", " ").split())
    assert list(tmp_path.iterdir()) == []


def test_import_of_a_missing_file_does_not_ask_for_its_passphrase(tmp_path: Path) -> None:
    file = tmp_path / "state.cmkflow"

    done = CliRunner().invoke(app, ["state", "import", str(file), "--storage-account", "x"])

    assert done.exit_code == 2
    output = "".join(done.output.replace("│", "").split())
    assert f"Thereisnofile{file}." in output
    assert "Passphrase" not in output
