import re
from html import unescape

import pytest

from functions import environments_api, remediation_actions_api
from shared.bootstrap import provide
from shared.use_cases import change_remediation
from shared.use_cases.show_remediation import show_plan
from tests.functional.app import test_environments_page as environments_page
from tests.functional.app import test_plan_page as plan_page
from tests.functional.app.test_dashboard_forms import send_form
from tests.functional.callers.test_url_secrets import build_scenario, format_secret_name
from tests.functional.cli.cli_app import CommandLine
from tests.functional.scenarios.app_calls import TRIGGERS
from tests.functional.scenarios.remediation_scenario import Scenario
from tests.functional.scenarios.traffic_scenario import plan_remediation

REASON = "app-0 has no identity that resolves Key Vault references."


@pytest.fixture
async def scenario() -> Scenario:
    scenario, _, (closed, _) = build_scenario(2)
    scenario.driver.use_cases = TRIGGERS
    closed.principal_id = ""
    await plan_remediation(scenario)
    provide(scenario.services)
    return scenario


async def test_plan_page_counts_who_refers_to_the_secret_and_says_why_others_do_not(
    scenario: Scenario,
) -> None:
    text = unescape(re.sub(r"<[^>]+>", "", await plan_page.show_page(scenario)))
    (flow,) = list(scenario.world.list_flows())

    assert "1 Key Vault secret gets the copy's URL, and 1 caller will refer to it." in text
    assert "1 other caller of a kind that can refer to secrets holds the URL." in text
    assert f"store the copy's URL in the secret {format_secret_name(flow)}" in text
    assert f"(gets the URL itself, not a reference to the secret: {REASON})" in text


async def test_command_line_says_why_a_caller_holds_the_url(
    scenario: Scenario, cli: CommandLine
) -> None:
    shown = await cli.run("plan", "show", scenario.remediation.id, "--flow", "Orders")

    assert f"(gets the URL itself, not a reference to the secret: {REASON})" in " ".join(
        shown.stdout.split()
    )


@pytest.mark.parametrize(
    ("member", "titles"),
    [
        ("has_url_secrets", {"false": "Write URLs instead", "true": "Allow URL secrets"}),
        (
            "has_url_secrets_in_app_configuration",
            {"true": "Allow in App Configuration", "false": "Write URLs in App Configuration"},
        ),
    ],
)
async def test_forms_turn_url_secrets_on_and_off(
    scenario: Scenario, member: str, titles: dict[str, str]
) -> None:
    environment_id = scenario.build.environment.id

    for value, title in titles.items():
        page = await environments_page.show_page()
        [fields] = [
            fields
            for _, fields in environments_page.list_forms(page)
            if fields.get(f"{member}[=]") == value
        ]
        assert title in page.text
        await environments_page.send_form(
            environments_api.change_environment_settings, fields, environment_id
        )
        provide(scenario.services)
        (settings,) = await scenario.services.tables.environment_settings.read_all("environment")
        assert getattr(settings, member) is (value == "true")


async def test_app_configuration_has_no_button_while_callers_hold_urls(scenario: Scenario) -> None:
    """Without URL secrets, the setting for App Configuration has no effect."""
    await scenario.opt_in(has_url_secrets=False, has_url_secrets_in_app_configuration=True)
    provide(scenario.services)

    page = await environments_page.show_page()

    assert "has_url_secrets[=]" in page.text
    assert "has_url_secrets_in_app_configuration" not in page.text
    assert "keys of App Configuration also refer to the secret" in page.text


async def test_command_line_lets_keys_of_app_configuration_refer_to_url_secrets(
    scenario: Scenario, cli: CommandLine
) -> None:
    option = "--url-secrets-in-app-configuration"

    changed = await cli.run("environment", "set", scenario.build.environment.id, option)
    provide(scenario.services)
    page = await environments_page.show_page()
    described = await cli.run("environment", "set", "--help")

    assert "Also keys of App Configuration" in changed.stdout
    assert "callers, also keys of App Configuration, may refer to a Key Vault secret" in page.text
    assert "the app cannot check that" in " ".join(described.stdout.replace("│", " ").split())


async def test_page_and_command_line_state_what_app_configuration_needs(
    scenario: Scenario, cli: CommandLine
) -> None:
    await scenario.driver.call(lambda s: change_remediation.cancel(s, scenario.remediation.id))
    (flow,) = scenario.world.list_flows()
    scenario.build.add_key_value_caller(flow)
    await scenario.order(cause="again")
    provide(scenario.services)

    page = unescape(await plan_page.show_page(scenario))
    shown = await cli.run("plan", "show", scenario.remediation.id, "--flow", "Orders")

    need = "Its readers must resolve Key Vault references and have access to the vault"
    assert f"<p>In App Configuration: {need}" in page
    assert 'Use secret, also in App Configuration<span class="vh"> for Orders</span>' in page
    assert f"App Configuration: {need}" in " ".join(shown.stdout.split())


async def test_buttons_of_the_plan_page_choose_url_secrets_for_a_flow(scenario: Scenario) -> None:
    page = await plan_page.show_page(scenario)
    (flow,) = list(scenario.world.list_flows())
    button = re.search(r'form="(url-secrets-\w+)" name="flow_ids\[\]" value="([^"]+)"', page)
    assert button
    [(action, use)] = re.findall(
        rf'<form id="{button[1]}" method="post" action="([^"]+)">'
        r'<input type="hidden" name="use" value="([^"]+)">',
        page,
    )
    assert (action.rpartition("/")[2], use, button[2]) == ("url-secrets", "none", flow.workflow_id)

    done = await send_form(
        scenario, remediation_actions_api.choose_url_secrets, use=use, flow_ids__=button[2]
    )
    changed = unescape(re.sub(r"<[^>]+>", "", await plan_page.show_page(scenario)))

    assert done.status == 303, done.text
    assert "completed_action=url-secrets&flow_count=1" in done.headers["Location"]
    assert "URL secretcallers hold the URL Use secret" in changed
    assert "Key Vault secret gets" not in changed


async def test_command_line_chooses_url_secrets_for_a_flow(
    scenario: Scenario, cli: CommandLine
) -> None:
    identity = scenario.remediation.id

    chosen = await cli.run("plan", "url-secrets", identity, "none", "--flow", "Orders")
    shown = await cli.run("plan", "show", identity, "--flow", "Orders")

    (plan,) = await show_plan(scenario.services, identity)
    assert f"1 flow is changed.\nPlan version: {plan.version}" in chosen.stdout
    assert "URL secret: callers hold the URL" in " ".join(shown.stdout.split())
    assert "refer to the secret" not in shown.stdout
