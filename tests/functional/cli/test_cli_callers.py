import json
from pathlib import Path

import pytest

from cmkflow.api_client import ExitCode
from shared.bootstrap import provide
from tests.functional.cli.cli_app import CommandLine
from tests.functional.scenarios.app_calls import TRIGGERS
from tests.functional.scenarios.remediation_scenario import Scenario

URL_ID = "a16d54f586e52346f4beb14221f84c30"
SIGNATURE = "s" * 43
SECRET = "https://till.vault.azure.net/secrets/orders-url"
URL = (
    f"https://ac0f.01.environment.api.powerplatform.com/workflows/{URL_ID}"
    f"/triggers/manual/paths/invoke?api-version=1&sig={SIGNATURE}"
)


@pytest.fixture
async def scenario() -> Scenario:
    scenario = Scenario()
    scenario.driver.use_cases = TRIGGERS
    scenario.build.add_http_flow("Orders")
    scenario.build.apply_key()
    scenario.build.share_connections()
    await scenario.opt_in()
    provide(scenario.services)
    return scenario


def format_as_yaml(scenario: Scenario) -> str:
    return f"""
callers:
  - name: Till
    owner: 007
    contact: no
    flows:
      - environment_id: {scenario.build.environment.id}
        flow: Orders
        new_url_secret: {SECRET}
    max_url_length: 255
    allowed_hosts: ["*.contoso.example"]
    networks: [203.0.113.0/24, 198.51.100.7]
  - name: Kiosk
    owner: Sam
    contact: sam@contoso.example
    notification:
    flows:
      - trigger_url_id: {URL}
"""


def format_as_csv(scenario: Scenario) -> str:
    home = scenario.build.environment.id
    return (
        "name,owner,contact,environment_id,flow,trigger_url_id,new_url_secret,"
        "max_url_length,allowed_hosts,networks\n"
        f"Till,007,no,{home},Orders,,{SECRET},255,*.contoso.example,"
        "203.0.113.0/24 198.51.100.7\n"
        f'Kiosk,Sam,sam@contoso.example,,,"{URL}",,,,\n'
        f"till,,,{home},Orders,,{SECRET},,,\n"
    )


def format_as_json(scenario: Scenario) -> str:
    flow = {"environment_id": scenario.build.environment.id, "flow": "Orders"}
    flow["new_url_secret"] = SECRET
    till: dict[str, object] = {"name": "Till", "owner": "007", "contact": "no", "flows": [flow]}
    till |= {"max_url_length": 255, "allowed_hosts": ["*.contoso.example"]}
    till["networks"] = ["203.0.113.0/24", "198.51.100.7"]
    kiosk = {"name": "Kiosk", "owner": "Sam", "contact": "sam@contoso.example"}
    return json.dumps({"callers": [till, kiosk | {"flows": [{"trigger_url_id": URL_ID}]}]})


@pytest.mark.parametrize(
    ("name", "content"),
    [("c.yaml", format_as_yaml), ("c.csv", format_as_csv), ("c.json", format_as_json)],
)
async def test_each_format_declares_the_same_callers(
    scenario: Scenario, cli: CommandLine, tmp_path: Path, name: str, content: object
) -> None:
    file = tmp_path / name
    file.write_text(content(scenario))  # type: ignore[operator]  # one of the functions above

    declared = await cli.run("caller", "declare", str(file), "-o", "json")
    listed = await cli.run("caller", "list", "-o", "json")

    assert declared.exit_code == 0, declared.output
    kiosk, till = json.loads(listed.stdout)["items"]
    assert (till["name"], till["owner"], till["contact"]) == ("Till", "007", "no")
    assert (till["max_url_length"], till["allowed_hosts"]) == (255, ["*.contoso.example"])
    assert till["networks"] == ["203.0.113.0/24", "198.51.100.7/32"]
    assert [one["new_url_secret"] for one in till["flows"]] == [SECRET]
    assert kiosk["flows"][0]["trigger_url_id"] == URL_ID
    assert SIGNATURE not in declared.output + str(scenario.fakes.store.rows)


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("c.yaml", "callers: [{name: Till}, {name: Kiosk, owner: 1}]", "caller 2 (Kiosk).contact"),
        ("c.yaml", "callers: [{name: Till}, 7]", "entries of callers have no name and values: 2"),
        ("c.yaml", "callers: [{name: Till, name: Kiosk}]", "name is given twice"),
        ("c.yaml", "callers: &a [*a]", "line 1 has an alias"),
        ("c.yaml", "callers: [", "not YAML, line 1"),
        ("c.yaml", "- name: Till", "no list callers"),
        ("c.yaml", "callers: []\nversion: 1", "members beside callers: version"),
        ("c.yaml", "callers: []", "declares no caller"),
        ("c.yaml", "[" * 5000, "nested too deeply"),
        ("c.json", "{", "not JSON: line 1"),
        ("c.csv", "name,phone\nTill,1", "unknown columns: phone"),
        ("c.csv", "name,owner\nTill,Sam\n,Alex", "line 3: it has no name"),
        ("c.csv", "name,owner\nTill,Sam\ntill,Alex", "line 3: till has another owner"),
        ("c.csv", "name\nTill,Sam", "line 2: it has more values than columns"),
        ("c.csv", "name,owner\nTill,Sam", "caller 1 (Till).contact"),
    ],
)
async def test_an_error_names_the_entry(
    scenario: Scenario, cli: CommandLine, tmp_path: Path, name: str, content: str, text: str
) -> None:
    file = tmp_path / name
    file.write_text(content)

    result = await cli.run("caller", "declare", str(file))

    assert result.exit_code == ExitCode.USAGE_ERROR
    assert text in " ".join(result.output.replace("│", " ").split())
    assert await scenario.services.tables.declared_callers.read_all() == []


async def test_a_caller_is_confirmed_and_removed(
    scenario: Scenario, cli: CommandLine, tmp_path: Path
) -> None:
    file = tmp_path / "callers.yaml"
    file.write_text(format_as_yaml(scenario))
    await cli.run("caller", "declare", str(file))
    early = await cli.run("caller", "confirm", "Till", "--flow", "Orders")
    await scenario.order()
    await scenario.approve()
    provide(scenario.services)

    confirmed = await cli.run("caller", "confirm", "till", "--flow", "ORDERS")
    removed = await cli.run("caller", "remove", "Kiosk")
    missing = await cli.run("caller", "remove", "Kiosk")

    assert early.exit_code == ExitCode.NOT_FOUND
    assert "Till with a verified copy" in early.output
    assert confirmed.stdout == "Till calls the copy of Orders. 1 job is retried.\n"
    assert "Till" in removed.stdout
    assert "Kiosk" not in removed.stdout
    assert missing.exit_code == ExitCode.NOT_FOUND
    assert "cmkflow caller list" in missing.output
