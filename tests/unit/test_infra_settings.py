import json
import re

import pytest

from shared.settings import SCHEDULES, Settings, find_unknown_settings, get_setting_name
from tests.unit.deployed import INFRA, ROOT, find_resources, parse_members, split_arguments

#: Settings that name other resources, whose names only the template knows.
PLACES = {
    "tenant_id",
    "subscription_ids",
    "client_id",
    "service_account_client_id",
    "sign_in_client_id",
    "service_account_token_cache_secret",
    "evidence_key",
    "insights_connection",
    "service_bus_namespace",
    "storage_account",
    "trigger_url_vault",
}
#: Settings for a folder as store and a connection string, which no deployment uses.
#: Variables that App Service sets.
BY_AZURE = {"website_host", "website_auth_enabled"}
NOT_IN_AZURE = {"service_bus_connection", "state_folder", "archive_key"} | BY_AZURE


def sample_settings() -> dict[str, str]:
    """Return the settings of `local.settings.sample.json`, with which a local host starts."""
    document = json.loads((ROOT / "local.settings.sample.json").read_text())
    values: dict[str, str] = document["Values"]
    return values


def find_schedules() -> set[str]:
    return set(re.findall(r'schedule="%(\w+)%"', (ROOT / "functions/timers.py").read_text()))


def read_tunables() -> dict[str, str]:
    """Return the expression for the value of each setting that the azd environment may set."""
    document = json.loads((INFRA / "main.parameters.json").read_text())
    values: dict[str, str] = document["parameters"]["tunables"]["value"]
    return values


def read_app_settings() -> list[str]:
    """Return the sets of settings that the template unites. Of a repeated setting, the last value
    counts.
    """
    [settings] = [
        one
        for one in find_resources("Microsoft.Web/sites/config")
        if one["name"].endswith("/appsettings")
    ]
    union = settings["properties"]
    assert union.startswith("[union(")
    return split_arguments(union[1:-1])


def read_template_settings() -> dict[str, str]:
    return parse_members(read_app_settings()[0])


def test_every_tunable_survives_the_next_deployment() -> None:
    """A deployment replaces all settings of the app."""
    fields = set(Settings.model_fields) - PLACES - NOT_IN_AZURE

    assert set(read_tunables()) == {get_setting_name(field) for field in fields} | find_schedules()


def test_tunable_has_its_documented_name_in_azd() -> None:
    """azd sets no default, so the default of the code applies."""
    assert read_tunables() == {name: f"${{{name}=}}" for name in read_tunables()}
    documented = re.findall(r"`([A-Z]\w+)`", (ROOT / "docs/settings.md").read_text())
    assert set(read_tunables()) <= set(documented)


def test_value_of_the_azd_environment_overrides_the_schedule_of_the_template() -> None:
    """Empty values are removed, so that the default of the template or of the code applies."""
    chosen = read_app_settings()[-1]

    assert chosen.startswith("toObject(filter(items(parameters('tunables')), ")
    assert "not(empty(lambdaVariables('tunable').value))" in chosen


def test_no_snapshot_and_no_deployment_keeps_the_value_of_a_setting() -> None:
    """A setting may be a secret, such as the URL of a webhook."""
    for path in ("main.bicep", "modules/function-app.bicep"):
        source = (INFRA / path).read_text()
        [decorators] = re.findall(r"((?:^@.*\n)*)^param tunables ", source, re.MULTILINE)
        assert decorators.startswith("@secure()\n"), path
    everything = (INFRA / "snapshots" / "everything.bicepparam").read_text()
    [webhook] = re.findall(r"CMK_TEAMS_WEBHOOK: '(.+)'", everything)
    for snapshot in (INFRA / "snapshots").glob("*.snapshot.json"):
        assert webhook not in snapshot.read_text(), snapshot.name


def test_app_knows_each_name_that_a_deployment_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    """The Settings page reports unknown names, which may be misspelled."""
    for name in {
        *read_tunables(),
        *read_template_settings(),
        *find_schedules(),
        *sample_settings(),
    }:
        monkeypatch.setenv(name, "x")

    assert find_schedules() == set(SCHEDULES)
    assert find_unknown_settings() == []
    monkeypatch.setenv("CMK_READ_LAGS", "x")
    assert find_unknown_settings() == ["CMK_READ_LAGS"]


def test_template_sets_every_required_setting() -> None:
    """An administrator need not set anything for the app to start."""
    ours = {name for name in read_template_settings() if name.startswith("CMK_")}
    ours |= {
        "ServiceBusConnection__fullyQualifiedNamespace",
        "APPLICATIONINSIGHTS_CONNECTION_STRING",
    } & set(read_template_settings())

    assert ours == {get_setting_name(field) for field in PLACES}


def test_deployed_schedules_equal_those_of_the_timers_and_of_the_sample() -> None:
    """If the setting of a timer is missing, the whole app does not start."""
    deployed = parse_members(read_app_settings()[1])
    sample = {name: value for name, value in sample_settings().items() if name in deployed}

    assert set(deployed) == find_schedules()
    assert deployed == sample


def test_settings_of_the_host_are_documented() -> None:
    """The code does not know the settings that only the host reads."""
    page = (ROOT / "docs/settings.md").read_text().partition("## Read by the Functions host")[2]
    hosts = set(read_template_settings()) - {get_setting_name(field) for field in PLACES}

    assert hosts <= set(re.findall(r"`([^`]+)`", page))


def test_only_the_host_sends_logs() -> None:
    """If the worker sent logs, the host would drop the log lines that the alerts read."""
    host = json.loads((ROOT / "host.json").read_text())

    assert "telemetryMode" not in host
    assert not {"PYTHON_ENABLE_OPENTELEMETRY", "PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY"} & set(
        read_template_settings()
    )
