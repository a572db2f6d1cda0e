"""The daily sweep: retired originals that are on again."""

from dataclasses import replace
from typing import Any

import pytest

from shared.domain.environment import Environment
from shared.domain.flow import FlowState, ReportedFlow, Workflow
from shared.domain.job import JobState
from shared.errors import NotFound, Throttled
from shared.services import Services
from shared.use_cases.sweep import sweep
from tests.functional.remediation_story import Story


class NoRow:
    """Dataverse without the row of one flow."""

    def __init__(self, services: Services, workflow_id: str) -> None:
        self._workflows: Any = services.workflows
        self._missing = workflow_id

    def __getattr__(self, name: str) -> Any:
        return getattr(self._workflows, name)

    async def get(self, environment: Environment, workflow_id: str) -> Workflow:
        """Return a row, but not that one."""
        if workflow_id == self._missing:
            raise NotFound("no row")
        row: Workflow = await self._workflows.get(environment, workflow_id)
        return row


class Lists:
    """The flow service, whose list is bare or refused."""

    def __init__(self, services: Services, *, is_busy: bool = False) -> None:
        self._reports: Any = services.flow_reports
        self._is_busy = is_busy

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reports, name)

    async def list_flows(self, environment_id: str) -> list[ReportedFlow]:
        """Return the flows without their states."""
        if self._is_busy:
            raise Throttled("used up")
        return [replace(one, state=None) for one in await self._reports.list_flows(environment_id)]


async def retired() -> tuple[Story, Services]:
    """Return a story whose original in no solution is retired and on again, and no row shows it."""
    story = Story()
    form = story.build.power_apps_v1_flow("Old form")
    story.build.link()
    await story.opt_in()
    await story.order()
    await story.approve()
    assert (await story.job("Old form")).state is JobState.RETIRED
    form.state = FlowState.ON
    services = story.services
    return story, replace(services, workflows=NoRow(services, form.workflow_id))


@pytest.mark.parametrize("is_bare", [False, True])
async def test_an_original_without_a_row_that_is_on_again_is_reported(is_bare: bool) -> None:
    """The flow service is asked where Dataverse knows nothing; a bare list is no answer."""
    _, services = await retired()
    if is_bare:
        services = replace(services, flow_reports=Lists(services))

    result = await sweep(services, "today")

    assert result.came_back == ("Old form",)


async def test_a_busy_flow_service_holds_up_no_sweep(caplog: pytest.LogCaptureFixture) -> None:
    """What was not seen is said, and the environment is swept all the same."""
    story, services = await retired()
    services = replace(services, flow_reports=Lists(services, is_busy=True))
    before = len(await story.services.tables.remediations.all())

    result = await sweep(services, "today")

    assert result.came_back == ()
    assert "is not known" in caplog.text
    assert len(await story.services.tables.remediations.all()) == before + 1


async def test_an_original_without_a_row_that_is_off_or_deleted_is_not_reported() -> None:
    """Only what is on runs."""
    story, services = await retired()
    form = next(one for one in story.world.flows() if one.name.startswith("Old form"))
    form.state = FlowState.OFF

    off = (await sweep(services, "today")).came_back
    form.is_deleted = True
    gone = (await sweep(services, "tomorrow")).came_back

    assert off == gone == ()
