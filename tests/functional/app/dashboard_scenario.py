import re
from datetime import timedelta
from html import unescape

from functions import dashboard_api
from shared.bootstrap import provide
from tests.functional.scenarios.app_calls import TRIGGERS, Reply, call
from tests.functional.scenarios.remediation_scenario import Scenario


async def build_app_scenario(*titles: str) -> Scenario:
    """Return a scenario with these called flows before its first remediation, served by the API."""
    scenario = Scenario()
    scenario.driver.use_cases = TRIGGERS
    for title in titles:
        scenario.build.add_http_flow(title)
    scenario.build.apply_key()
    await scenario.opt_in()
    provide(scenario.services)
    return scenario


async def build_dashboard_scenario() -> Scenario:
    scenario = Scenario()
    scenario.driver.use_cases = TRIGGERS
    child = scenario.build.add_http_flow("Orders")
    scenario.build.add_parent("Close of day", child)
    scenario.build.add_variable_caller(scenario.build.add_http_flow("<b>Invoices</b>"))
    scenario.build.apply_key()
    await scenario.start_remediation()
    provide(scenario.services)
    return scenario


def find_flow_id(scenario: Scenario, title: str) -> str:
    flows = scenario.build.environment.flows.values()
    return next(one.workflow_id for one in flows if one.name == title)


async def show_remediation_page(scenario: Scenario, **query: str) -> Reply:
    return await call(dashboard_api.show_remediation_page, id=scenario.remediation.id, query=query)


async def show_flow_page(scenario: Scenario, title: str, **query: str) -> Reply:
    return await call(
        dashboard_api.show_flow_page,
        id=scenario.remediation.id,
        params={"flow": find_flow_id(scenario, title)},
        query=query,
    )


async def run_until_no_call_period(scenario: Scenario) -> None:
    """Approve the plan, and run the app until the no-call period."""
    await scenario.approve(run=timedelta(hours=6))
    provide(scenario.services)


def read_hidden_fields(page: Reply, action: str) -> dict[str, str]:
    """Return the hidden fields of the first form whose URL matches the pattern `action`."""
    pattern = rf'<form method="post" action="{action}"[^>]*>(.*?)</form>'
    found = re.search(pattern, page.text, re.DOTALL)
    assert found is not None, action
    hidden = re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', found[1])
    return {name: unescape(value) for name, value in hidden}


def read_text(page: Reply, part: str = "main") -> str:
    """Return the text of the first element `part` of a page, without markup."""
    found = re.search(rf"<{part}[ >].*?</{part}>", page.text, re.DOTALL)
    assert found is not None
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", found[0])).split())
