"""The assessment's adapters against the tenant over TLS and the tunnel."""

from collections.abc import AsyncIterator
from copy import deepcopy
from typing import Any

import pytest

from local_cloud.tenant.core.faults import Fault, FaultKind
from shared.adapters.dataverse.machine_groups import DataverseMachineGroups
from shared.adapters.dataverse.organization import DataverseOrganization
from shared.adapters.dataverse.web_api import Dataverse
from shared.adapters.entra.identity import application_credential
from shared.adapters.power_apps.canvas_app_document import flow_ids_in
from shared.adapters.power_apps.canvas_apps import PowerAppsCanvasApps
from shared.adapters.power_apps.connections import PowerAppsConnections
from shared.callers.canvas_app import CanvasAppCallers
from shared.domain.callers.caller import Caller
from shared.errors import Blocked, NotFound, Unreadable
from shared.services import AssessmentPorts
from tests.contract import adapter_world
from tests.contract.adapter_world import Adapters, adapters
from tests.contract.tenant_world import APP_CLIENT, ENVIRONMENT, HTTP_FLOW, MAKER

FIRST_APP = "d0000000-0000-4000-8000-000000000001"
TEAM = "f0000000-0000-4000-8000-000000000009"
SECOND_APP = "d0000000-0000-4000-8000-000000000002"
THIRD_APP = "d0000000-0000-4000-8000-000000000003"


def description() -> dict[str, Any]:
    """Return the seed of the adapters' tests with what an assessment reads."""
    full = deepcopy(adapter_world.description())
    environment = full["environments"][0]
    environment["connections"].append(
        {"name": "sql-maker", "api": "shared_sql", "owner": MAKER},
    )
    environment["canvasApps"] = [
        {
            "name": FIRST_APP,
            "displayName": "Requests",
            "owner": MAKER,
            "flows": [HTTP_FLOW],
        },
        {
            "name": SECOND_APP,
            "displayName": "Broken",
            "owner": MAKER,
            "flows": [HTTP_FLOW],
            "hasDocument": False,
        },
        {"name": THIRD_APP, "displayName": "Plain", "owner": MAKER},
    ]
    environment["machineGroups"] = [
        {"name": "Own machines", "managementtype": 0},
        {"name": "Night shift", "managementtype": 1},
    ]
    environment["organization"] = {"enableflowsinsolutionbydefault": True}
    return full


@pytest.fixture
async def app(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Adapters]:
    """Give all adapters on a tenant of this test's own."""
    seed = description()
    monkeypatch.setattr(adapter_world, "description", lambda: seed)
    async with adapters(monkeypatch) as made:
        yield made


@pytest.fixture
async def ports(app: Adapters) -> AsyncIterator[AssessmentPorts]:
    """Give the assessment's adapters on the same tenant."""
    credential = application_credential(APP_CLIENT)
    dataverse = Dataverse(app.http, credential)
    service = app.environments._service
    yield AssessmentPorts(
        connections=PowerAppsConnections(app.http, service),
        canvas_apps=PowerAppsCanvasApps(app.http, service),
        machine_groups=DataverseMachineGroups(dataverse),
        organization=DataverseOrganization(dataverse),
    )
    await credential.close()


async def test_connections_tell_how_they_sign_in(ports: AssessmentPorts) -> None:
    """By the connector's definition; the owner is a person's name."""
    found = {one.name: one for one in await ports.connections.list(ENVIRONMENT)}

    assert {name: one.uses_oauth for name, one in found.items()} == {
        "office-maker": True,
        "office-shared": True,
        "sql-maker": False,
    }
    assert found["sql-maker"].owner == "Maker"


async def test_a_connector_that_is_not_shown_leaves_the_answer_open(
    app: Adapters, ports: AssessmentPorts
) -> None:
    """Refused is not OAuth and not the contrary."""
    app.world.tenant.faults.add(
        Fault(route="power_apps.get_connector", kind=FaultKind.FAIL, status=403, code="Forbidden")
    )

    found = await ports.connections.list(ENVIRONMENT)

    assert None in {one.uses_oauth for one in found}


async def test_apps_name_their_flows_or_say_why_not(ports: AssessmentPorts) -> None:
    """An app without flows is left out; one without a document keeps its place, with a gap."""
    found = {one.display_name: one for one in await ports.canvas_apps.list_with_flows(ENVIRONMENT)}

    assert set(found) == {"Requests", "Broken"}
    assert HTTP_FLOW in found["Requests"].flow_ids
    assert found["Requests"].gap == ""
    assert found["Broken"].gap
    assert "sig" not in str(found)


async def test_an_app_is_read_alone_and_says_when_it_cannot_be(ports: AssessmentPorts) -> None:
    """An app without flows uses none; one without a document is unreadable, never empty."""
    apps = ports.canvas_apps

    used = (await apps.get(ENVIRONMENT, FIRST_APP)).flow_ids
    plain = (await apps.get(ENVIRONMENT, THIRD_APP)).flow_ids

    assert HTTP_FLOW in used
    assert plain == frozenset()
    with pytest.raises(Unreadable):
        await apps.get(ENVIRONMENT, SECOND_APP)
    with pytest.raises(NotFound):
        await apps.get(ENVIRONMENT, "strange")


async def test_a_search_for_callers_finds_apps_and_names_those_it_cannot_read(
    app: Adapters, ports: AssessmentPorts
) -> None:
    """An app is a caller for its maker; the one without a document ends the search as a gap."""
    kind = CanvasAppCallers(ports.canvas_apps)
    environment = await app.environment()
    found: list[Caller] = []

    async def search() -> None:
        async for caller in kind.find([environment]):
            found.append(caller)  # noqa: PERF401 -- what came before the error counts

    with pytest.raises(Blocked, match="Broken"):
        await search()

    callers = {one.address: one for one in found if HTTP_FLOW in one.child_flow_ids}
    caller = callers[f"{ENVIRONMENT}/{FIRST_APP}"]
    assert "Studio" in caller.manual
    assert HTTP_FLOW in (await kind.read(caller)).text


async def test_only_hosted_groups_are_named(app: Adapters, ports: AssessmentPorts) -> None:
    """Groups of a customer's own machines have nothing to provision again."""
    environment = await app.environment()

    assert await ports.machine_groups.hosted(environment) == ["Night shift"]
    assert await ports.organization.creates_flows_in_solutions(environment) is True


async def test_people_and_teams_are_named_by_their_rows(
    app: Adapters, ports: AssessmentPorts
) -> None:
    """A strange id is left out."""
    environment = await app.environment()
    row = app.world.environment.users[MAKER]["systemuserid"]

    team = app.world.environment.table("teams")
    team[TEAM] = {"teamid": TEAM, "name": "Integration", "versionnumber": 1}

    names = await ports.organization.names(environment, [row, TEAM, SECOND_APP])

    assert names == {row: "Maker", TEAM: "Integration"}


async def test_an_environment_that_is_strange_is_refused(ports: AssessmentPorts) -> None:
    """The adapter passes the platform's word on."""
    with pytest.raises(NotFound):
        await ports.connections.list("strange")


def test_a_document_that_is_none_is_unreadable() -> None:
    """Whatever bytes come, the error says no more than that."""
    with pytest.raises(Unreadable):
        flow_ids_in(b"PK\x03\x04 no archive")
