"""How people sign in where it is deployed: App Service authentication, and no secret."""

import importlib.util
import json
import re
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import ModuleType
from typing import Any

import pytest

from shared.domain.principal import Role
from tests.unit.deployed import INFRA, ROOT, outputs, resources

ENVIRON = {
    "AZURE_ENV_NAME": "prod",
    "CMKFLOW_API": "https://func-x.azurewebsites.net",
    "CMKFLOW_TENANT_ID": "tenant",
    "CMK_PRINCIPAL_ID": "the-identity",
}
NAME = "applications(uniqueName='cmkflow-prod')"


def hooks() -> ModuleType:
    """Return the hooks, a script that stands beside the template."""
    spec = importlib.util.spec_from_file_location("sign_in", INFRA / "register_sign_in.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Graph:
    """Microsoft Graph, as far as the hooks call it: a PATCH makes what is missing, and merges."""

    def __init__(self, **applications: str) -> None:
        """`applications`: client ids by name."""
        self.kept: dict[str, dict[str, Any]] = {
            f"applications(uniqueName='{name.replace('_', '-')}')": {"appId": client_id}
            for name, client_id in applications.items()
        }

    def __call__(self, method: str, path: str, body: Mapping[str, Any] | None) -> Any:
        """Answer a call."""
        if method == "GET":
            return self.kept.get(path)
        there = self.kept.setdefault(path, {"appId": f"client-{len(self.kept)}"})
        there.update(body or {})
        return None


def test_the_registration_has_the_roles_that_the_app_knows() -> None:
    """For people and for machines; no role, no token; no secret anywhere."""
    graph = Graph()

    client_id = hooks().register(graph, ENVIRON)

    found = graph.kept[NAME]
    assert client_id == found["appId"]
    assert {one["value"] for one in found["appRoles"]} == set(Role)
    assert {kind for one in found["appRoles"] for kind in one["allowedMemberTypes"]} == {
        "User",
        "Application",
    }
    assert len({one["id"] for one in found["appRoles"]}) == len(Role)
    assert graph.kept[f"servicePrincipals(appId='{client_id}')"]["appRoleAssignmentRequired"]
    assert not {"passwordCredentials", "keyCredentials"} & set(found)


def test_the_hooks_may_be_repeated() -> None:
    """The same ids each time: assignments of roles survive a deployment."""
    graph, script = Graph(), hooks()
    for _ in range(2):
        client_id = script.register(graph, ENVIRON)
        before = json.dumps(graph.kept, sort_keys=True)
        assert script.connect(graph, ENVIRON)
        after = json.dumps(graph.kept, sort_keys=True)

    assert before == after
    web = graph.kept[NAME]["web"]
    assert web["redirectUris"] == ["https://func-x.azurewebsites.net/.auth/login/aad/callback"]
    trusted = graph.kept[f"{NAME}/federatedIdentityCredentials(name='app-service')"]
    assert trusted["subject"] == "the-identity"
    assert trusted["issuer"] == "https://login.microsoftonline.com/tenant/v2.0"
    assert client_id == graph.kept[NAME]["appId"]


def test_a_registration_that_was_made_by_hand_is_left_alone() -> None:
    """Whoever may deploy need not be able to register applications."""
    environ = ENVIRON | {"CMK_SIGN_IN_CLIENT_ID": "made-by-hand"}
    graph = Graph()

    assert hooks().register(graph, environ) is None
    assert hooks().connect(graph, environ) is False
    assert graph.kept == {}


def test_the_next_deployment_knows_its_own_registration() -> None:
    """The first one has set its id in the azd environment."""
    graph = Graph(cmkflow_prod="ours")

    assert hooks().register(graph, ENVIRON | {"CMK_SIGN_IN_CLIENT_ID": "ours"}) == "ours"


class _Server(BaseHTTPRequestHandler):
    """A Graph on a port: notes what is asked, and refuses what is asked with another token."""

    seen: list[tuple[str, str, str]]

    def _answer(self) -> None:
        self.seen.append((self.command, self.path, str(self.headers["Prefer"])))
        is_known = self.headers["Authorization"] == "Bearer token"
        status = 404 if self.command == "GET" else 204 if is_known else 403
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_PATCH = _answer  # noqa: N815  # the names that http.server calls

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_graph_is_called_by_http_and_a_refusal_says_what_to_do() -> None:
    """What is not there yet is made; whoever may not is told who may."""
    _Server.seen = []
    with ThreadingHTTPServer(("127.0.0.1", 0), _Server) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        call = hooks().graph("token", address)
        assert call("GET", NAME, None) is None
        assert call("PATCH", NAME, {"displayName": "x"}) is None
        with pytest.raises(SystemExit, match="CMK_SIGN_IN_CLIENT_ID"):
            hooks().graph("another", address)("PATCH", NAME, {})
        server.shutdown()

    assert _Server.seen[1] == ("PATCH", f"/v1.0/{NAME}", "create-if-missing")


def test_azd_runs_both_hooks() -> None:
    """Before and after provisioning, on both kinds of machine."""
    source = (ROOT / "azure.yaml").read_text()

    for step, hook in (("register", "preprovision"), ("connect", "postprovision")):
        _, _, section = source.partition(f"  {hook}:\n")
        runs = re.findall(r"run: (.*)", section)[:2]
        assert runs == [
            f"python3 infra/register_sign_in.py {step}",
            f"python infra/register_sign_in.py {step}",
        ]


def test_what_the_hooks_need_is_told_by_the_template() -> None:
    """azd gives outputs to hooks by their names."""
    assert {"CMKFLOW_API", "CMKFLOW_TENANT_ID", "CMK_PRINCIPAL_ID"} <= set(outputs())


def test_app_service_lets_everybody_through_over_tls_and_needs_no_secret() -> None:
    """The app answers who is not signed in; the identity is used in place of a secret."""
    [settings] = [
        one["properties"]
        for one in resources("Microsoft.Web/sites/config")
        if one["name"].endswith("/authsettingsV2")
    ]
    directory = settings["identityProviders"]["azureActiveDirectory"]

    assert settings["platform"]["enabled"] is True
    assert settings["globalValidation"] == {
        "requireAuthentication": False,
        "unauthenticatedClientAction": "AllowAnonymous",
    }
    assert settings["httpSettings"] == {"requireHttps": True}
    client_id = directory["registration"]["clientId"]
    assert directory["registration"]["clientSecretSettingName"] == (
        "OVERRIDE_USE_MI_FIC_ASSERTION_CLIENTID"
    )
    assert directory["validation"]["allowedAudiences"] == [client_id, f"api://{client_id}"]


def test_without_a_registration_no_sign_in_is_set_up() -> None:
    """Azure refuses settings without a client id; the app lets nobody in without them."""
    names = [one["name"] for one in resources("Microsoft.Web/sites/config", "least")]

    assert [name for name in names if name.endswith("/authsettingsV2")] == []
