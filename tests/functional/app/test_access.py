import base64
import json
import re
import runpy
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from datetime import timedelta
from urllib.parse import urlencode

import azure.functions as func
import pytest

import function_app
from functions import (
    deletions_api,
    health_api,
    kill_switch_api,
    remediation_actions_api,
    remediations_api,
)
from functions.endpoints import Endpoint, list_endpoints
from functions.forms import FORM
from functions.principals import KEY_HEADER, PRINCIPAL
from shared.bootstrap import provide
from shared.domain.principal import Role
from shared.settings import AccessSettings, Settings
from tests.fakes.runtime import OneFunctionKey
from tests.fakes.services import build_fake_settings
from tests.functional.scenarios.app_calls import OBJECT_ID, Reply, build_sign_in_header, call
from tests.functional.scenarios.remediation_scenario import Scenario

ENDPOINTS = list_endpoints()

type Handler = Callable[[func.HttpRequest], Awaitable[func.HttpResponse]]

SIGNED_IN = {"function_key_roles": ()}
ANNA, BERT = "anna@contoso.example", "bert@contoso.example"
HANDLERS: dict[str | None, Handler] = {
    builder._function.get_function_name(): builder._function.get_user_function()
    for builder in function_app.app._function_builders
}
EACH_ROUTE = pytest.mark.parametrize(
    "route",
    [one for one in ENDPOINTS.values() if one.role],
    ids=lambda one: f"{one.method} {one.path}",
)


def provide_scenario(settings: Settings) -> Scenario:
    scenario = Scenario(settings=settings)
    provide(scenario.services)
    return scenario


async def call_route(route: Endpoint, headers: dict[str, str]) -> Reply:
    identity = "a6f2c1de" if "{id}" in route.path else None
    return await call(HANDLERS[route.name], b"no JSON", id=identity, headers=headers)


@EACH_ROUTE
@pytest.mark.parametrize(
    "roles",
    [[], [Role.READER], [Role.OPERATOR], [Role.APPROVER], [Role.READER, Role.OPERATOR], Role],
    ids=lambda roles: "+".join(roles) or "none",
)
async def test_route_rejects_a_person_without_its_role(
    route: Endpoint, roles: Iterable[Role]
) -> None:
    provide_scenario(build_fake_settings(**SIGNED_IN))
    roles = list(roles)
    may = route.role in roles or (route.role is Role.READER and roles != [])

    reply = await call_route(route, build_sign_in_header(ANNA, roles))

    assert (reply.status == 403) is not may
    if not may:
        assert reply.document["type"].endswith(":forbidden")
        assert f"role {route.role}" in reply.document["detail"]
        assert f"app role {route.role}" in reply.document["fix"]


@pytest.mark.parametrize(("signs_in", "client_id"), [("True", "the-registration"), ("False", "")])
async def test_only_the_sign_in_configuration_needs_no_sign_in(
    signs_in: str, client_id: str
) -> None:
    """Confirmation links need no sign-in either; `test_confirmation_links.py` tests them."""
    by_link = {"show_confirmation_page", "confirm_by_link"}
    without_role = {one.name: one for one in ENDPOINTS.values() if one.role is None}
    assert by_link < without_role.keys()
    [route] = [one for name, one in without_role.items() if name not in by_link]
    settings = build_fake_settings(
        **SIGNED_IN, WEBSITE_AUTH_ENABLED=signs_in, sign_in_client_id="the-registration"
    )
    provide_scenario(settings)

    reply = await call(HANDLERS[route.name])

    assert (route.method, route.path) == ("GET", "sign-in-configuration")
    assert reply.status == 200
    assert reply.document == {
        "tenant_id": settings.tenant_id,
        "client_id": client_id,
        "audience": client_id,
        "cloud": "public",
    }


@EACH_ROUTE
async def test_route_answers_401_without_sign_in(route: Endpoint) -> None:
    provide_scenario(build_fake_settings(**SIGNED_IN))

    reply = await call_route(route, {})

    assert reply.status == 401
    assert reply.headers["WWW-Authenticate"] == "Bearer"
    assert reply.document["type"].endswith(":not-signed-in")
    assert "cmkflow login" in reply.document["fix"]


async def test_form_without_sign_in_shows_some_of_many_values_and_sends_all() -> None:
    provide_scenario(build_fake_settings(**SIGNED_IN))
    form = {"Content-Type": FORM, "Accept": "text/html", "Sec-Fetch-Site": "same-origin"}
    body = urlencode([("flow_ids[]", f"flow-{number}") for number in range(25)])

    reply = await call(
        remediation_actions_api.retry_remediation, body.encode(), id="abc", headers=form
    )

    assert reply.status == 401
    assert reply.headers["WWW-Authenticate"] == "Bearer"
    assert len(re.findall(r'name="flow_ids\[\]" value="flow-\d+"', reply.text)) == 25
    assert "<li>flow-19</li><li>and 5 more</li>" in reply.text


@pytest.mark.parametrize(
    "route",
    [one for one in ENDPOINTS.values() if one.method == "GET"],
    ids=lambda one: one.path,
)
async def test_content_type_of_a_get_request_is_ignored(route: Endpoint) -> None:
    """Some clients send a Content-Type with every request."""
    provide_scenario(build_fake_settings(**SIGNED_IN))
    headers = build_sign_in_header(ANNA) | {"Accept": "application/json"}

    plain = await call_route(route, headers)
    form = await call_route(route, headers | {"Content-Type": FORM})

    assert (form.status, form.media_type) == (plain.status, plain.media_type)


@EACH_ROUTE
async def test_principal_headers_are_ignored_without_app_service_authentication(
    route: Endpoint,
) -> None:
    """Without App Service authentication, any sender can write these headers."""
    provide_scenario(build_fake_settings(**SIGNED_IN, WEBSITE_AUTH_ENABLED=""))
    forged = build_sign_in_header(ANNA) | {
        "X-MS-CLIENT-PRINCIPAL-NAME": ANNA,
        "X-MS-CLIENT-PRINCIPAL-ID": "an id",
        "X-MS-CLIENT-PRINCIPAL-IDP": "aad",
        "Authorization": "Bearer token",
    }

    reply = await call_route(route, forged)

    assert reply.status == 401
    assert "App Service authentication" in reply.document["fix"]


@EACH_ROUTE
async def test_function_key_has_the_roles_of_the_setting(route: Endpoint) -> None:
    provide_scenario(
        build_fake_settings(function_key_roles=(Role.READER,), WEBSITE_AUTH_ENABLED="")
    )

    reply = await call_route(route, build_sign_in_header(ANNA))

    assert (reply.status == 403) is (route.role is not Role.READER)


async def test_signed_in_person_needs_no_function_key() -> None:
    provide_scenario(build_fake_settings(function_key_roles=(Role.READER,)))
    order = {"is_on": True, "justification": "a drill"}

    person = await call(
        kill_switch_api.set_kill_switch, order, headers=build_sign_in_header(ANNA), key=""
    )
    nobody = await call(kill_switch_api.show_kill_switch, key="")

    assert person.document["changed_by"] == ANNA
    assert nobody.status == 401
    assert nobody.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("signs_in", ["True", ""])
async def test_wrong_function_key_is_rejected(signs_in: str) -> None:
    """As in the Functions host, a key in the header has precedence over one in the query."""
    provide_scenario(
        build_fake_settings(function_key_roles=(Role.READER,), WEBSITE_AUTH_ENABLED=signs_in)
    )
    show = kill_switch_api.show_kill_switch

    in_query = await call(show, key="wrong")
    in_header = await call(show, headers={KEY_HEADER: "wrong"})
    right = await call(show, headers={KEY_HEADER: OneFunctionKey.KEY}, key="wrong")

    assert (in_query.status, in_header.status, right.status) == (401, 401, 200)
    assert in_query.document["type"].endswith(":not-signed-in")
    assert "az functionapp keys list" in in_query.document["fix"]


async def test_function_key_is_not_checked_if_no_key_has_a_role() -> None:
    provide_scenario(build_fake_settings(**SIGNED_IN))

    assert (await call(kill_switch_api.show_kill_switch)).status == 401


async def test_principal_name_of_a_request_with_function_key_is_not_recorded() -> None:
    provide_scenario(build_fake_settings(WEBSITE_AUTH_ENABLED="False"))
    order = {"is_on": True, "changed_by": "duty", "justification": "odd runs"}

    reply = await call(kill_switch_api.set_kill_switch, order, headers=build_sign_in_header(ANNA))

    assert reply.document["changed_by"] == "duty"


@pytest.mark.parametrize("said", ["", "False", "false", "0", "no", "TRUE,", "yes"])
def test_only_the_value_of_app_service_turns_authentication_on(said: str) -> None:
    """App Service sets WEBSITE_AUTH_ENABLED to `True`."""
    assert not build_fake_settings(WEBSITE_AUTH_ENABLED=said).has_app_service_authentication
    assert build_fake_settings(WEBSITE_AUTH_ENABLED="True").has_app_service_authentication


def build_principal_header(**changes: object) -> dict[str, str]:
    claims = [{"typ": OBJECT_ID, "val": "id"}, {"typ": "roles", "val": "reader"}]
    document = {"auth_typ": "aad", "claims": claims, **changes}
    return {PRINCIPAL: base64.b64encode(json.dumps(document).encode()).decode()}


@pytest.mark.parametrize(
    "header",
    [
        {PRINCIPAL: "no base64"},
        {PRINCIPAL: base64.b64encode(b"no JSON").decode()},
        {PRINCIPAL: base64.b64encode(b"[]").decode()},
        build_principal_header(auth_typ="github"),
        build_principal_header(claims=[{"typ": "roles", "val": "reader"}]),
        build_principal_header(claims="reader"),
        build_principal_header(claims=[{"typ": "roles"}]),
    ],
    ids=["bytes", "text", "list", "another provider", "nobody", "no list", "no value"],
)
async def test_invalid_principal_header_is_answered_401(header: dict[str, str]) -> None:
    provide_scenario(build_fake_settings(**SIGNED_IN))

    assert (await call(health_api.show_health, headers=header)).status == 401


async def test_unknown_role_permits_nothing() -> None:
    provide_scenario(build_fake_settings(**SIGNED_IN))
    claims = [{"typ": OBJECT_ID, "val": "id"}, {"typ": "roles", "val": "Owner"}]

    assert (
        await call(health_api.show_health, headers=build_principal_header(claims=claims))
    ).status == 403


async def test_managed_identity_is_recorded_by_its_client_id() -> None:
    """A managed identity has no name."""
    provide_scenario(build_fake_settings(**SIGNED_IN))
    claims = [
        {"typ": OBJECT_ID, "val": "id"},
        {"typ": "azp", "val": "pipeline"},
        {"typ": "roles", "val": "operator"},
    ]

    reply = await call(
        kill_switch_api.set_kill_switch,
        {"is_on": True, "changed_by": "somebody", "justification": "a drill"},
        headers=build_principal_header(claims=claims),
    )

    assert reply.document["changed_by"] == "application pipeline"


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "https://app.example.evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "https://app.example"}, 200),
        ({}, 200),
    ],
    ids=repr,
)
async def test_requests_of_pages_of_other_sites_are_rejected(
    said: dict[str, str], status: int
) -> None:
    """A browser may send the session cookie with requests of pages of other sites."""
    provide_scenario(build_fake_settings(**SIGNED_IN))
    headers = build_sign_in_header(ANNA) | {"Host": "app.example"} | said

    reply = await call(
        kill_switch_api.set_kill_switch,
        {"is_on": True, "justification": "a drill"},
        headers=headers,
    )

    assert reply.status == status


def test_app_does_not_start_with_an_unknown_role_in_the_setting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A mistyped role would otherwise be ignored unnoticed."""
    monkeypatch.setenv("CMK_FUNCTION_KEY_ROLES", "reader, everybody")

    with pytest.raises(ValueError, match="function_key_roles"):
        AccessSettings()


def test_functions_are_registered_despite_an_unknown_role(monkeypatch: pytest.MonkeyPatch) -> None:
    """The routes report the invalid setting, so they must exist."""
    monkeypatch.setenv("CMK_FUNCTION_KEY_ROLES", "everybody")

    app = runpy.run_path(str(function_app.__file__))["app"]

    names = {one._function.get_function_name() for one in app._function_builders}
    assert names == set(HANDLERS) - {"check_function_key"}


async def start_remediation_as(scenario: Scenario, by: str) -> tuple[str, dict[str, object]]:
    """Start a remediation as this person. Return its id, and the body that approves its plan."""
    scenario.build.add_http_flow("Orders")
    scenario.build.apply_key()
    await scenario.opt_in()
    order = {"mode": "apply", "environment_ids": [scenario.build.environment.id]}
    started = await call(
        remediations_api.start_remediation, order, headers=build_sign_in_header(by)
    )
    assert started.document["started_by"] == by
    identity = started.document["id"]
    await scenario.run(timedelta(minutes=30))
    provide(scenario.services)
    (plan,) = (
        await call(remediations_api.show_plan, id=identity, headers=build_sign_in_header(by))
    ).document["items"]
    return identity, {"versions": [plan["version"]]}


async def approve_as(identity: str, order: dict[str, object], by: str) -> Reply:
    return await call(
        remediation_actions_api.approve_remediation,
        order,
        id=identity,
        headers=build_sign_in_header(by),
    )


async def test_person_cannot_approve_their_own_remediation() -> None:
    scenario = provide_scenario(build_fake_settings(**SIGNED_IN))
    identity, order = await start_remediation_as(scenario, ANNA)

    own = await approve_as(identity, order, ANNA)
    other = await approve_as(identity, order, BERT)

    assert (own.status, own.document["reason_code"]) == (409, "self_approval_not_allowed")
    assert ANNA in own.document["detail"]
    assert other.status == 202
    (job,) = await scenario.services.tables.environment_jobs.read_all(identity)
    assert job.approved_by == BERT


async def test_person_cannot_schedule_deletions_of_their_own_remediation() -> None:
    scenario = provide_scenario(build_fake_settings(**SIGNED_IN))
    identity, _ = await start_remediation_as(scenario, ANNA)

    reply = await call(
        deletions_api.schedule_deletions,
        {"delete_at": "2027-01-01"},
        id=identity,
        headers=build_sign_in_header(ANNA),
    )

    assert (reply.status, reply.document["reason_code"]) == (409, "self_approval_not_allowed")


async def test_setting_for_self_approval_permits_start_and_approval_by_one_person() -> None:
    scenario = provide_scenario(build_fake_settings(**SIGNED_IN, allow_self_approval=True))
    identity, order = await start_remediation_as(scenario, ANNA)

    own = await approve_as(identity, order, ANNA)

    assert own.status == 202


async def test_any_approver_can_approve_a_remediation_that_an_event_started() -> None:
    scenario = provide_scenario(build_fake_settings(**SIGNED_IN))
    identity, order = await start_remediation_as(scenario, ANNA)
    kept = await scenario.services.tables.remediations.get("remediation", identity)
    assert kept
    nobody = replace(kept.item, started_by="", started_by_id="")
    await scenario.services.tables.remediations.replace(kept, nobody)

    reply = await approve_as(identity, order, ANNA)

    assert reply.status == 202
