"""A remediation whose originals are retired, and the deletes that are ordered after it."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from shared.domain.jobs.deletion import Deletion
from shared.services import Services
from shared.use_cases.delete_originals import delete_originals
from shared.use_cases.schedule_deletions import DeletionInput, schedule_deletions
from tests.fakes.tenant import FakeFlow, FakeRun
from tests.functional.scenarios.remediation_scenario import Scenario, planned

DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)
BY = "admin@contoso.example"


async def retired(scenario: Scenario) -> None:
    """Link, opt in, and let the remediation run to its end."""
    await planned(scenario)
    await scenario.approve(run=25 * DAY)


async def retired_scenario(
    build: Callable[[Scenario], object] | None = None, *, scenario: Scenario | None = None
) -> Scenario:
    """Return a scenario whose originals are retired: one of the title *Orders* unless said."""
    is_built = scenario is not None
    scenario = scenario or Scenario()
    if build:
        build(scenario)
    elif not is_built:
        scenario.build.http_flow("Orders")
    await retired(scenario)
    return scenario


async def order(
    scenario: Scenario, *flow_ids: str, within: timedelta = DAY, by: str = BY
) -> list[Deletion]:
    """Order the delete of retired originals, of all if none is named."""
    approval = DeletionInput(
        delete_at=scenario.world.clock.now() + within, approved_by=by, flow_ids=flow_ids
    )
    return await schedule_deletions(scenario.services, scenario.remediation.id, approval)


async def deletions(scenario: Scenario) -> dict[str, Deletion]:
    """Return the deletions by the title of the original."""
    rows = await scenario.services.tables.deletions.all(scenario.build.environment.id)
    return {row.display_name: row for row in rows}


async def turns(scenario: Scenario, services: Services | None = None, *, rounds: int = 30) -> None:
    """Let the timer come round every few minutes until nothing is due."""
    for _ in range(rounds):
        await delete_originals(services or scenario.services)
        open_rows = [row for row in (await deletions(scenario)).values() if row.is_open]
        if not any(
            row.next_check_at and row.next_check_at <= scenario.world.clock.now() + DAY
            for row in open_rows
        ):
            break
        await scenario.run(5 * MINUTE)
    await delete_originals(services or scenario.services)


async def at_its_date(scenario: Scenario) -> None:
    """Let the date come that `order` named, and the timer do its work."""
    await scenario.run(DAY + MINUTE)
    await turns(scenario)


@dataclass(frozen=True, slots=True, kw_only=True)
class Runs:
    """What runs of a flow are like."""

    name: str = "run"
    #: When the last one began, how long one is from the next, and how long each lasts.
    ago: timedelta = timedelta(hours=1)
    apart: timedelta = timedelta(hours=1)
    lasts: timedelta = timedelta(seconds=2)


ORDINARY = Runs()


def ran(scenario: Scenario, flow: FakeFlow, count: int, runs: Runs = ORDINARY) -> None:
    """Let a flow have run `count` times."""
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


def kept_runs(scenario: Scenario) -> list[str]:
    """Return the ids of all runs in the archive, part by part."""
    contents = scenario.fakes.archive.contents
    names = sorted(name for name in contents if name.startswith("runs/"))
    return [json.loads(line)["run"] for name in names for line in contents[name].splitlines()]


def deletes(scenario: Scenario) -> list[str]:
    """Return the targets of every delete that reached the platform."""
    return [write.target for write in scenario.world.writes if write.what.startswith("delete ")]


def original(scenario: Scenario, title: str) -> FakeFlow:
    """Return an original by its title before it was retired."""
    flows = scenario.build.environment.flows.values()
    return next(flow for flow in flows if not flow.made_by_app and flow.name.startswith(title))
