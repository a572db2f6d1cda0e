import json
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest

from functions import run_archives_api
from shared.bootstrap import provide
from shared.domain.jobs import run_archive
from shared.domain.jobs.run_archive import RunArchiveState
from shared.errors import FlowNotFound, ThrottledError
from shared.steps.deleting import archive_runs as step
from shared.use_cases.archive_runs import archive_runs, show_run_archives
from tests.fakes.crash import Killed, Moment, Plan, wrap_with_plan
from tests.fakes.services import build_fake_services
from tests.fakes.tenant import FakeFlow, FakeRun
from tests.functional.cli.cli_app import serve_app
from tests.functional.deleting.deletion_scenario import list_archived_runs
from tests.functional.scenarios.app_calls import call
from tests.functional.scenarios.remediation_scenario import (
    Scenario,
    plan_remediation,
)

RUNS = 450


def _run_often(scenario: Scenario, flow: FakeFlow) -> None:
    """Add one run an hour. Each tenth run has the same start as the one before it."""
    now = scenario.world.clock.now()
    for number in range(RUNS):
        hours = number - number % 10 // 9
        started = now - timedelta(hours=hours, seconds=1)
        flow.runs.append(
            FakeRun(
                run_id=f"run-{number:05}",
                started=started,
                ends=started + timedelta(seconds=2),
                trigger_url_id=flow.trigger_url_id,
            )
        )


@pytest.fixture
async def scenario() -> Scenario:
    scenario = Scenario()
    busy, _ = scenario.build.add_http_flow("Orders"), scenario.build.add_http_flow("Idle")
    await plan_remediation(scenario)
    await scenario.approve(run=timedelta(minutes=10))
    _run_often(scenario, busy)
    return scenario


async def _archive_all(scenario: Scenario) -> list[run_archive.RunArchive]:
    for _ in range(100):
        found = await archive_runs(scenario.services, scenario.remediation.id)
        if found.is_completed:
            return list(found.archives)
    pytest.fail("the archive does not end")


async def test_every_run_is_archived_once(scenario: Scenario) -> None:
    archives = {one.display_name: one for one in await _archive_all(scenario)}

    assert archives["Orders"].state is RunArchiveState.COMPLETED
    assert archives["Orders"].runs == RUNS
    assert len(archives["Orders"].parts) == 9
    assert (archives["Idle"].state, archives["Idle"].runs) == (RunArchiveState.COMPLETED, 0)
    kept = list_archived_runs(scenario)
    assert len(kept) == len(set(kept)) == RUNS


@pytest.mark.parametrize("moment", Moment)
@pytest.mark.parametrize("number", range(1, 25, 3))
async def test_archive_completes_after_a_kill(
    scenario: Scenario, number: int, moment: Moment
) -> None:
    plan = Plan(at=number, moment=moment)
    with suppress(Killed):
        await archive_runs(
            build_fake_services(scenario.fakes.ports.wrap_with_plan(plan)), scenario.remediation.id
        )

    await _archive_all(scenario)

    assert plan.has_struck
    kept = list_archived_runs(scenario)
    assert len(kept) == len(set(kept)) == RUNS


async def test_existing_part_of_an_archive_is_not_written_again(scenario: Scenario) -> None:
    plan, ports = Plan(at=1, moment=Moment.AFTER), scenario.fakes.ports
    dying = build_fake_services(replace(ports, archive=wrap_with_plan(ports.archive, plan)))
    with suppress(Killed):
        await archive_runs(dying, scenario.remediation.id)
    scenario.world.run_page = 70

    archives = {one.display_name: one for one in await _archive_all(scenario)}

    assert plan.has_struck
    kept = list_archived_runs(scenario)
    assert len(kept) == len(set(kept)) == archives["Orders"].runs == RUNS


async def test_archive_completes_although_every_cursor_expires(scenario: Scenario) -> None:
    scenario.world.cursors_expired = True

    await _archive_all(scenario)

    kept = list_archived_runs(scenario)
    assert len(kept) == len(set(kept)) == RUNS


async def test_runs_with_the_same_start_are_archived_across_pages(scenario: Scenario) -> None:
    busy = next(flow for flow in scenario.world.list_flows() if flow.name == "Idle")
    started = scenario.world.clock.now() - timedelta(hours=2)
    for number in range(3 * scenario.world.run_page):
        run = FakeRun(
            run_id=f"burst-{number:05}",
            started=started,
            ends=started + timedelta(seconds=2),
            trigger_url_id=busy.trigger_url_id,
        )
        busy.runs.append(run)

    archives = {one.display_name: one for one in await _archive_all(scenario)}

    assert archives["Idle"].runs == 3 * scenario.world.run_page


async def test_archive_at_the_limit_contains_the_newest_runs(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(step, "MOST_RUNS", 210)

    archives = {one.display_name: one for one in await _archive_all(scenario)}

    assert archives["Orders"].state is RunArchiveState.TRUNCATED
    assert archives["Orders"].runs == 210
    assert list_archived_runs(scenario)[0] == "run-00000"


async def test_originals_are_retired_without_an_archive(scenario: Scenario) -> None:
    await scenario.run(timedelta(days=60))

    assert {job.state for job in (await scenario.read_jobs()).values()} == {"retired"}
    assert (await show_run_archives(scenario.services, scenario.remediation.id)).archives == ()


async def test_report_names_the_end_of_the_support_window(
    scenario: Scenario,
) -> None:
    """The support window closes 30 days after the platform migration."""
    shown = await show_run_archives(scenario.services, scenario.remediation.id)

    (window,) = shown.support_windows
    assert window.closes_at is not None
    left = window.closes_at - scenario.world.clock.now()
    assert timedelta(days=29) < left <= timedelta(days=30)


async def test_exhausted_budget_returns_the_time_to_retry_the_archive(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def raise_throttled(*_: object) -> None:
        raise ThrottledError("too many", retry_after=timedelta(seconds=42))

    services = scenario.services
    monkeypatch.setattr("shared.use_cases.archive_runs.archive_run_page", raise_throttled)
    provide(services)

    reply = await call(run_archives_api.archive_runs, id=scenario.remediation.id)

    assert reply.status == 200
    assert reply.document["retry_after_seconds"] == 42
    assert not reply.document["is_completed"]


async def test_archive_of_an_unknown_flow_is_rejected(scenario: Scenario) -> None:
    """An empty archive would look as if the flow had no runs."""
    with pytest.raises(FlowNotFound):
        await archive_runs(scenario.services, scenario.remediation.id, ["nobody"])


async def test_command_archives_all_runs(scenario: Scenario) -> None:
    provide(scenario.services)
    async with serve_app() as command_line:
        done = await command_line.run("run-archive", "create", scenario.remediation.id)
        listed = await command_line.run(
            "run-archive", "list", scenario.remediation.id, "-o", "json"
        )

    assert done.exit_code == 0, done.output
    assert str(RUNS) in done.stdout
    assert "support can restore run history from before the key until" in done.stdout
    assert json.loads(listed.stdout)["is_completed"]
