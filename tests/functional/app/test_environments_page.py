import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from html import unescape
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest

from functions import (
    assessments_api,
    dashboard_api,
    environments_api,
    remediations_api,
)
from functions.forms import FORM
from shared.bootstrap import provide
from shared.domain.environment import ApprovalPolicy, EnvironmentSettings
from shared.domain.environment_records import PolicyLinkRecord
from shared.domain.plans.job_index import SETTLED_AFTER
from shared.domain.plans.remediation import RemediationMode
from shared.domain.principal import Role
from shared.use_cases.compare_job_index import compare_job_index
from shared.use_cases.poll_environments import poll_environments
from shared.use_cases.read_job_index import read_known_jobs
from shared.use_cases.read_remediation_rows import RowReader
from shared.use_cases.set_kill_switch import set_kill_switch
from tests.fakes.builder import Builder
from tests.functional.scenarios.app_calls import TRIGGERS, Reply, build_sign_in_header, call
from tests.functional.scenarios.remediation_scenario import Scenario

OWN = {"Sec-Fetch-Site": "same-origin"}
BROWSER = {"Accept": "text/html,*/*;q=0.8"}
PAGE = "/api/dashboard/environments"
NOTHING: Mapping[str, str] = {}
ADA = build_sign_in_header("ada@contoso.example")


@pytest.fixture
async def scenario() -> Scenario:
    scenario = Scenario()
    scenario.driver.use_cases = TRIGGERS
    scenario.build.add_http_flow("Orders")
    scenario.build.apply_key()
    await scenario.opt_in(
        max_flows=7, maintenance_window="22:00-04:00", excluded_flows=frozenset({"payroll"})
    )
    policy = scenario.build.environment.policy
    assert policy is not None
    link = PolicyLinkRecord(
        environment_id=scenario.build.environment.id,
        policy_id=policy.policy_id,
        status=policy.status,
        first_seen_at=scenario.services.now,
    )
    await scenario.services.tables.policy_links.upsert(link)
    provide(scenario.services)
    return scenario


async def show_page(
    query: Mapping[str, str] = NOTHING, headers: Mapping[str, str] = NOTHING
) -> Reply:
    reply = await call(
        dashboard_api.show_environments_page, headers={**BROWSER, **headers}, query=query
    )
    assert reply.status == 200, reply.text
    return reply


def list_forms(page: Reply) -> list[tuple[str, dict[str, str]]]:
    return [
        (action, dict(re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', fields)))
        for action, fields in re.findall(
            r'<form method="post" action="([^"]+)"[^>]*>(.*?)</form>', page.text, re.DOTALL
        )
    ]


async def send_form(handler: Any, fields: Mapping[str, str], identity: str | None = None) -> str:
    headers = {"Content-Type": FORM, "Referer": f"https://app.example{PAGE}"}
    done = await call(
        handler, urlencode(fields).encode(), id=identity, headers=headers | OWN | BROWSER | ADA
    )
    assert done.status == 303, done.text
    return str(done.headers["Location"])


async def test_environment_is_shown_with_its_settings_and_its_policy(scenario: Scenario) -> None:
    page = await show_page()

    environment = scenario.build.environment
    assert "<h1>1 environment, 1 under your key</h1>" in page.text
    assert environment.id in page.text
    assert "Change what is approved" in page.text
    assert "at most 7" in page.text
    assert "22:00 to 04:00 UTC" in page.text
    assert "payroll" in page.text
    assert "Your key" in page.text
    assert environment.policy is not None
    assert environment.policy.policy_id.rpartition("/")[2] in page.text.lower()
    assert "Not assessed" in page.text


async def test_environment_without_a_row_is_listed_if_the_platform_is_asked(
    scenario: Scenario,
) -> None:
    Builder(scenario.world, name="Sales")
    provide(scenario.services)

    stored = await show_page()
    every = await show_page({"all_environments": "true"})

    assert "Sales" not in stored.text
    assert "Sales" in every.text
    assert scenario.build.environment.display_name in every.text
    assert 'id="live"' in stored.text
    assert 'id="live"' not in every.text  # an update would remove what the platform listed


async def test_form_changes_the_approval_policy_only(scenario: Scenario) -> None:
    identity = scenario.build.environment.id
    page = await show_page()
    action = f"/api/environments/{identity}/settings"
    offered = [
        fields
        for target, fields in list_forms(page)
        if target == action and "approval_policy" in fields
    ]
    assert offered == [{"approval_policy": "read_only"}, {"approval_policy": "automatic"}]
    assert "without an approval" in page.text

    location = await send_form(environments_api.change_environment_settings, offered[0], identity)

    path, _, query = location.partition("?")
    assert path == PAGE
    after = await show_page(dict(parse_qsl(query)))
    assert "The settings are saved." in after.text
    assert "Read only" in after.text
    (kept,) = await scenario.services.tables.environment_settings.read_all("environment")
    assert (kept.approval_policy, kept.max_flows) == (ApprovalPolicy.READ_ONLY, 7)


async def test_read_only_environment_offers_no_remediation(scenario: Scenario) -> None:
    row = EnvironmentSettings(environment_id=scenario.build.environment.id)
    await scenario.services.tables.environment_settings.upsert(row)
    provide(scenario.services)

    page = await show_page()

    modes = [fields["mode"] for target, fields in list_forms(page) if target == "/api/remediations"]
    assert modes == ["dry_run"]
    assert "is read-only. Permit changes first." in page.text


@pytest.mark.parametrize("mode", ["dry_run", "apply"])
async def test_remediation_is_started_and_its_page_opened(scenario: Scenario, mode: str) -> None:
    page = await show_page()
    (fields,) = [
        fields
        for target, fields in list_forms(page)
        if target == "/api/remediations" and fields["mode"] == mode
    ]
    text = unescape(page.text)
    assert "at most 7 flows" in text
    assert "It changes flows only from 22:00 to 04:00 UTC." in text
    assert "1 excluded flow stays as it is." in text
    assert "It changes nothing. No approval is needed." in text

    location = await send_form(remediations_api.start_remediation, fields)

    (started,) = await scenario.services.tables.remediations.read_all("remediation")
    assert location.partition("?")[0] == f"/api/dashboard/remediations/{started.id}"
    assert (started.mode, started.started_by) == (RemediationMode(mode), "ada@contoso.example")
    query = dict(parse_qsl(location.partition("?")[2]))
    there = await call(dashboard_api.show_remediation_page, id=started.id, query=query)
    assert "The remediation has started." in there.text


async def test_assessment_is_shown_during_and_after_its_work(scenario: Scenario) -> None:
    identity = scenario.build.environment.id
    location = await send_form(assessments_api.start_assessment, {}, identity)
    during = await show_page(dict(parse_qsl(location.partition("?")[2])))
    await scenario.run(timedelta(hours=1))
    provide(scenario.services)
    after = await show_page()

    assert location.startswith(f"{PAGE}?")
    assert "The assessment has started." in during.text
    assert "An assessment is in progress. No second one is started." in during.text
    assert re.search(r"Assessed 20\d\d-", after.text)
    (started,) = await scenario.services.tables.remediations.read_all("remediation")
    assert f'href="/api/dashboard/remediations/{started.id}"' in after.text
    assert scenario.build.environment.display_name in after.text


async def test_last_assessment_is_found_after_later_remediations(scenario: Scenario) -> None:
    await send_form(assessments_api.start_assessment, {}, scenario.build.environment.id)
    await scenario.run(timedelta(hours=1))
    scenario.world.clock.advance(timedelta(days=30))
    await scenario.order(RemediationMode.DRY_RUN)
    for _ in range(2):
        await compare_job_index(scenario.services)
        scenario.world.clock.advance(SETTLED_AFTER)
    provide(scenario.services)
    current = await read_known_jobs(scenario.services, RowReader())
    assert [job.mode for job in current.environment_jobs] == [RemediationMode.DRY_RUN]

    page = await show_page()

    assert re.search(r"Assessed 20\d\d-", page.text)
    assert "Dry run completed" in page.text


async def test_environment_shows_progress_and_links_to_the_plan(scenario: Scenario) -> None:
    await scenario.order()
    provide(scenario.services)

    page = await show_page()

    assert "0 of 1 flows that need a remediation are on your key." in page.text
    plan = f"/api/dashboard/remediations/{scenario.remediation.id}/plan"
    assert f'href="{plan}">Review plan' in page.text


async def test_page_shows_the_kill_switch(scenario: Scenario) -> None:
    await set_kill_switch(scenario.services, is_on=True, by="Ada", reason="INC-4411")
    provide(scenario.services)

    page = await show_page()

    assert "Changes are stopped" in page.text
    assert "INC-4411" in page.text


async def test_reader_sees_settings_and_no_form(scenario: Scenario) -> None:
    page = await show_page(headers=build_sign_in_header("rita@contoso.example", [Role.READER]))

    assert list_forms(page) == []
    assert "22:00 to 04:00 UTC" in page.text
    assert "You need the role operator." in page.text
    assert "You need the role approver." in page.text


async def test_two_hundred_environments_are_paged(scenario: Scenario) -> None:
    for number in range(200):
        row = EnvironmentSettings(environment_id=f"team-{number}")
        await scenario.services.tables.environment_settings.upsert(row)
    provide(scenario.services)

    found: list[str] = []
    address: dict[str, str] | None = {}
    while address is not None:
        page = await show_page(address)
        assert len(page.content) < 300_000
        found += re.findall(r"<dt>Id</dt><dd><code>(team-\d+)", page.text)
        more = re.search(rf'href="{PAGE}\?(start=\d+)">Next', page.text)
        address = dict(parse_qsl(more[1])) if more else None

    assert "201 environments" in page.text
    assert found == [f"team-{number}" for number in range(200)]


async def read_settings_form(scenario: Scenario, member: str) -> dict[str, str]:
    page = await show_page()
    action = f"/api/environments/{scenario.build.environment.id}/settings"
    (found,) = [
        dict(re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', fields))
        for target, fields in re.findall(
            r'<form method="post" action="([^"]+)"[^>]*>(.*?)</form>', page.text, re.DOTALL
        )
        if target == action and f'name="{member}"' in fields
    ]
    return found


@pytest.mark.parametrize(
    ("member", "entered", "setting", "value"),
    [
        ("max_flows", {"max_flows": "25"}, "max_flows", 25),
        (
            "maintenance_window",
            {"maintenance_window": "01:00-02:00"},
            "maintenance_window",
            "01:00-02:00",
        ),
        ("maintenance_window[=]", {}, "maintenance_window", ""),
        ("excluded_flows[]", {}, "excluded_flows", frozenset()),
        ("excluded_flows[]", {"excluded_flows[]": "payroll"}, "excluded_flows", {"payroll"}),
        ("pilot_flows[]", {"pilot_flows[]": ""}, "pilot_flows", frozenset()),
        (
            "notification_recipients[,]",
            {"notification_recipients[,]": "anna@contoso.example, Bob@contoso.example"},
            "notification_recipients",
            {"anna@contoso.example", "bob@contoso.example"},
        ),
    ],
)
async def test_each_setting_is_changed_by_its_form(
    scenario: Scenario, member: str, entered: dict[str, str], setting: str, value: object
) -> None:
    before = (await scenario.services.tables.environment_settings.read_all("environment"))[0]
    fields = await read_settings_form(scenario, member)

    identity = scenario.build.environment.id
    await send_form(environments_api.change_environment_settings, fields | entered, identity)

    (kept,) = await scenario.services.tables.environment_settings.read_all("environment")
    expected: dict[str, Any] = {setting: value}
    assert kept == replace(before, display_name=scenario.build.environment.display_name, **expected)


async def test_excluded_flow_is_added_by_its_name(scenario: Scenario) -> None:
    fields = await read_settings_form(scenario, "excluded_flows[]")
    entered = urlencode(
        [*fields.items(), ("excluded_flows[]", "payroll"), ("excluded_flows[]", "Orders")]
    )

    await send_text(scenario, entered)

    (kept,) = await scenario.services.tables.environment_settings.read_all("environment")
    [flow] = scenario.build.environment.flows.values()
    assert kept.excluded_flows == {"payroll", flow.workflow_id}


async def test_form_older_than_the_settings_is_rejected(scenario: Scenario) -> None:
    fields = await read_settings_form(scenario, "excluded_flows[]")
    await scenario.opt_in(excluded_flows=frozenset({"payroll", "returns"}))
    provide(scenario.services)

    done = await send_text(scenario, urlencode(fields))

    (kept,) = await scenario.services.tables.environment_settings.read_all("environment")
    assert done.status == 412
    assert kept.excluded_flows == {"payroll", "returns"}


async def send_text(scenario: Scenario, content: str) -> Reply:
    headers = {"Content-Type": FORM, "Referer": f"https://app.example{PAGE}"}
    return await call(
        environments_api.change_environment_settings,
        content.encode(),
        id=scenario.build.environment.id,
        headers=headers | OWN | BROWSER | ADA,
    )


async def test_environment_name_is_stored_before_the_first_remediation(scenario: Scenario) -> None:
    environment = scenario.build.environment
    assert environment.display_name not in (await show_page()).text.partition("<main")[2]
    form = await read_settings_form(scenario, "max_flows")

    await send_form(
        environments_api.change_environment_settings, form | {"max_flows": "9"}, environment.id
    )
    changed = await show_page()
    environment.display_name = "Contoso renamed"
    await poll_environments(scenario.services)
    provide(scenario.services)
    polled = await show_page()

    assert '<th scope="row">Contoso</th>' in changed.text
    assert '<th scope="row">Contoso renamed</th>' in polled.text


async def test_job_has_the_name_of_its_environment_from_its_start(scenario: Scenario) -> None:
    """Pages and notifications need the name before the app has read the environment."""
    environment = scenario.build.environment
    form = await read_settings_form(scenario, "max_flows")
    await send_form(
        environments_api.change_environment_settings, form | {"max_flows": "9"}, environment.id
    )
    fields = {"mode": "dry_run", "environment_ids[]": environment.id}

    await send_form(remediations_api.start_remediation, fields)

    [job] = await scenario.services.tables.environment_jobs.read_all()
    assert job.environment_name == environment.display_name


async def test_excluded_flows_of_the_plan_are_shown_by_name(scenario: Scenario) -> None:
    [flow] = scenario.build.environment.flows.values()
    await scenario.order()
    await scenario.opt_in(excluded_flows=frozenset({flow.workflow_id, "payroll"}))
    provide(scenario.services)

    page = await show_page()

    assert "<dt>Excluded flows</dt><dd>Orders, <code>payroll</code>" in page.text
