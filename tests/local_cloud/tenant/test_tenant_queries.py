import pytest

from local_cloud.tenant.core.tenant import Tenant
from local_cloud.tenant.environments.flow import SimulatedRole
from local_cloud.tenant.serving.services import SERVICES
from tests.local_cloud.tenant.tenant_world import (
    ADMIN,
    ADMIN_FLOWS,
    BAP,
    BUTTON_FLOW,
    DAILY,
    DAILY_FLOW,
    ENVIRONMENT,
    FLOW_HOST,
    HTTP_FLOW,
    MAKER,
    MAKER_FLOWS,
    ORG_API,
    UNLICENSED,
    TenantWorld,
    build_definition,
)

ARM = "https://management.azure.com"
SUBSCRIPTION = f"{ARM}/subscriptions/11111111-2222-3333-4444-555555555555"
VAULT = "https://kv-cmk.vault.azure.net"
MIGRATE = f"{FLOW_HOST.replace('Microsoft.ProcessSimple', 'Microsoft.Flow')}/environments"
OWN_FLOWS = f"{MAKER_FLOWS}/flows"
NOBODY = "c0000000-0000-4000-8000-000000000009"


def find_audience(url: str) -> str | None:
    if url.startswith(ARM):
        return f"{ARM}/"
    return "https://vault.azure.net" if url.startswith(VAULT) else None


def test_query_options_belong_to_existing_routes() -> None:
    """Options that are listed under a misspelled route would always be rejected."""
    for service in SERVICES:
        names = {route.name for route in service.routes(Tenant())}
        assert set(service.options or ()) <= names, service.name


@pytest.mark.parametrize(
    ("url", "option", "value", "code"),
    [
        (f"{ADMIN_FLOWS}/v2/flows", "$filter", "search('team')", "InvalidQueryParameter"),
        (f"{ADMIN_FLOWS}/v2/flows", "$top", "none", "InvalidQueryParameter"),
        (f"{ADMIN_FLOWS}/v2/flows", "include", "flowsInUserResourceGroup", "InvalidQueryParameter"),
        (f"{ADMIN_FLOWS}/nonCmkMigratedFlows", "exclude", "everything", "InvalidQueryParameter"),
        (f"{MAKER_FLOWS}/flows", "$filter", "search('public')", "InvalidQueryParameter"),
        (f"{MAKER_FLOWS}/flows", "draftFlow", "true", "InvalidQueryParameter"),
        (f"{ADMIN_FLOWS}/flows/{HTTP_FLOW}", "$expand", "everything", "InvalidQueryParameter"),
        (f"{ADMIN_FLOWS}/flows/{HTTP_FLOW}/runs", "$orderby", "name", "InvalidQueryParameter"),
        (f"{ADMIN_FLOWS}/flows/{HTTP_FLOW}/runs", "$filter", "code eq 1", "InvalidQueryParameter"),
        (f"{BAP}/scopes/admin/environments", "$expand", "capacity", "InvalidQueryParameter"),
        (f"{BAP}/environments/{ENVIRONMENT}", "$select", "properties.no", "InvalidQueryParameter"),
        (f"{ORG_API}/workflows", "$apply", "aggregate($count as n)", "0x80060888"),
        (f"{ORG_API}/workflows", "$skip", "1", "0x80060888"),
        (f"{ORG_API}/workflows", "$orderby", "nmae", "0x80060888"),
        (f"{ORG_API}/workflows", "$filter", "nmae eq 'x'", "0x80060888"),
        (f"{ORG_API}/solutions", "$expand", "nobody($select=name)", "0x80060888"),
        (f"{SUBSCRIPTION}/resources", "$top", "5", "InvalidQueryParameter"),
        (f"{SUBSCRIPTION}/resources", "$filter", "kind eq 'x'", "InvalidFilterInQueryString"),
        (f"{VAULT}/keys", "$filter", "enabled", "BadParameter"),
    ],
)
async def test_unsupported_query_option_is_rejected(
    world: TenantWorld, url: str, option: str, value: str, code: str
) -> None:
    """An ignored option would make the result wrong."""
    await world.post_to_trigger(await world.get_trigger_url(HTTP_FLOW))
    plain = await world.call("GET", url, audience=find_audience(url))

    answer = await world.call("GET", url, query={option: value}, audience=find_audience(url))

    assert plain.status == 200
    assert (answer.status, answer.code) == (400, code)


async def test_list_contains_solution_flows_only_on_request(world: TenantWorld) -> None:
    include = {"include": "includeSolutionCloudFlows"}
    both = include | {"exclude": "excludeSolutionCloudFlows"}

    for url in (f"{ADMIN_FLOWS}/v2/flows", f"{MAKER_FLOWS}/flows"):
        plain = await world.read_all_pages(url, who=ADMIN if "admin" in url else MAKER)
        everything = await world.read_all_pages(
            url, who=ADMIN if "admin" in url else MAKER, query=include
        )
        assert [each["name"] for each in plain] == [BUTTON_FLOW]
        assert len(everything) == 6
    contradicted = await world.read_all_pages(f"{ADMIN_FLOWS}/v2/flows", query=both)
    assert [each["name"] for each in contradicted] == [BUTTON_FLOW]


async def test_makers_search_own_and_shared_flows(world: TenantWorld) -> None:
    world.environment.flows[DAILY_FLOW].roles[UNLICENSED] = SimulatedRole.CAN_VIEW

    async def list_names(who: str, search: str = "") -> set[str]:
        query = {"include": "includeSolutionCloudFlows"}
        query |= {"$filter": f"search('{search}')"} if search else {}
        return {
            each["name"] for each in await world.read_all_pages(OWN_FLOWS, who=who, query=query)
        }

    everything = set(world.environment.flows)
    assert await list_names(MAKER) == everything
    assert await list_names(MAKER, "personal") == everything - {DAILY_FLOW}
    assert await list_names(MAKER, "team") == {DAILY_FLOW}
    assert await list_names(UNLICENSED) == await list_names(UNLICENSED, "personal") == set()
    assert await list_names(UNLICENSED, "team") == {DAILY_FLOW}


async def test_select_keeps_keys(world: TenantWorld) -> None:
    """A client needs the key of a row for its next request, whatever it selects."""
    query = {"$select": "name"}
    select = {"$select": "properties.linkedEnvironmentMetadata.instanceApiUrl"}

    rows = await world.read_all_pages(f"{ORG_API}/workflows", query=query)
    row = await world.call("GET", f"{ORG_API}/workflows({HTTP_FLOW})", query=query)
    environment = await world.call("GET", f"{BAP}/environments/{ENVIRONMENT}", query=select)

    keys = {"@odata.etag", "workflowid", "name"}
    assert all(each.keys() == keys for each in rows)
    assert row.body.keys() == keys
    assert environment.body["name"] == ENVIRONMENT
    assert environment.body["properties"] == {
        "linkedEnvironmentMetadata": {"instanceApiUrl": "https://contoso.api.crm4.dynamics.com"}
    }


async def test_expand_adds_the_connectors_of_a_flow(world: TenantWorld) -> None:
    """Without `$expand`, a connection reference has only the name of its connector."""
    reference = {
        "connectionName": "office-maker",
        "source": "Embedded",
        "id": "/providers/Microsoft.PowerApps/apis/shared_office365",
    }
    properties = {
        "displayName": "Mails",
        "definition": build_definition(DAILY),
        "connectionReferences": {"shared_office365": reference},
    }
    made = await world.call("POST", OWN_FLOWS, {"properties": properties}, who=MAKER)
    url = f"{ADMIN_FLOWS}/flows/{made.body['name']}"

    plain = await world.call("GET", url)
    expanded = await world.call(
        "GET", url, query={"$expand": "swagger,properties.connectionReferences.apiDefinition"}
    )

    of_plain, of_expanded = (
        each.body["properties"]["connectionReferences"]["shared_office365"]
        for each in (plain, expanded)
    )
    assert "apiDefinition" not in of_plain
    assert of_expanded["apiDefinition"]["name"] == "shared_office365"


async def test_expand_returns_a_lookup_with_its_own_select(world: TenantWorld) -> None:
    query = {
        "$filter": "isvisible eq true",
        "$select": "uniquename,publisherid",
        "$expand": "publisherid($select=friendlyname)",
    }

    [solution] = await world.read_all_pages(
        f"{ORG_API.replace('v9.2', 'v9.0')}/solutions", query=query
    )

    publisher = solution.pop("publisherid")
    assert solution.keys() == {"@odata.etag", "solutionid", "uniquename"}
    assert (solution["uniquename"], publisher["friendlyname"]) == ("Orders", "Default Publisher")
    assert publisher.keys() == {"publisherid", "friendlyname"}


async def test_makers_move_flows_into_a_solution_by_its_id(world: TenantWorld) -> None:
    [solution] = world.environment.get_table("solutions")
    url = f"{MIGRATE}/{ENVIRONMENT}/solutions/{solution}/migrateFlows"

    async def move(flow: str, who: str = MAKER, url: str = url) -> tuple[int, str | None]:
        answer = await world.call("POST", url, {"flowsToMigrate": [flow]}, who=who)
        return answer.status, answer.code if answer.status >= 400 else None

    not_found = (404, "FlowNotFound")
    assert await move(f"/providers/Microsoft.Flow/flows/{BUTTON_FLOW}") == not_found
    assert await move(BUTTON_FLOW, who=UNLICENSED) == not_found
    assert await move(ENVIRONMENT) == not_found
    assert await move(BUTTON_FLOW, url=url.replace(solution, NOBODY)) == (404, "SolutionNotFound")
    assert not world.environment.flows[BUTTON_FLOW].is_in_solution
    assert await move(BUTTON_FLOW) == (202, None)
    assert world.environment.flows[BUTTON_FLOW].solutions == {"Orders"}


async def test_administrator_moves_flows_into_a_named_or_the_default_solution(
    world: TenantWorld,
) -> None:
    [solution] = world.environment.get_table("solutions")
    url, body = f"{ADMIN_FLOWS}/migrateFlows", {"flowsToMigrate": [BUTTON_FLOW]}

    nowhere = await world.call("POST", url, {"flowsToMigrate": [BUTTON_FLOW, NOBODY]})
    unknown = await world.call("POST", url, body, query={"solutionId": NOBODY})
    moved = await world.call("POST", url, body, query={"solutionId": solution})

    assert (nowhere.status, nowhere.code) == (404, "FlowNotFound")
    assert (unknown.status, unknown.code) == (404, "SolutionNotFound")
    assert moved.status == 202
    assert world.environment.flows[BUTTON_FLOW].solutions == {"Orders"}


async def test_a_run_is_started_again_even_while_the_flow_is_off(world: TenantWorld) -> None:
    flow = world.environment.flows[HTTP_FLOW]
    await world.post_to_trigger(
        await world.get_trigger_url(HTTP_FLOW), x_ms_client_tracking_id="order-7"
    )
    await world.call("POST", f"{ADMIN_FLOWS}/flows/{HTTP_FLOW}/stop", {})
    histories = f"{MAKER_FLOWS}/flows/{HTTP_FLOW}/triggers/manual/histories"

    answer = await world.call("POST", f"{histories}/{flow.runs[0].name}/resubmit", {}, who=MAKER)

    assert answer.status == 202
    assert [run.client_tracking_id for run in flow.runs] == ["order-7", "order-7"]


@pytest.mark.parametrize("url", [f"{SUBSCRIPTION}/resources", f"{ADMIN_FLOWS}/v2/flows"])
async def test_unsupported_method_is_rejected_with_a_json_error(
    world: TenantWorld, url: str
) -> None:
    answer = await world.call("DELETE", url, audience=find_audience(url))

    assert (answer.status, answer.code) == (405, "MethodNotAllowed")
    assert "GET" in answer.headers["Allow"]


@pytest.mark.parametrize(
    ("ids", "column", "status"),
    [
        (500, "workflowid", 200),
        (501, "workflowid", 400),
        (420, f"workflowid{' ' * 40}", 414),
    ],
)
async def test_dataverse_limits_conditions_and_length_of_a_url(
    world: TenantWorld, ids: int, column: str, status: int
) -> None:
    """A URL may have 500 conditions and, outside a batch, 32,768 characters."""
    terms = " or ".join(f"{column} eq {HTTP_FLOW}" for _ in range(ids))

    answer = await world.call("GET", f"{ORG_API}/workflows?$filter={terms}&$select=name")

    assert answer.status == status
