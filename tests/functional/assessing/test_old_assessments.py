from contextlib import suppress
from datetime import timedelta
from html import unescape

import pytest

from functions import dashboard_api
from shared.bootstrap import provide
from shared.domain.jobs.environment_states import EnvironmentJobState
from shared.domain.plans.assessment_request import AssessmentRequest
from shared.domain.plans.remediation import Remediation
from shared.domain.principal import Principal, PrincipalKind, Role
from shared.errors import NotFound
from shared.use_cases.delete_old_plans import delete_old_plans
from shared.use_cases.start_assessment import show_assessment, start_assessment
from tests.fakes.crash import Killed, Moment, Plan
from tests.fakes.services import build_fake_services, build_fake_settings
from tests.functional.scenarios.app_calls import call
from tests.functional.scenarios.remediation_scenario import Scenario

DAY = timedelta(days=1)
ANNA = Principal(name="anna", roles=frozenset(Role), kind=PrincipalKind.USER)


async def build_assessed(
    *, remediations_kept: timedelta | None = None
) -> tuple[Scenario, list[Remediation]]:
    settings = build_fake_settings(plans_kept=10 * DAY, remediations_kept=remediations_kept)
    scenario = Scenario(settings=settings)
    scenario.build.add_http_flow("Orders")
    home, found = scenario.build.environment.id, []
    for _ in range(2):
        started = await scenario.driver.call(
            lambda s: start_assessment(s, home, AssessmentRequest(), ANNA)
        )
        found.append(started)
        await scenario.run(DAY)
    return scenario, found


async def test_result_of_a_replaced_assessment_is_deleted_after_the_time_of_plans() -> None:
    scenario, [old, new] = await build_assessed()
    before = await show_assessment(scenario.services, old.id)
    await delete_old_plans(scenario.services)
    assert await show_assessment(scenario.services, old.id) == before

    scenario.world.clock.advance(100 * DAY)
    await delete_old_plans(scenario.services)

    shown = await show_assessment(scenario.services, old.id)
    assert (shown.answer, shown.job.state) == (None, EnvironmentJobState.COMPLETED)
    assert "A later assessment has replaced this one." in shown.job.message
    assert before.job.answer not in await scenario.services.archive.list_names()
    assert (await show_assessment(scenario.services, new.id)).answer is not None
    provide(scenario.services)
    page = unescape((await call(dashboard_api.show_remediation_page, id=old.id)).text)
    assert "A later assessment has replaced this one." in page
    assert "will appear here" not in page
    assert "; reading" not in page


async def test_rows_of_a_replaced_assessment_are_deleted_after_the_time_of_remediations() -> None:
    scenario, [old, new] = await build_assessed(remediations_kept=30 * DAY)

    scenario.world.clock.advance(20 * DAY)
    await delete_old_plans(scenario.services)
    assert (await show_assessment(scenario.services, old.id)).answer is None
    scenario.world.clock.advance(400 * DAY)
    await delete_old_plans(scenario.services)

    with pytest.raises(NotFound):
        await show_assessment(scenario.services, old.id)
    tables = scenario.services.tables
    assert [one.id for one in await tables.remediations.read_all("remediation")] == [new.id]
    assert [one.remediation_id for one in await tables.environment_jobs.read_all()] == [new.id]
    assert (await show_assessment(scenario.services, new.id)).answer is not None
    again = await start_assessment(
        scenario.services, scenario.build.environment.id, AssessmentRequest(), ANNA
    )
    assert again.id not in {old.id, new.id}


async def test_result_stays_while_a_retention_policy_keeps_it() -> None:
    scenario, [old, _] = await build_assessed(remediations_kept=30 * DAY)
    archive = scenario.fakes.archive
    archive.kept.update(await scenario.services.archive.list_names())
    scenario.world.clock.advance(400 * DAY)

    await delete_old_plans(scenario.services)
    assert (await show_assessment(scenario.services, old.id)).answer is not None
    archive.kept.clear()
    await delete_old_plans(scenario.services)

    with pytest.raises(NotFound):
        await show_assessment(scenario.services, old.id)


@pytest.mark.parametrize("moment", Moment)
async def test_next_check_continues_after_a_crash_at_any_request(moment: Moment) -> None:
    at, has_struck = 0, True
    while has_struck:
        at += 1
        scenario, [_, new] = await build_assessed(remediations_kept=30 * DAY)
        scenario.world.clock.advance(400 * DAY)
        plan = Plan(at=at, moment=moment)
        with suppress(Killed):
            ports = scenario.fakes.ports.wrap_with_plan(plan)
            await delete_old_plans(build_fake_services(ports, settings=scenario.settings))
        has_struck = plan.has_struck
        await delete_old_plans(scenario.services)

        tables = scenario.services.tables
        assert [one.id for one in await tables.remediations.read_all("remediation")] == [new.id], at
        assert len(await tables.environment_jobs.read_all()) == 1, at
        assert len(await scenario.services.archive.list_names("assessments/")) == 1, at
    assert at > 5
