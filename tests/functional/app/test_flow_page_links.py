import re
from datetime import timedelta

import pytest

from functions import dashboard_api
from shared.bootstrap import provide
from shared.reason import Reason
from tests.functional.callers.test_canvas_apps import add_app, point_app_at
from tests.functional.scenarios.app_calls import TRIGGERS, Reply, call
from tests.functional.scenarios.remediation_scenario import Scenario
from tests.functional.scenarios.two_environments import TwoEnvironments


async def read_flow_page(scenario: Scenario, title: str) -> Reply:
    provide(scenario.services)
    job = (await scenario.read_jobs())[title]
    return await call(
        dashboard_api.show_flow_page, id=scenario.remediation.id, params={"flow": job.original.id}
    )


@pytest.mark.parametrize(
    ("code", "link"),
    [
        (Reason.ENVIRONMENT_READ_ONLY, "/api/dashboard/environments#settings"),
        (Reason.MANUAL_CALLER, "#callers"),
        (Reason.CHILD_FLOW_NOT_READY, "#callers"),
        (Reason.ORIGINAL_EDITED, "?compare=true#difference"),
        (Reason.OWNER_UNAVAILABLE, "?owner="),
    ],
)
async def test_reason_of_a_blocked_flow_links_to_its_fix(code: Reason, link: str) -> None:
    scenario = Scenario()
    scenario.driver.use_cases = TRIGGERS
    scenario.build.add_http_flow("Orders")
    scenario.build.apply_key()
    await scenario.start_remediation()
    await scenario.approve(run=timedelta(hours=1))
    await scenario.block_flow("Orders", message="It is blocked.", fix="Fix it.", code=code)

    page = await read_flow_page(scenario, "Orders")

    to_do = page.text.partition('id="to-do"')[2].partition("</section>")[0]
    assert link in "".join(re.findall(r'<a class="button" href="([^"]+)"', to_do))
    anchor = link.rpartition("#")[2]
    assert "dashboard" in link or link.endswith("=") or f'id="{anchor}"' in page.text


async def test_flow_page_names_the_environment_of_a_caller() -> None:
    scenario = TwoEnvironments()
    called = scenario.build.add_http_flow("Orders")
    scenario.other.add_flow_caller(called, name="Close of day")
    scenario.prepare()
    await scenario.opt_in_both()
    await scenario.start_remediation_of(scenario.build, scenario.other, run=timedelta(hours=6))

    page = await read_flow_page(scenario, "Orders")

    callers = page.text.partition('id="callers"')[2].partition("<!--/callers-->")[0]
    assert "in Other" in callers
    assert scenario.other.environment.id not in callers


async def test_page_of_a_rollback_shows_no_reason_of_the_migration() -> None:
    scenario = Scenario()
    scenario.driver.use_cases = TRIGGERS
    form = scenario.build.add_power_apps_v1_flow("Old form")
    add_app(scenario, form.workflow_id)
    scenario.build.apply_key()
    await scenario.start_remediation()
    await scenario.approve(run=timedelta(days=30))
    migrating = await read_flow_page(scenario, "Old form")
    point_app_at(scenario, (await scenario.read_job("Old form")).copy.id)
    await scenario.retry()
    await scenario.roll_back()

    page = await read_flow_page(scenario, "Old form")

    assert "add its copy" in migrating.text
    assert (await scenario.read_job("Old form")).is_rolling_back
    assert "add its copy" not in page.text
    callers = page.text.partition('id="callers"')[2].partition("</section>")[0]
    assert "a person must change it back, if it calls the copy" in callers
    assert "remove the copy, add the original again" in callers
    to_do = page.text.partition('id="to-do"')[2].partition("</section>")[0]
    assert "remove the copy, add the original again" in to_do
