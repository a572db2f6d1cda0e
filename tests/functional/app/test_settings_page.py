import base64
import csv
import io
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from html import unescape
from typing import Any

import pytest

from functions import settings_api, settings_page_api
from shared.bootstrap import provide
from shared.domain.principal import Role
from shared.errors import UnusableSetting
from shared.ports import UnusableChannel
from shared.settings import Settings, get_setting_name
from tests.fakes.services import build_fake_settings
from tests.functional.cli.cli_app import serve_app
from tests.functional.scenarios.app_calls import build_sign_in_header, call
from tests.functional.scenarios.remediation_scenario import Scenario

NOTHING: Mapping[str, str] = {}
HERE = "/api/dashboard/settings"
#: A value of each setting that is a secret, and of one that contains a signature.
SECRETS = {
    "ServiceBusConnection": "Endpoint=sb://x/;SharedAccessKey=canary-bus",
    "archive_key": base64.urlsafe_b64encode(b"canary-archive-canary-archive-ca").decode(),
    "webhook": "https://hooks.example/canary-webhook",
    "webhook_secret": "whsec_canarycanarycanarycanarycanary",
    "teams_webhook": "https://x.logic.azure.com/workflows/1?sig=canary-teams",
}
TRIGGER_URL = (
    "https://prod-01.westeurope.logic.azure.com:443/workflows/0123456789abcdef0123456789abcdef"
    "/triggers/manual/paths/invoke?sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig="
    + "canary-sig".ljust(43, "0")
)


def provide_app(**changes: Any) -> Scenario:
    scenario = Scenario(settings=build_fake_settings(**changes))
    provide(scenario.services)
    return scenario


async def read_page(
    query: Mapping[str, str] = NOTHING, headers: Mapping[str, str] = NOTHING
) -> str:
    reply = await call(settings_page_api.show_settings_page, query=query, headers=headers)
    assert reply.status == 200, reply.text
    return unescape(reply.text)


async def read_items(query: Mapping[str, str] = NOTHING) -> dict[str, Any]:
    document = (await call(settings_api.list_settings, query=query)).document
    return {one["name"]: one for one in document["items"]}


def list_names(page: str) -> list[str]:
    return re.findall(r'<th scope="row"><code>(\w+)</code>', page)


async def test_page_shows_each_setting_with_value_default_and_meaning() -> None:
    provide_app(no_call_period=timedelta(days=14), additional_required_tags=("LogicApps",))

    page = await read_page()
    items = await read_items()

    assert (
        set(list_names(page))
        == {get_setting_name(one) for one in Settings.model_fields}
        == set(items)
    )
    changed, default = page.split("settings at the default")
    assert "CMK_NO_CALL_PERIOD" in list_names(changed)
    assert "CMK_READ_LAG" in list_names(default)
    assert "<code>P14D</code>" in changed
    assert "How long an original must receive no call" in changed
    assert items["CMK_NO_CALL_PERIOD"] == items["CMK_NO_CALL_PERIOD"] | {
        "value": "P14D", "default": "P7D", "status": "changed", "is_set": True, "problem": "",
    }  # fmt: skip
    assert items["CMK_ADDITIONAL_REQUIRED_TAGS"]["value"] == "LogicApps"
    assert items["CMK_READ_LAG"]["status"] == "default"
    assert items["CMK_TENANT_ID"]["is_required"]
    assert "<code>azd env set NAME VALUE</code>" in page


async def test_secret_is_shown_only_as_set_or_not_set() -> None:
    provide_app(**SECRETS, event_grid_topic=TRIGGER_URL)

    page, items = await read_page(), await read_items()

    assert "canary" not in page
    assert "canary" not in json.dumps(items)
    for name in ("ServiceBusConnection", "CMK_WEBHOOK", "CMK_ARCHIVE_KEY", "CMK_TEAMS_WEBHOOK"):
        assert (items[name]["is_secret"], items[name]["is_set"]) == (True, True)
        assert re.search(rf'<code>{name}</code>.*?<span class="dim">set</span>', page, re.DOTALL)
    provide_app()
    assert (await read_items())["CMK_WEBHOOK"]["is_set"] is False
    assert '<span class="dim">not set</span>' in await read_page()


async def test_unusable_setting_is_first_with_its_fix() -> None:
    """The value may contain a secret, so the page does not show it."""
    scenario = provide_app(event_grid_topic="http://canary")
    error = UnusableSetting(
        "CMK_EVENT_GRID_TOPIC is not an HTTPS URL.", fix="Set it to an HTTPS URL."
    )
    unusable = UnusableChannel(name="event_grid", error=error)
    provide(replace(scenario.services, channels=(unusable,)))

    page, items = await read_page(), await read_items()

    assert "1 setting has a problem</h1>" in page
    assert list_names(page)[0] == "CMK_EVENT_GRID_TOPIC"
    assert "CMK_EVENT_GRID_TOPIC is not an HTTPS URL." in page
    assert "This channel sends no notification; the others do." in page
    assert "Set it to an HTTPS URL." in page
    assert "canary" not in page
    assert items["CMK_EVENT_GRID_TOPIC"]["status"] == "problem"
    assert items["CMK_READ_LAG"]["status"] == "default"


async def test_unknown_setting_name_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CMK_NO_CALL_PERIODE", "canary")
    monkeypatch.setenv("CMK_DAILY_CHECK_SCHEDULE", "0 0 2 * * *")
    provide_app()

    page = await read_page()

    assert list_names(page)[0] == "CMK_NO_CALL_PERIODE"
    assert "CMK_DAILY_CHECK_SCHEDULE" not in page
    assert "The app has no setting of this name." in page
    assert "canary" not in page


async def test_page_names_tenant_host_sign_in_and_build() -> None:
    provide_app(WEBSITE_HOSTNAME="contoso-cmk.azurewebsites.net", function_key_roles=(Role.READER,))

    page = await read_page()
    build = (await call(settings_api.list_settings)).document["build"]

    for text in ("fakes", "contoso-cmk.azurewebsites.net", build):
        assert f"<dd>{text}</dd>" in page
    assert "<dd>App Service authentication and function keys (reader)</dd>" in page
    assert "Function keys have the roles reader." in page
    assert "<code>cmkflow doctor</code>" in page


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"status": "changed"}, {"CMK_NO_CALL_PERIOD"}),
        ({"search": "no_call"}, {"CMK_NO_CALL_PERIOD"}),
        ({"search": "poison message"}, {"CMK_BACKOFF_MAX_ATTEMPTS"}),
        ({"search": "no_call", "status": "default"}, set()),
    ],
)
async def test_settings_are_filtered_by_query(query: dict[str, str], found: set[str]) -> None:
    provide_app(no_call_period=timedelta(days=14))

    page = await read_page(query)

    others = {"WEBSITE_AUTH_ENABLED", "CMK_FUNCTION_KEY_ROLES", "CMK_TENANT_ID"}
    assert set(list_names(page)) - others == found
    assert ("No setting matches the filter." in page) is (not found)
    assert set(await read_items(query)) == set(list_names(page))
    assert re.search(r'href="/api/settings\?\S+" download="settings.json"', page)


async def test_invalid_settings_are_named_to_a_reader_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in {
        "WEBSITE_AUTH_ENABLED": "True",
        "CMK_NO_CALL_PERIOD": "canary",
        "CMK_ADDITIONAL_REQUIRED_TAGS": "canary",
        "CMK_BACKOFF_MAX_ATTEMPTS": "0",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("CMK_TENANT_ID", raising=False)
    browser = {"Accept": "text/html"}

    async def ask(headers: Mapping[str, str]) -> Any:
        return await call(settings_page_api.show_settings_page, headers=headers)

    page = await ask(browser | build_sign_in_header("ada@contoso.example", [Role.READER]))
    nobody = await ask(browser | build_sign_in_header("bob@contoso.example", []))
    stranger = await ask(browser)

    assert page.status == nobody.status == stranger.status == 500
    assert "Settings of the app are not valid" in page.text
    assert "CMK_NO_CALL_PERIOD: Use a duration, such as P7D" in page.text
    for name in ("CMK_TENANT_ID", "CMK_ADDITIONAL_REQUIRED_TAGS", "CMK_BACKOFF_MAX_ATTEMPTS"):
        assert f"{name}: " in page.text
        assert name not in nobody.text + stranger.text
    assert "canary" not in page.text


async def test_reader_sees_the_page_and_a_person_without_a_role_does_not() -> None:
    provide_app(function_key_roles=())
    reader = build_sign_in_header("ada@contoso.example", [Role.READER])
    nobody = build_sign_in_header("bob@contoso.example", [])

    assert 'aria-current="page">Settings</a>' in await read_page(headers=reader)
    assert (await call(settings_page_api.show_settings_page, headers=nobody)).status == 403
    assert (await call(settings_api.list_settings, headers=nobody)).status == 403


async def test_command_prints_settings_without_secrets() -> None:
    provide_app(**SECRETS, no_call_period=timedelta(days=14))
    async with serve_app() as app:
        shown = await app.run("settings", "--status", "changed")
        table = await app.run("settings", "-o", "csv")

    assert shown.exit_code == 0, shown.output
    assert re.search(r"CMK_NO_CALL_PERIOD\s+changed\s+P14D\s+P7D", shown.output)
    assert re.search(r"CMK_WEBHOOK\s+changed\s+set", shown.output)
    assert "CMK_READ_LAG" not in shown.output
    assert "canary" not in shown.output + table.output
    rows = list(csv.DictReader(io.StringIO(table.stdout)))
    assert len(rows) == len(Settings.model_fields)
