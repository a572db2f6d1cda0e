import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from shared.domain.jobs.deletion import Deletion
from shared.services import Services
from shared.use_cases.delete_originals import delete_originals
from shared.use_cases.schedule_deletions import DeletionInput, schedule_deletions
from tests.fakes.tenant import FakeFlow, FakeRun
from tests.functional.scenarios.remediation_scenario import Scenario, plan_remediation

DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)
BY = "admin@contoso.example"


async def retire_all(scenario: Scenario) -> None:
    """Start and approve a remediation, and run it until it is complete."""
    await plan_remediation(scenario)
    await scenario.approve(run=25 * DAY)


async def build_retired_scenario(
    build: Callable[[Scenario], object] | None = None, *, scenario: Scenario | None = None
) -> Scenario:
    """Return a scenario with retired originals: those of `scenario`, those that `build` adds, or
    one named Orders.
    """
    is_built = scenario is not None
    scenario = scenario or Scenario()
    if build:
        build(scenario)
    elif not is_built:
        scenario.build.add_http_flow("Orders")
    await retire_all(scenario)
    return scenario


async def request_deletions(
    scenario: Scenario, *flow_ids: str, within: timedelta = DAY, by: str = BY
) -> list[Deletion]:
    """Schedule the deletion of these retired originals, or of all if none is named."""
    approval = DeletionInput(
        delete_at=scenario.world.clock.now() + within, approved_by=by, flow_ids=flow_ids
    )
    return await schedule_deletions(scenario.services, scenario.remediation.id, approval)


async def read_deletions(scenario: Scenario) -> dict[str, Deletion]:
    """Return the deletions by the title of the original."""
    rows = await scenario.services.tables.deletions.read_all(scenario.build.environment.id)
    return {row.display_name: row for row in rows}


async def run_timers(
    scenario: Scenario, services: Services | None = None, *, rounds: int = 30
) -> None:
    """Run the deletion timer every five minutes, at most `rounds` times, until no deletion is due
    soon.
    """
    for _ in range(rounds):
        await delete_originals(services or scenario.services)
        open_rows = [row for row in (await read_deletions(scenario)).values() if row.is_open]
        if not any(
            row.next_check_at and row.next_check_at <= scenario.world.clock.now() + DAY
            for row in open_rows
        ):
            break
        await scenario.run(5 * MINUTE)
    await delete_originals(services or scenario.services)


async def run_on_default_date(scenario: Scenario) -> None:
    """Advance to the default date of `request_deletions`, and run the timer."""
    await scenario.run(DAY + MINUTE)
    await run_timers(scenario)


@dataclass(frozen=True, slots=True, kw_only=True)
class Runs:
    """Properties of the flow runs that `add_runs` adds."""

    name: str = "run"
    #: How long ago the last run began, the time between two starts, and the duration of a run.
    ago: timedelta = timedelta(hours=1)
    apart: timedelta = timedelta(hours=1)
    lasts: timedelta = timedelta(seconds=2)


ORDINARY = Runs()


def add_runs(scenario: Scenario, flow: FakeFlow, count: int, runs: Runs = ORDINARY) -> None:
    now = scenario.world.clock.now()
    for number in range(count):
        started = now - runs.ago - number * runs.apart
        flow.runs.append(
            FakeRun(
                run_id=f"{runs.name}-{number:05}",
                started=started,
                ends=started + runs.lasts,
                trigger_url_id=flow.trigger_url_id,
            )
        )


def list_archived_runs(scenario: Scenario) -> list[str]:
    """Return the ids of all archived runs, in the order of the archive's files."""
    contents = scenario.fakes.archive.contents
    names = sorted(name for name in contents if name.startswith("runs/"))
    return [json.loads(line)["run"] for name in names for line in contents[name].splitlines()]


def list_deleted_flows(scenario: Scenario) -> list[str]:
    return [write.target for write in scenario.world.writes if write.what.startswith("delete ")]


def find_original(scenario: Scenario, title: str) -> FakeFlow:
    """Return the original whose name begins with this title."""
    flows = scenario.build.environment.flows.values()
    return next(flow for flow in flows if not flow.made_by_app and flow.name.startswith(title))
