"""Access to each route: for each role, without a sign-in, and with forged identities."""

import base64
import json
import re
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
from tests.fakes.function_keys import OneFunctionKey
from tests.fakes.services import fake_settings
from tests.functional.scenarios.app_calls import OBJECT_ID, Reply, call, signed_in
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


def at(settings: Settings) -> Scenario:
    """Return a scenario in which the app has these settings."""
    scenario = Scenario(settings=settings)
    provide(scenario.services)
    return scenario


async def ask(route: Endpoint, headers: dict[str, str]) -> Reply:
    """Call a route about an existing environment, with a body that is no JSON."""
    identity = "a6f2c1de" if "{id}" in route.path else None
    return await call(HANDLERS[route.name], b"no JSON", id=identity, headers=headers)


@EACH_ROUTE
@pytest.mark.parametrize(
    "roles",
    [[], [Role.READER], [Role.OPERATOR], [Role.APPROVER], [Role.READER, Role.OPERATOR], Role],
    ids=lambda roles: "+".join(roles) or "none",
)
async def test_a_route_answers_to_its_role_alone(route: Endpoint, roles: Iterable[Role]) -> None:
    """The route rejects a person without its role. Any role may read."""
    at(fake_settings(**SIGNED_IN))
    roles = list(roles)
    may = route.role in roles or (route.role is Role.READER and roles != [])

    reply = await ask(route, signed_in(ANNA, roles))

    assert (reply.status == 403) is not may
    if not may:
        assert reply.document["type"].endswith(":forbidden")
        assert f"role {route.role}" in reply.document["detail"]
        assert f"app role {route.role}" in reply.document["fix"]


@pytest.mark.parametrize(("signs_in", "client_id"), [("True", "the-registration"), ("False", "")])
async def test_only_the_sign_in_configuration_needs_no_sign_in(
    signs_in: str, client_id: str
) -> None:
    """The answer has only what the sign-in page shows, and no client id while sign-in is off."""
    [route] = [one for one in ENDPOINTS.values() if one.role is None]
    settings = fake_settings(
        **SIGNED_IN, WEBSITE_AUTH_ENABLED=signs_in, sign_in_client_id="the-registration"
    )
    at(settings)

    reply = await call(HANDLERS[route.name])

    assert (route.method, route.path) == ("GET", "sign-in-configuration")
    assert reply.status == 200
    assert reply.document == {
        "tenant_id": settings.tenant_id,
        "client_id": client_id,
        "audience": client_id,
    }


@EACH_ROUTE
async def test_no_route_answers_nobody(route: Endpoint) -> None:
    """A request of somebody who is not signed in is answered with 401."""
    at(fake_settings(**SIGNED_IN))

    reply = await ask(route, {})

    assert reply.status == 401
    assert reply.headers["WWW-Authenticate"] == "Bearer"
    assert reply.document["type"].endswith(":not-signed-in")
    assert "cmkflow login" in reply.document["fix"]


async def test_a_kept_form_shows_some_of_many_values_and_keeps_all() -> None:
    """The page shows 20 of 25 values, and the form sends all of them again."""
    at(fake_settings(**SIGNED_IN))
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
async def test_a_get_with_the_content_type_of_a_form_is_a_get(route: Endpoint) -> None:
    """Some clients send a Content-Type with every request, so the app ignores it for a GET."""
    at(fake_settings(**SIGNED_IN))
    headers = signed_in(ANNA) | {"Accept": "application/json"}

    plain = await ask(route, headers)
    form = await ask(route, headers | {"Content-Type": FORM})

    assert (form.status, form.media_type) == (plain.status, plain.media_type)


@EACH_ROUTE
async def test_forged_headers_count_for_nothing_where_the_platform_does_not_sign_in(
    route: Endpoint,
) -> None:
    """Without App Service authentication, a sender can write these headers, so they are ignored."""
    at(fake_settings(**SIGNED_IN, WEBSITE_AUTH_ENABLED=""))
    forged = signed_in(ANNA) | {
        "X-MS-CLIENT-PRINCIPAL-NAME": ANNA,
        "X-MS-CLIENT-PRINCIPAL-ID": "an id",
        "X-MS-CLIENT-PRINCIPAL-IDP": "aad",
        "Authorization": "Bearer token",
    }

    reply = await ask(route, forged)

    assert reply.status == 401
    assert "App Service authentication" in reply.document["fix"]


@EACH_ROUTE
async def test_a_function_key_may_do_what_a_setting_says(route: Endpoint) -> None:
    """The key has the role reader of the setting, whatever the headers claim."""
    at(fake_settings(function_key_roles=(Role.READER,), WEBSITE_AUTH_ENABLED=""))

    reply = await ask(route, signed_in(ANNA))

    assert (reply.status == 403) is (route.role is not Role.READER)


async def test_who_is_signed_in_needs_no_key() -> None:
    """A signed-in person acts with their own name and roles, also where keys are allowed."""
    at(fake_settings(function_key_roles=(Role.READER,)))
    order = {"is_on": True, "justification": "a drill"}

    person = await call(kill_switch_api.set_kill_switch, order, headers=signed_in(ANNA), key="")
    nobody = await call(kill_switch_api.show_kill_switch, key="")

    assert person.document["changed_by"] == ANNA
    assert nobody.status == 401
    assert nobody.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("signs_in", ["True", ""])
async def test_a_key_that_the_host_does_not_accept_opens_nothing(signs_in: str) -> None:
    """A wrong key is rejected, in header and query. As in the host, the header has precedence."""
    at(fake_settings(function_key_roles=(Role.READER,), WEBSITE_AUTH_ENABLED=signs_in))
    show = kill_switch_api.show_kill_switch

    in_query = await call(show, key="wrong")
    in_header = await call(show, headers={KEY_HEADER: "wrong"})
    right = await call(show, headers={KEY_HEADER: OneFunctionKey.KEY}, key="wrong")

    assert (in_query.status, in_header.status, right.status) == (401, 401, 200)
    assert in_query.document["type"].endswith(":not-signed-in")
    assert "az functionapp keys list" in in_query.document["fix"]


async def test_a_key_is_not_looked_at_where_none_counts() -> None:
    """If no key has a role, the app does not check the key."""
    at(fake_settings(**SIGNED_IN))

    assert (await call(kill_switch_api.show_kill_switch)).status == 401


async def test_a_forged_name_is_not_written_down() -> None:
    """With a function key, the recorded name is the one in the body."""
    at(fake_settings(WEBSITE_AUTH_ENABLED="False"))
    order = {"is_on": True, "changed_by": "duty", "justification": "odd runs"}

    reply = await call(kill_switch_api.set_kill_switch, order, headers=signed_in(ANNA))

    assert reply.document["changed_by"] == "duty"


@pytest.mark.parametrize("said", ["", "False", "false", "0", "no", "TRUE ", "yes"])
def test_only_the_word_of_the_platform_lets_its_headers_count(said: str) -> None:
    """App Service writes `True`. No other value turns authentication on."""
    assert not fake_settings(WEBSITE_AUTH_ENABLED=said).platform_signs_in
    assert fake_settings(WEBSITE_AUTH_ENABLED="True").platform_signs_in


def principal(**changes: object) -> dict[str, str]:
    """Return the header of a reader, with these changes."""
    claims = [{"typ": OBJECT_ID, "val": "id"}, {"typ": "roles", "val": "reader"}]
    document = {"auth_typ": "aad", "claims": claims, **changes}
    return {PRINCIPAL: base64.b64encode(json.dumps(document).encode()).decode()}


@pytest.mark.parametrize(
    "header",
    [
        {PRINCIPAL: "no base64"},
        {PRINCIPAL: base64.b64encode(b"no JSON").decode()},
        {PRINCIPAL: base64.b64encode(b"[]").decode()},
        principal(auth_typ="github"),
        principal(claims=[{"typ": "roles", "val": "reader"}]),
        principal(claims="reader"),
        principal(claims=[{"typ": "roles"}]),
    ],
    ids=["bytes", "text", "list", "another provider", "nobody", "no list", "no value"],
)
async def test_a_principal_that_cannot_be_told_is_nobody(header: dict[str, str]) -> None:
    """An invalid header, or one of another provider, is a request of nobody."""
    at(fake_settings(**SIGNED_IN))

    assert (await call(health_api.show_health, headers=header)).status == 401


async def test_roles_of_others_are_none() -> None:
    """A role that the app does not know permits nothing, not even to read."""
    at(fake_settings(**SIGNED_IN))
    claims = [{"typ": OBJECT_ID, "val": "id"}, {"typ": "roles", "val": "Owner"}]

    assert (await call(health_api.show_health, headers=principal(claims=claims))).status == 403


async def test_a_machine_is_known_by_its_application() -> None:
    """A managed identity has no name, so the recorded name contains its client id."""
    at(fake_settings(**SIGNED_IN))
    claims = [
        {"typ": OBJECT_ID, "val": "id"},
        {"typ": "azp", "val": "pipeline"},
        {"typ": "roles", "val": "operator"},
    ]

    reply = await call(
        kill_switch_api.set_kill_switch,
        {"is_on": True, "changed_by": "somebody", "justification": "a drill"},
        headers=principal(claims=claims),
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
async def test_a_page_of_another_site_changes_nothing(said: dict[str, str], status: int) -> None:
    """The browser sends the session cookie also with the requests of pages of other sites.

    A page can send JSON without a Content-Type, or no body. Older browsers send only the origin.
    """
    at(fake_settings(**SIGNED_IN))
    headers = signed_in(ANNA) | {"Host": "app.example"} | said

    reply = await call(
        kill_switch_api.set_kill_switch,
        {"is_on": True, "justification": "a drill"},
        headers=headers,
    )

    assert reply.status == status


def test_a_role_that_there_is_not_keeps_the_app_from_starting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A mistyped role in the setting must not grant or deny access unnoticed."""
    monkeypatch.setenv("CMK_FUNCTION_KEY_ROLES", "reader, everybody")

    with pytest.raises(ValueError, match="function_key_roles"):
        AccessSettings()


async def ordered(scenario: Scenario, by: str) -> tuple[str, dict[str, object]]:
    """Start a remediation as this person, and return its id and the body of its approval."""
    scenario.build.http_flow("Orders")
    scenario.build.link()
    await scenario.opt_in()
    order = {"mode": "apply", "environment_ids": [scenario.build.environment.id]}
    started = await call(remediations_api.start_remediation, order, headers=signed_in(by))
    assert started.document["started_by"] == by
    identity = started.document["id"]
    await scenario.run(timedelta(minutes=30))
    provide(scenario.services)
    (plan,) = (await call(remediations_api.show_plan, id=identity, headers=signed_in(by))).document[
        "items"
    ]
    return identity, {"versions": [plan["version"]]}


async def test_nobody_approves_their_own_order() -> None:
    """The person who started the remediation may not approve it; another approver may."""
    scenario = at(fake_settings(**SIGNED_IN))
    identity, order = await ordered(scenario, ANNA)

    own = await call(
        remediation_actions_api.approve_remediation, order, id=identity, headers=signed_in(ANNA)
    )
    other = await call(
        remediation_actions_api.approve_remediation, order, id=identity, headers=signed_in(BERT)
    )

    assert (own.status, own.document["reason_code"]) == (409, "self_approval_not_allowed")
    assert ANNA in own.document["detail"]
    assert other.status == 202
    (job,) = await scenario.services.tables.environment_jobs.all(identity)
    assert job.approved_by == BERT


async def test_nobody_orders_the_delete_of_originals_of_their_own_order() -> None:
    """The person who started a remediation may not schedule the deletion of its originals."""
    scenario = at(fake_settings(**SIGNED_IN))
    identity, _ = await ordered(scenario, ANNA)

    reply = await call(
        deletions_api.schedule_deletions,
        {"delete_at": "2027-01-01"},
        id=identity,
        headers=signed_in(ANNA),
    )

    assert (reply.status, reply.document["reason_code"]) == (409, "self_approval_not_allowed")


async def test_a_setting_lets_one_administrator_do_both() -> None:
    """With the setting for self-approval, one person may start and approve."""
    scenario = at(fake_settings(**SIGNED_IN, allow_self_approval=True))
    identity, order = await ordered(scenario, ANNA)

    own = await call(
        remediation_actions_api.approve_remediation, order, id=identity, headers=signed_in(ANNA)
    )

    assert own.status == 202


async def test_what_an_event_ordered_is_approved_by_anybody_with_the_role() -> None:
    """No person started the remediation, so any approver may approve it."""
    scenario = at(fake_settings(**SIGNED_IN))
    identity, order = await ordered(scenario, ANNA)
    kept = await scenario.services.tables.remediations.get("remediation", identity)
    assert kept
    nobody = replace(kept.item, started_by="", started_by_id="")
    await scenario.services.tables.remediations.replace(kept, nobody)

    reply = await call(
        remediation_actions_api.approve_remediation, order, id=identity, headers=signed_in(ANNA)
    )

    assert reply.status == 202
