from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.jobs.deletion import RECYCLE_BIN
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.shared_snapshot import (
    MICROSOFT_KEY_LISTS,
    NETWORK_SNAPSHOTS,
    SharedSnapshot,
)
from shared.use_cases import delete_old_remediations as deletion
from shared.use_cases.delete_old_remediations import delete_old_remediations
from shared.use_cases.delete_old_snapshots import delete_old_snapshots
from shared.use_cases.run_daily_check import run_daily_check
from tests.fakes.clock import build_store_clock
from tests.fakes.crash import Killed, Moment, Plan
from tests.fakes.services import build_fake_services, build_fake_settings
from tests.functional.deleting.deletion_scenario import (
    DAY,
    build_retired_scenario,
    request_deletions,
    run_on_default_date,
)
from tests.functional.scenarios.remediation_scenario import Scenario

KEPT = 30 * DAY
#: Folders of the archive with snapshots that many jobs share.
CACHED = (f"{NETWORK_SNAPSHOTS}/", f"{MICROSOFT_KEY_LISTS}/")
#: Rows that name a remediation, its jobs or its flows.
TABLES = {
    "remediations",
    "environmentjobs",
    "planitems",
    "flowjobs",
    "callers",
    "callereditintents",
    "deletions",
    "runarchives",
    "observedcallers",
}


def build_flows(scenario: Scenario) -> None:
    scenario.build.add_app_setting_caller(scenario.build.add_http_flow("Orders"))
    scenario.build.add_http_flow("Invoices")


async def build_deleted_scenario(kept: timedelta | None = KEPT) -> Scenario:
    """Return a scenario whose originals were deleted longer ago than `KEPT`."""
    scenario = await build_retired_scenario(build_flows)
    await request_deletions(scenario)
    await run_on_default_date(scenario)
    scenario.settings = build_fake_settings(remediations_kept=kept)
    scenario.world.clock.advance(KEPT + 2 * DAY)
    return scenario


def list_rows(scenario: Scenario) -> set[tuple[str, str, str]]:
    """Return table, partition and key of each row that belongs to a remediation."""
    return {name for name in scenario.fakes.store.rows if name[0] in TABLES}


async def list_files(scenario: Scenario) -> list[str]:
    """Return the archived files except cached snapshots."""
    names = await scenario.services.archive.list_names()
    return [name for name in names if not name.startswith(CACHED)]


@pytest.mark.parametrize("wrong_by", [timedelta(days=400), timedelta(days=-400)])
async def test_age_is_counted_by_the_clock_of_the_store(wrong_by: timedelta) -> None:
    scenario = await build_deleted_scenario()
    rows = await scenario.services.tables.deletions.read_all()
    last = max(max(one.delete_at, one.deleted_at or one.delete_at) for one in rows)
    counts = []
    for age in (KEPT - timedelta(hours=1), KEPT + timedelta(hours=1)):
        clock = build_store_clock(last + age, local=last + age + wrong_by)
        counts.append(await delete_old_remediations(replace(scenario.services, clock=clock)))

    assert counts == [0, 2]


async def test_remediation_stays_while_a_retention_policy_keeps_a_file() -> None:
    scenario = await build_deleted_scenario()
    before = list_rows(scenario)
    archive = scenario.fakes.archive
    archive.kept.update(await list_files(scenario))

    assert await delete_old_remediations(scenario.services) == 0
    assert list_rows(scenario) == before
    archive.kept.clear()
    assert await delete_old_remediations(scenario.services) == 2
    assert await list_files(scenario) == []


async def test_newest_file_is_deleted_first() -> None:
    """If a retention policy keeps the newest file, the older ones stay, so the evidence stays
    complete.
    """
    scenario = await build_deleted_scenario()
    archive, job = scenario.fakes.archive, await scenario.read_job("Orders")
    runs = f"runs/{job.environment_id}/{job.id}/0001.jsonl"
    await archive.put(runs, b"")
    before = await list_files(scenario)
    archive.kept.add(runs)

    assert await delete_old_remediations(scenario.services) == 0
    assert await list_files(scenario) == before


async def test_definitions_that_another_job_names_stay() -> None:
    scenario = await build_deleted_scenario()
    deleted = await scenario.read_job("Orders")
    other = replace(deleted, id="other", remediation_id="other", state=FlowJobState.ROLLED_BACK)
    await scenario.services.tables.flow_jobs.upsert(other)

    await delete_old_remediations(scenario.services)

    folder = f"{deleted.environment_id}/{deleted.original.id}/"
    assert {name.rpartition("/")[0] + "/" for name in await list_files(scenario)} == {folder}


async def test_cached_answers_that_no_row_names_are_deleted() -> None:
    scenario = await build_deleted_scenario()
    await scenario.services.archive.put("network-snapshots/old.json", b"{}")
    before = await scenario.services.archive.list_names()
    kept = [row async for row in scenario.services.tables.shared_snapshots.query()]

    deleted = await delete_old_snapshots(scenario.services)

    after = await scenario.services.archive.list_names()
    assert deleted == len(before) - len(after) > 0
    assert {name for name in after if name.startswith(CACHED)} <= {
        row.item.archive_name for row in kept
    }
    assert "network-snapshots/old.json" not in after
    assert await list_files(scenario) == [name for name in before if not name.startswith(CACHED)]


async def test_answer_that_is_stored_during_the_deletion_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An invocation stores a snapshot before the row that names it."""
    scenario = await build_deleted_scenario()
    archive, rows = scenario.fakes.archive, scenario.services.tables.shared_snapshots
    name, list_names = f"{NETWORK_SNAPSHOTS}/new.json", archive.list_names

    async def store_and_list(folder: str = "") -> list[str]:
        if name.startswith(folder):
            await archive.put(name, b"{}")
            await rows.upsert(SharedSnapshot(topic=NETWORK_SNAPSHOTS, id="new", archive_name=name))
        return await list_names(folder)

    monkeypatch.setattr(archive, "list_names", store_and_list)
    await delete_old_snapshots(scenario.services)

    assert name in archive.contents


async def test_old_remediation_is_deleted() -> None:
    scenario = await build_deleted_scenario()
    flows = {flow.workflow_id for flow in scenario.world.list_flows()}

    environment_id, job_id = scenario.build.environment.id, (await scenario.read_job("Orders")).id
    archive = scenario.services.archive
    await archive.put(f"runs/{environment_id}/{job_id}/0001.jsonl", b"")
    await archive.put(f"another/a-caller/before-{job_id}.json", b"{}")
    files = await list_files(scenario)
    assert {name.partition("/")[0] for name in files} == {
        *("runs", "plans", "another", environment_id)
    }

    assert await delete_old_remediations(scenario.services) == 2

    assert list_rows(scenario) == set()
    assert await list_files(scenario) == []
    await run_daily_check(scenario.services, "today")
    await scenario.run(30 * DAY)
    assert await scenario.read_jobs() == {}
    assert {flow.workflow_id for flow in scenario.world.list_flows()} == flows


async def test_remediation_is_kept_by_default() -> None:
    scenario = await build_deleted_scenario(kept=None)
    before = list_rows(scenario)
    scenario.world.clock.advance(1_000 * DAY)

    assert await delete_old_remediations(scenario.services) == 0
    assert list_rows(scenario) == before


async def test_remediation_with_an_original_that_exists_is_kept() -> None:
    """While one original is not deleted, a rollback of its flow is possible."""
    scenario = await build_retired_scenario(build_flows)
    await request_deletions(scenario, (await scenario.read_job("Orders")).original.id)
    await run_on_default_date(scenario)
    scenario.settings = build_fake_settings(remediations_kept=KEPT)
    scenario.world.clock.advance(KEPT + 2 * DAY)
    before = list_rows(scenario)

    assert await delete_old_remediations(scenario.services) == 0
    assert list_rows(scenario) == before


async def test_remediation_is_kept_while_an_original_can_be_restored() -> None:
    scenario = await build_retired_scenario(build_flows)
    await request_deletions(scenario)
    await run_on_default_date(scenario)
    scenario.settings = build_fake_settings(remediations_kept=DAY)
    scenario.world.clock.advance(RECYCLE_BIN - DAY)

    assert await delete_old_remediations(scenario.services) == 0


async def test_flow_jobs_are_read_once_for_all_remediations(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scenario = await build_deleted_scenario()
    tables, store = scenario.services.tables, scenario.fakes.store
    job = await scenario.read_job("Orders")
    deletion = await tables.deletions.get(job.environment_id, job.id)
    assert deletion
    for number in range(5):
        name = f"other-{number}"
        other = replace(job, id=f"{job.id}-{number}", remediation_id=name)
        await tables.flow_jobs.upsert(other, replace(other, id=f"{other.id}-kept"))
        await tables.deletions.upsert(replace(deletion.item, job_id=other.id, remediation_id=name))
    read, query = list[str](), store.query

    def count(table: str, *place: object, **options: object) -> object:
        read.append(table)
        return query(table, *place, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(store, "query", count)

    assert await delete_old_remediations(scenario.services) == 2
    assert read.count("flowjobs") == 1
    assert len(await tables.flow_jobs.read_all()) == 10


async def test_large_remediation_is_deleted_on_several_days(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Otherwise the host could stop the daily check before its other work."""
    scenario = await build_deleted_scenario()
    monkeypatch.setattr(deletion, "_MOST", 1)

    counts = [await delete_old_remediations(scenario.services) for _ in range(3)]

    assert counts == [1, 1, 0]
    assert list_rows(scenario) == set()


@pytest.mark.parametrize("moment", Moment)
async def test_killed_process_leaves_nothing_behind(moment: Moment) -> None:
    scenario = await build_deleted_scenario()
    before = dict(scenario.fakes.store.rows)
    at, has_struck = 0, True
    while has_struck:
        at += 1
        scenario.fakes.store.rows = dict(before)
        plan = Plan(at=at, moment=moment)
        try:
            ports = scenario.fakes.ports.wrap_with_plan(plan)
            await delete_old_remediations(build_fake_services(ports, settings=scenario.settings))
        except Killed:
            pass
        has_struck = plan.has_struck
        await delete_old_remediations(scenario.services)
        assert list_rows(scenario) == set()
    assert at > 5
