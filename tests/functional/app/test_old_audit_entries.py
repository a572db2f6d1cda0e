from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.audit_seal import build_entry_list_name
from shared.errors import UnreadableRow
from shared.ports import UpsertRow
from shared.use_cases import delete_old_audit_entries as deletion
from shared.use_cases.delete_old_audit_entries import delete_old_audit_entries
from shared.use_cases.run_daily_check import run_daily_check
from shared.use_cases.seal_audit_log import seal_audit_log
from tests.fakes.evidence_key import KEY_URL
from tests.fakes.services import build_fake_settings
from tests.functional.app.test_audit_seals import (
    cancel_remediation,
    list_audit_rows,
    list_seals,
    read_differences,
)
from tests.functional.app.test_audit_seals import scenario as scenario
from tests.functional.scenarios.remediation_scenario import Scenario

DAY = timedelta(days=1)


async def pass_days(scenario: Scenario, number: int) -> None:
    for _ in range(number):
        await cancel_remediation(scenario)
        scenario.world.clock.advance(DAY)
        await seal_audit_log(scenario.services)


def set_retention(scenario: Scenario, time: timedelta | None, key: str = KEY_URL) -> None:
    scenario.settings = build_fake_settings(evidence_key=key, audit_log_kept=time)


async def test_every_entry_is_kept_by_default(scenario: Scenario) -> None:
    """The evidence of a remediation needs its audit entries."""
    await pass_days(scenario, 10)
    before = list_audit_rows(scenario)
    scenario.world.clock.advance(1_000 * DAY)

    await run_daily_check(scenario.services, "today")

    after = list_audit_rows(scenario)
    assert [row for row in after if row in before] == before
    assert len(await list_seals(scenario)) > 10


async def test_old_entries_and_their_seals_are_deleted(scenario: Scenario) -> None:
    await pass_days(scenario, 20)
    set_retention(scenario, 5 * DAY)

    deleted = await delete_old_audit_entries(scenario.services)
    again = await delete_old_audit_entries(scenario.services)

    seals = await list_seals(scenario)
    assert (deleted, again) == (32, 0)
    assert [seal.number for seal in seals] == list(range(20, 15, -1))
    assert await scenario.services.archive.list_names("audit-seals/") == sorted(
        build_entry_list_name(seal.statement) for seal in seals
    )
    begins_at = seals[-1].statement.begins_at
    assert begins_at
    assert await read_differences(scenario) == [
        f"Audit entries before {begins_at:%Y-%m-%d} and their seals were deleted"
    ]


async def test_entries_stay_while_a_retention_policy_keeps_their_list(scenario: Scenario) -> None:
    await pass_days(scenario, 20)
    set_retention(scenario, 5 * DAY)
    scenario.fakes.archive.kept.update(await scenario.services.archive.list_names("audit-seals/"))

    assert await delete_old_audit_entries(scenario.services) == 0
    assert len(await list_seals(scenario)) == 20


async def test_entries_since_the_start_of_an_open_remediation_are_kept(scenario: Scenario) -> None:
    """A later export of evidence may need these entries."""
    await pass_days(scenario, 5)
    await scenario.order(cause="open")
    await pass_days(scenario, 1)
    table = scenario.services.tables.remediations
    kept = await table.get("remediation", scenario.remediation.id)
    assert kept
    rows = len(list_audit_rows(scenario))
    scenario.world.clock.advance(3 * DAY)
    set_retention(scenario, DAY / 24)

    deleted = await delete_old_audit_entries(scenario.services)

    seals = await list_seals(scenario)
    begins_at = seals[-1].statement.begins_at
    assert 0 < deleted < rows
    assert begins_at
    assert begins_at <= kept.item.created_at
    assert await read_differences(scenario) == []


async def test_nothing_is_deleted_while_a_plan_is_unreadable(scenario: Scenario) -> None:
    """An unreadable plan may belong to an open remediation, which still needs its entries."""
    await pass_days(scenario, 5)
    await scenario.order(cause="open")
    table = scenario.services.tables.environment_jobs
    [kept] = [one async for one in table.query(scenario.remediation.id)]
    row = await table.store.get(*table.get_row_name(kept.item))
    assert row
    text = str(row.columns["data0"]).replace(f'"state":"{kept.item.state}"', '"state":"newer"')
    await table.store.write(UpsertRow(replace(row, columns={**row.columns, "data0": text})))
    before = list_audit_rows(scenario)
    scenario.world.clock.advance(3 * DAY)
    set_retention(scenario, DAY / 24)

    with pytest.raises(UnreadableRow):
        await delete_old_audit_entries(scenario.services)

    assert list_audit_rows(scenario) == before


async def test_entry_that_is_not_sealed_is_kept(scenario: Scenario) -> None:
    scenario.world.clock.advance(100 * DAY)
    set_retention(scenario, DAY)

    assert await delete_old_audit_entries(scenario.services) == 0
    assert len(list_audit_rows(scenario)) == 2


async def test_entries_of_an_app_without_a_key_are_deleted_by_age(scenario: Scenario) -> None:
    """Without an evidence key, the app seals no entry."""
    scenario.world.clock.advance(3 * DAY)
    await cancel_remediation(scenario)
    set_retention(scenario, 2 * DAY, key="")

    assert await delete_old_audit_entries(scenario.services) == 2
    assert len(list_audit_rows(scenario)) == 2


async def test_many_old_entries_are_deleted_on_several_days(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deletion, "_MOST", 7)
    monkeypatch.setattr(deletion, "_BATCH", 3)
    await pass_days(scenario, 10)
    set_retention(scenario, DAY)

    deleted = [await delete_old_audit_entries(scenario.services) for _ in range(5)]

    assert deleted == [7, 7, 6, 0, 0]
    assert [text for text in await read_differences(scenario) if "deleted" not in text] == []
