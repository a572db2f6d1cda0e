"""Test data and tests of the caller kind *SharePoint*."""

import json
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import pytest

from local_cloud.tenant.external_services.sharepoint import SharePoint, seed_sharepoint
from shared.adapters.http.client import HttpService, ServiceRequest, ServiceResponse
from shared.adapters.http.json_api import FixedToken, HttpJsonApi
from shared.callers.sharepoint import LIST_SCRIPTS, READ_SCRIPT, SHAREPOINT, SharePointCallers
from shared.domain.callers.caller import Caller
from shared.domain.callers.search_position import CallerSearchPosition
from shared.domain.definitions.json_values import text_at
from shared.domain.jobs.flow_states import FlowJobState
from shared.errors import JobBlocked, NotFound, PlatformError, TokenRejected
from shared.settings import Settings
from tests.fakes.builder import Builder
from tests.fakes.tenant import FakeFlow
from tests.fakes.traffic import UrlHolder
from tests.kinds.case import CallerCase, Json, ManyPlaces, SearchRequests, WirePlaces
from tests.local_cloud.tenant.tenant_world import APP, HTTP_FLOW

if TYPE_CHECKING:
    from shared.ports import CallerKind
    from tests.contract.adapter_world import Adapters
    from tests.functional.callers.called_tenant import Tenant

KIND = SharePointCallers.kind
HOST = "contoso.sharepoint.com"
SITE = f"{HOST}/sites/sales"
LIST = "5c77031a-9621-4dfc-bb5d-57803a94e91d"
SCRIPT = "07702c07-0485-426f-b710-4704241caad9"
WEBHOOKS = f"{SITE}/_api/web/lists('{LIST}')/subscriptions"
LISTS, SCRIPTS = 9, 4


def add_webhook(build: Builder, url: str, identity: str = "w0", site: str = SITE) -> str:
    """Add a webhook to a SharePoint list. Return its path."""
    lists = f"{site}/_api/web/lists"
    build.add_json_document(SHAREPOINT, site, f"{lists}/{LIST}", {"Id": LIST, "Title": "Orders"})
    webhook = {"id": identity, "notificationUrl": url, "expirationDateTime": "2026-12-30T16:17:57Z"}
    path = f"{lists}('{LIST}')/subscriptions/{identity}"
    return build.add_json_document(SHAREPOINT, site, path, webhook)


def add_script(build: Builder, url: str) -> str:
    """Add a site script with a `triggerFlow` action. Return its path."""
    script = _describe_script(url)
    listed = script | {"Content": None}
    build.add_json_document(SHAREPOINT, SITE, f"{SITE}/{LIST_SCRIPTS}/{SCRIPT}", listed)
    return build.add_json_document(SHAREPOINT, SITE, f"{SITE}/{READ_SCRIPT}/{SCRIPT}", script)


def _describe_script(url: str) -> Json:
    action = {"verb": "triggerFlow", "url": url, "name": "Welcome", "parameters": {"event": ""}}
    content = {"$schema": "schema.json", "actions": [action], "bindata": {}, "version": 1}
    return {"Id": SCRIPT, "Title": "Team site", "Content": json.dumps(content), "Version": 1}


def _add_caller(build: Builder, *flows: FakeFlow) -> list[str]:
    paths = [add_webhook(build, build.get_trigger_url(one), f"w{n}") for n, one in enumerate(flows)]
    for path in paths:
        build.add_system(UrlHolder(name=path, read=partial(_read_url, build, path)))
    return paths


def _read_url(build: Builder, path: str) -> str:
    return text_at(build.world.json_documents[SHAREPOINT.name][path], "notificationUrl") or ""


def _describe_site(*webhooks: Json, **more: object) -> Json:
    listed = [{"Id": LIST, "Title": "Orders", "subscriptions": [*webhooks]}]
    return {"url": SITE, "owners": [APP], "lists": listed, **more}


async def _add_caller_to_tenant(app: "Adapters", url: str) -> None:
    webhook = {"id": "w0", "notificationUrl": url, "clientState": "secret"}
    seed_sharepoint(app.world.tenant, {"sites": [_describe_site(webhook)]})


def _add_many_places(seed: Json) -> None:
    lists = [{"Id": f"l{number}", "Title": "x"} for number in range(LISTS)]
    scripts = [{"Id": f"s{number}", "Title": "x", "Content": "{}"} for number in range(SCRIPTS)]
    seed["sharePoint"] = {"sites": [_describe_site(lists=lists)], "siteScripts": scripts}


def _add_places(seed: Json, url: str) -> None:
    sites = [_describe_site({"id": "w0", "notificationUrl": url})]
    seed["sharePoint"] = {"sites": sites, "siteScripts": [_describe_script(url)]}


CASE = CallerCase(
    add=_add_caller,
    remove=lambda build: build.world.json_documents.clear(),
    add_on_the_wire=_add_caller_to_tenant,
    is_by_hand=True,
    # Lists, site scripts; the webhooks of each list, and each script.
    requests=SearchRequests(
        standard=2,
        without_places=0,
        many=ManyPlaces(add=_add_many_places, requests=2 + LISTS + SCRIPTS),
    ),
    wire=WirePlaces(
        settings={"sharepoint_sites": (SITE,)},
        standard_seed={"sharePoint": {"sites": [{"url": SITE, "owners": [APP]}]}},
        add=_add_places,
        read=lambda tenant: {"sites of SharePoint": tenant.get_part(SharePoint).sites},
    ),
)


async def search_callers(kind: "CallerKind") -> tuple[list[Caller], Sequence[str], str]:
    """Search for callers. Return the callers, the sites and lists that could not be read, and what
    to do about these.
    """
    position, found, fix = CallerSearchPosition(), list[Caller](), ""
    try:
        async for caller in kind.find([], position):
            found.append(caller)
    except JobBlocked as err:
        fix = err.fix
    return found, position.unreadable, fix


async def test_webhook_has_an_instruction_with_its_reason_and_end(tenant: "Tenant") -> None:
    """SharePoint lets only the application that created a webhook change it."""
    add_webhook(tenant.builder, tenant.builder.get_trigger_url(tenant.original))

    [caller] = await tenant.list_found_callers(KIND)

    assert caller.label == f"webhook w0 of the list Orders in the SharePoint site {SITE}"
    for text in ("only the application that created", "validationtoken", "ends on 2026-12-30"):
        assert text in caller.manual_reason


async def test_site_script_has_an_instruction_with_its_id(tenant: "Tenant") -> None:
    """Only a SharePoint administrator may change a site script."""
    add_script(tenant.builder, tenant.builder.get_trigger_url(tenant.original))

    [caller] = await tenant.list_found_callers(KIND)

    assert caller.label == "site script Team site of SharePoint"
    assert f"Set-SPOSiteScript -Identity {SCRIPT}" in caller.manual_reason
    assert "SharePoint administrator" in caller.manual_reason
    assert (
        tenant.builder.get_trigger_url(tenant.original)
        in json.loads((await tenant.read(caller)).text)["actions"][0].values()
    )


async def test_site_that_rejects_the_app_does_not_hide_another(tenant: "Tenant") -> None:
    path = add_webhook(tenant.builder, tenant.builder.get_trigger_url(tenant.original))
    other = "fabrikam.sharepoint.com/sites/apart"
    tenant.world.rejecting_scopes[SHAREPOINT.name] = {other}

    found, unreadable, fix = await search_callers(tenant.kinds[KIND])

    assert [caller.address for caller in found] == [path]
    assert unreadable == [
        f"SharePoint site {other} (Http401)",
        "site scripts of fabrikam.sharepoint.com",
    ]
    assert "Sites.FullControl.All" in fix
    assert "CMK_SHAREPOINT_SITES" in fix


async def test_plan_names_webhook_site_and_what_to_do() -> None:
    from tests.functional.scenarios.remediation_scenario import Scenario
    from tests.functional.scenarios.traffic_scenario import plan_remediation

    scenario = Scenario()
    _add_caller(scenario.build, scenario.build.add_http_flow("Orders"))
    scenario.world.rejecting_scopes[SHAREPOINT.name] = {f"{HOST}/sites/apart"}

    await plan_remediation(scenario)
    findings = (await scenario.read_environment_job()).findings
    [finding] = [one for one in findings if f"of kind {KIND} is incomplete" in one]
    [planned_caller] = (await scenario.plan())["Orders"].callers
    await scenario.approve()
    blocked = await scenario.read_job("Orders")
    copy = scenario.world.get_workflow(blocked.environment_id, blocked.copy.id)
    add_webhook(scenario.build, scenario.build.get_trigger_url(copy))
    await scenario.retry()

    assert f"{HOST}/sites/apart (Http401)" in finding
    assert "remove the site from CMK_SHAREPOINT_SITES" in finding
    assert "notificationUrl" in planned_caller.manual_reason
    assert (blocked.state, blocked.reason_code) == (FlowJobState.BLOCKED, "manual_caller")
    assert "notificationUrl" in blocked.fix
    assert (await scenario.read_job("Orders")).state is FlowJobState.RETIRED


async def test_webhooks_and_site_scripts_are_found_on_all_pages(app: "Adapters") -> None:
    """Only the creator of a webhook may read it alone."""
    from tests.fakes.services import build_kinds

    url = await app.world.get_trigger_url(HTTP_FLOW)
    lists = [
        {
            "Id": f"l{n}",
            "Title": f"L{n}",
            "subscriptions": [{"id": f"w{n}", "notificationUrl": url}],
        }
        for n in range(5)
    ]
    site, scripts = _describe_site(lists=lists), [_describe_script(url)]
    seed_sharepoint(app.world.tenant, {"pageSize": 2, "sites": [site], "siteScripts": scripts})
    kind = build_kinds(app)[KIND]

    found, unreadable, _ = await search_callers(kind)
    texts = [(await kind.read(caller)).text for caller in found]
    lists[0]["subscriptions"] = []
    with pytest.raises(NotFound):
        await kind.read(next(one for one in found if one.address.endswith("/w0")))

    assert unreadable == []
    assert len(found) == 6
    assert all(url in text for text in texts)


async def test_missing_site_and_site_with_read_only_are_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An application that may only read a site cannot list the webhooks of the site."""
    from tests.contract.adapter_world import run_adapters

    async with run_adapters(monkeypatch) as app:
        url = await app.world.get_trigger_url(HTTP_FLOW)
        reader = _describe_site(url=f"{HOST}/sites/read", owners=[], readers=[APP])
        stranger = _describe_site(url=f"{HOST}/sites/strange", owners=[])
        site = _describe_site({"id": "w0", "notificationUrl": url})
        seed_sharepoint(app.world.tenant, {"sites": [reader, stranger, site]})
        assert isinstance(app.json_api, HttpJsonApi)
        names = ("missing", "read", "sales", "strange")
        monkeypatch.setattr(
            app.json_api,
            "_settings",
            Settings(tenant_id="t", sharepoint_sites=tuple(f"{HOST}/sites/{one}" for one in names)),
        )

        found, unreadable, fix = await search_callers(SharePointCallers(app.json_api))

    assert [caller.address for caller in found] == [f"{WEBHOOKS}/w0"]
    assert [text.partition(" (")[0] for text in unreadable] == [
        f"SharePoint site {HOST}/sites/missing",
        f"SharePoint site {HOST}/sites/strange",
        f"webhooks in the SharePoint site {HOST}/sites/read",
    ]
    assert "Check that the site exists" in fix


@pytest.mark.parametrize(
    ("method", "path", "audience", "status"),
    [
        ("GET", "web/lists?$filter=x", f"https://{HOST}", 400),
        ("GET", "web/lists", "https://fabrikam.sharepoint.com", 401),
        ("GET", "web/lists", "https://graph.microsoft.com", 401),
        ("GET", LIST_SCRIPTS.removeprefix("_api/"), f"https://{HOST}", 405),
    ],
)
async def test_local_tenant_is_as_strict_as_sharepoint(
    app: "Adapters", method: str, path: str, audience: str, status: int
) -> None:
    with pytest.raises((PlatformError, TokenRejected)) as raised:
        await send_request(app, method, path, audience)

    assert (raised.value.status if isinstance(raised.value, PlatformError) else 401) == status


async def test_lists_are_atom_without_the_header(app: "Adapters") -> None:
    """SharePoint returns Atom unless the `Accept` header asks for JSON."""
    assert (
        await send_request(app, "GET", "web/lists", f"https://{HOST}", "*/*")
    ).body == b"<feed/>"


async def send_request(
    app: "Adapters", method: str, path: str, audience: str, accept: str = "application/json"
) -> ServiceResponse:
    credential = FixedToken(app.world.issue_token(APP, audience))
    service = HttpService(name="SharePoint", scope="", credential=credential)
    url = f"https://{SITE}/_api/{path}"
    return await app.http.send(
        service, ServiceRequest(method=method, url=url, headers={"Accept": accept})
    )


def test_sites_are_hosts_with_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    """A browser shows such addresses, with a scheme and a final slash."""
    value = f"https://{SITE}/, fabrikam.sharepoint.us"

    monkeypatch.setenv("CMK_SHAREPOINT_SITES", value)
    assert Settings(tenant_id="t").sharepoint_sites == (SITE, "fabrikam.sharepoint.us")
