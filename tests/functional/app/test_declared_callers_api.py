import json
from datetime import timedelta
from typing import Any

import pytest

from functions import audit_api, declared_callers_api
from shared.bootstrap import provide
from shared.domain.principal import Role
from tests.functional.scenarios.app_calls import Reply, build_sign_in_header, call
from tests.functional.scenarios.remediation_scenario import Scenario

ANNA = build_sign_in_header("anna", [Role.OPERATOR])
READER = build_sign_in_header("ben", [Role.READER])
SECRET = "https://till.vault.azure.net/secrets/orders-url"
URL_ID = "A16D54F586E52346F4BEB14221F84C30"


@pytest.fixture
async def scenario() -> Scenario:
    scenario = Scenario()
    for name in ("Orders", "Orders", "Returns"):
        scenario.build.add_http_flow(name)
    provide(scenario.services)
    return scenario


def build_till(scenario: Scenario, **more: Any) -> dict[str, Any]:
    flow = {"environment_id": scenario.build.environment.id.upper(), "flow": "returns"}
    return {"name": "Till", "owner": "Alex", "contact": "alex@x.example", "flows": [flow], **more}


async def declare(*callers: dict[str, Any], headers: dict[str, str] | None = None) -> Reply:
    body = {"callers": callers}
    return await call(declared_callers_api.declare_callers, body, headers=headers or ANNA)


async def test_a_caller_is_declared_replaced_listed_and_removed(scenario: Scenario) -> None:
    returns = next(
        flow for flow in scenario.build.environment.flows.values() if flow.name == "Returns"
    )
    made = await declare(
        build_till(
            scenario,
            max_url_length=255,
            allowed_hosts=["*.Contoso.example"],
            user_agent="curl/8.5",
            networks=["203.0.113.7/24", "2001:DB8:1::/48"],
        ),
        build_till(scenario, name="Kiosk", flows=[{"trigger_url_id": URL_ID}]),
    )
    await declare(build_till(scenario, name="TILL", owner="Sam"))
    shown = await call(declared_callers_api.list_declared_callers, headers=READER)
    left = await call(declared_callers_api.remove_declared_caller, {"name": "till"}, headers=ANNA)

    assert made.status == 200
    assert made.document["items"][0]["max_url_length"] == 255
    assert made.document["items"][0]["allowed_hosts"] == ["*.contoso.example"]
    assert made.document["items"][0]["user_agent"] == "curl/8.5"
    assert made.document["items"][0]["networks"] == ["203.0.113.0/24", "2001:db8:1::/48"]
    kiosk, sam = shown.document["items"]
    assert (kiosk["name"], kiosk["flows"][0]["trigger_url_id"]) == ("Kiosk", URL_ID.lower())
    assert (sam["name"], sam["owner"], sam["max_url_length"]) == ("TILL", "Sam", None)
    assert sam["flows"][0]["environment_id"] == scenario.build.environment.id
    assert sam["flows"][0]["flow_id"] == returns.workflow_id
    assert left.document["items"] == [kiosk]


async def test_the_secret_of_a_flow_is_kept_and_can_be_replaced(scenario: Scenario) -> None:
    entry = build_till(scenario)
    entry["flows"][0]["new_url_secret"] = SECRET
    made = await declare(entry)
    entry["flows"][0]["new_url_secret"] = f"{SECRET}-2"
    replaced = await declare(entry)

    secrets = [one.document["items"][0]["flows"][0]["new_url_secret"] for one in (made, replaced)]
    assert secrets == [SECRET, f"{SECRET}-2"]


async def test_a_whole_number_may_have_a_decimal_point(scenario: Scenario) -> None:
    """JSON does not distinguish 255.0 from 255."""
    reply = await declare(build_till(scenario, max_url_length=255.0))

    assert reply.status == 200
    assert reply.document["items"][0]["max_url_length"] == 255


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"owner": ""}, "callers.1.owner"),
        ({"contact": 1}, "callers.1.contact"),
        ({"flows": []}, "callers.1.flows"),
        ({"flows": [{}]}, "callers.1.flows.0"),
        ({"flows": [{"flow": "Orders"}]}, "callers.1.flows.0"),
        ({"flows": [{"trigger_url_id": "https://x"}]}, "callers.1.flows.0.trigger_url_id"),
        (
            {"flows": [{"trigger_url_id": URL_ID, "new_url_secret": f"{SECRET}/1234"}]},
            "callers.1.flows.0.new_url_secret",
        ),
        (
            {
                "flows": [
                    {"trigger_url_id": URL_ID, "new_url_secret": "https://x.example/secrets/a"}
                ]
            },
            "callers.1.flows.0.new_url_secret",
        ),
        ({"max_url_length": 0}, "callers.1.max_url_length"),
        ({"allowed_hosts": ["https://x/"]}, "callers.1.allowed_hosts.0"),
        ({"user_agent": "curl/8.5.0 (x)"}, "callers.1.user_agent"),
        ({"networks": ["10.0.0.0/33"]}, "callers.1.networks.0"),
        ({"networks": ["10.0.0.256"]}, "callers.1.networks.0"),
        ({"phone": "1"}, "callers.1.phone"),
        ({"name": " TILL"}, ""),
    ],
)
async def test_a_wrong_entry_is_named_and_nothing_is_stored(
    scenario: Scenario, change: dict[str, Any], field: str
) -> None:
    reply = await declare(build_till(scenario), build_till(scenario, **{"name": "Other", **change}))

    shown = await call(declared_callers_api.list_declared_callers, headers=READER)
    assert reply.status == 400
    assert [one["field"] for one in reply.document["errors"]] == [field]
    assert shown.document["items"] == []


@pytest.mark.parametrize(
    ("flow", "text"),
    [
        ({"flow": "Ordrs"}, "Ordrs"),
        ({"flow": "Orders"}, "Several flows"),
        ({"environment_id": "nowhere"}, "nowhere"),
    ],
)
async def test_an_unknown_flow_names_the_callers_that_name_it(
    scenario: Scenario, flow: dict[str, str], text: str
) -> None:
    entry = build_till(scenario)
    entry["flows"][0] |= flow

    reply = await declare(
        entry, build_till(scenario, name="Fine", flows=[{"trigger_url_id": URL_ID}])
    )

    assert reply.status == 404
    assert text in reply.document["detail"]
    assert "Till" in reply.document["detail"]
    assert "Fine" not in reply.document["detail"]


async def test_a_reader_can_change_no_caller(scenario: Scenario) -> None:
    confirm = {"name": "Till", "flow": "Returns"}

    rejected = [
        await declare(build_till(scenario), headers=READER),
        await call(declared_callers_api.confirm_caller, confirm, headers=READER),
        await call(declared_callers_api.remove_declared_caller, {"name": "Till"}, headers=READER),
    ]

    assert [one.status for one in rejected] == [403, 403, 403]


async def test_what_is_not_declared_is_not_found(scenario: Scenario) -> None:
    confirm = {"name": "Kiosk", "flow": "Returns"}

    missing = [
        await call(declared_callers_api.confirm_caller, confirm, headers=ANNA),
        await call(declared_callers_api.remove_declared_caller, {"name": "Kiosk"}, headers=ANNA),
    ]

    assert [one.status for one in missing] == [404, 404]
    assert all("cmkflow caller list" in one.document["fix"] for one in missing)


async def test_the_audit_log_has_the_callers_before_and_after(scenario: Scenario) -> None:
    await declare(build_till(scenario), build_till(scenario, name="Kiosk"))
    scenario.world.clock.advance(timedelta(seconds=1))
    await declare(build_till(scenario, owner="Sam"))

    (entry,) = (await call(audit_api.list_audit, query={"limit": "1"})).document["items"]

    before, after = json.loads(entry["state_before"]), json.loads(entry["state_after"])
    assert [one["Till: owner"].partition(",")[0] for one in (before, after)] == ["Alex", "Sam"]
    assert after.keys() == {"Till: owner"}
