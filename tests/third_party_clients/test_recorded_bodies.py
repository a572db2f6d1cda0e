"""Test the adapters with every recorded body of the platform as the answer to each of their
requests.

If the body is an answer to the request, the adapter returns a result. Otherwise it returns a result
or raises one of the app's own errors. `FLOW_CORPUS` names the folder with the bodies.
"""

import json
import os
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from azure.core.rest import HttpRequest

from shared.adapters.dataverse.connection_references import DataverseConnectionReferences
from shared.adapters.dataverse.environment_variables import DataverseEnvironmentVariables
from shared.adapters.dataverse.machine_groups import DataverseMachineGroups
from shared.adapters.dataverse.organization import DataverseOrganization
from shared.adapters.dataverse.principals import DataversePrincipalDirectory
from shared.adapters.dataverse.sharing import DataverseSharing
from shared.adapters.dataverse.solutions import DataverseSolutions
from shared.adapters.dataverse.web_api import Dataverse
from shared.adapters.dataverse.workflows import DataverseWorkflows
from shared.adapters.entra.no_service_account import NoServiceAccount
from shared.adapters.flow_service.access import FlowServiceAccountFlows
from shared.adapters.flow_service.flows import FlowServiceReports
from shared.adapters.flow_service.service import FlowService
from shared.adapters.http.client import HttpClient, HttpService
from shared.adapters.power_apps.canvas_apps import PowerAppsCanvasApps
from shared.adapters.power_apps.connections import PowerAppsConnections
from shared.adapters.power_platform import PowerPlatformAdmin
from shared.adapters.system_clock import SystemClock
from shared.domain.clouds import PUBLIC
from shared.domain.environment import Environment
from shared.errors import CmkflowError
from tests.unit.adapter_wire import (
    FixedEndpoint,
    NumberedCredential,
    Scripted,
    ScriptedResponse,
    ScriptedTransport,
)

pytestmark = [
    pytest.mark.corpus,
    pytest.mark.skipif("FLOW_CORPUS" not in os.environ, reason="FLOW_CORPUS is not set"),
]

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
ENVIRONMENT = Environment(
    id="e",
    display_name="e",
    geography="europe",
    region="westeurope",
    sku="Production",
    is_managed=True,
    is_enabled=True,
    policy=None,
    dataverse_url="https://org.api.crm4.dynamics.com",
)
SOLUTION = "50000000-0000-4000-8000-000000000001"


class OneAnswer(ScriptedTransport):
    """A transport that returns one given answer, and then empty lists."""

    async def send(self, request: HttpRequest, **_: Any) -> Any:
        self.requests.append(request)
        answer = self.answers.pop(0) if self.answers else Scripted(body={"value": []})
        assert isinstance(answer, Scripted)
        return ScriptedResponse(request, answer)


class Adapters:
    """The adapters for Power Platform, whose first request gets the given answer."""

    def __init__(self, answer: Scripted) -> None:
        self.http = HttpClient(OneAnswer(answer))
        self.service = HttpService(
            name="x", scope="https://x/.default", credential=NumberedCredential()
        )
        self.flow_service = FlowService(self.http, self.service, FixedEndpoint(), PUBLIC)
        self.environments = PowerPlatformAdmin(self.http, self.service, SystemClock(), PUBLIC)
        self.dataverse = Dataverse(self.http, NumberedCredential())


type Question = Callable[[Adapters], Awaitable[object]]

QUESTIONS: dict[str, Question] = {
    "environments": lambda of: of.environments.list(),
    "environment": lambda of: of.environments.get("e"),
    "flows": lambda of: FlowServiceReports(of.flow_service).list_flows("e"),
    "flow": lambda of: FlowServiceReports(of.flow_service).get_flow("e", "f"),
    "runs": lambda of: FlowServiceReports(of.flow_service).read_runs("e", "f", since=LONG_AGO),
    "permissions": lambda of: FlowServiceAccountFlows(
        of.flow_service, of.flow_service, NoServiceAccount()
    ).read_permissions("e", "f"),
    "connections": lambda of: PowerAppsConnections(of.http, of.service, PUBLIC).list("e"),
    "apps": lambda of: PowerAppsCanvasApps(of.http, of.service, PUBLIC).list_with_flows("e"),
    "workflows": lambda of: DataverseWorkflows(of.dataverse).get(ENVIRONMENT, "f"),
    "references": lambda of: DataverseConnectionReferences(of.dataverse).get(ENVIRONMENT, "r"),
    "variables": lambda of: DataverseEnvironmentVariables(of.dataverse).list(ENVIRONMENT),
    "groups": lambda of: DataverseMachineGroups(of.dataverse).read_hosted_groups(ENVIRONMENT),
    "organization": lambda of: DataverseOrganization(of.dataverse).read_solution_setting(
        ENVIRONMENT
    ),
    "users": lambda of: DataversePrincipalDirectory(of.dataverse).read_users(ENVIRONMENT, ["u"]),
    "application": lambda of: DataversePrincipalDirectory(of.dataverse).read_application_user(
        ENVIRONMENT
    ),
    "shares": lambda of: DataverseSharing(of.dataverse).list(ENVIRONMENT, "f"),
    "solutions": lambda of: DataverseSolutions(of.dataverse).get(ENVIRONMENT, [SOLUTION]),
}


def read_bodies() -> Iterator[tuple[str, Any]]:
    """Yield every recorded body with its name.

    A bare list is the output of a command line, so it is put into an answer.
    """
    folder = Path(os.environ["FLOW_CORPUS"]) / "api"
    for file in sorted(folder.rglob("*.json")):
        body = json.loads(file.read_text(encoding="utf-8"))
        yield str(file.relative_to(folder)), {"value": body} if isinstance(body, list) else body


def find_question(body: Mapping[str, Any]) -> str | None:
    """Return the name of the request that a body answers, according to the type in it, or None."""
    listed = body.get("value")
    items = listed if isinstance(listed, list) else [body]
    first = next((each for each in items if isinstance(each, dict)), {})
    kind, place = str(first.get("type")).lower(), str(first.get("id")).lower()
    of_one = "name" in first
    if kind.startswith("microsoft.businessappplatform/") and kind.endswith("environments"):
        return "environments" if listed is not None else "environment" if of_one else None
    if "/flows/" in place and kind in ("none", "microsoft.processsimple/environments/flows"):
        whole = "definition" in first.get("properties", {})
        return "flows" if listed is not None else "flow" if whole else None
    return (
        {
            "microsoft.processsimple/environments/flows/runs": "runs",
            "/providers/microsoft.processsimple/environments/flows/permissions": "permissions",
            "microsoft.powerapps/apis/connections": "connections",
            "microsoft.powerapps/apps": "apps",
        }.get(kind)
        if listed is not None
        else None
    )


async def ask_question(question: Question, answer: Scripted) -> CmkflowError | object:
    """Make a request with an adapter. Return its result, or the error of the app that it raises."""
    try:
        return await question(Adapters(answer))
    except CmkflowError as error:
        return error


async def test_every_recorded_body_is_parsed_or_raises_an_app_error() -> None:
    read: Counter[str] = Counter()
    for name, body in read_bodies():
        wanted = find_question(body)
        for title, question in QUESTIONS.items():
            made = await ask_question(question, Scripted(body=body))
            if title == wanted:
                assert not isinstance(made, CmkflowError), f"{name}: {made}"
                read[title] += 1

    least = Counter(
        environment=144, environments=18, flows=7, runs=3, flow=2, permissions=2,
        connections=1, apps=3,
    )  # fmt: skip
    assert read >= least


async def test_error_for_a_recorded_rejection_has_the_platforms_code() -> None:
    """This code selects the fix that a person sees."""
    refusals = [(name, body["error"]) for name, body in read_bodies() if "error" in body]

    for name, error in refusals:
        for title, question in QUESTIONS.items():
            made = await ask_question(question, Scripted(status=400, body={"error": error}))
            assert isinstance(made, CmkflowError), f"{name}: {title} made {made}"
            assert error["code"] in str(made), f"{name}: {title}: {made}"
    assert len(refusals) >= 9
