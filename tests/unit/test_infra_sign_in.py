"""Test the hooks that register a deployed app in Entra."""

import importlib.util
import json
import re
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import ModuleType
from typing import Any

import pytest

from shared.domain.clouds import CLOUDS, CloudName
from shared.domain.principal import Role
from tests.unit.deployed import INFRA, ROOT, find_resources, read_outputs

ENVIRON = {
    "AZURE_ENV_NAME": "prod",
    "CMKFLOW_API": "https://func-x.azurewebsites.net",
    "CMKFLOW_TENANT_ID": "tenant",
    "CMK_PRINCIPAL_ID": "the-identity",
}
NAME = "applications(uniqueName='cmkflow-prod')"


def load_hooks() -> ModuleType:
    spec = importlib.util.spec_from_file_location("sign_in", INFRA / "register_sign_in.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Graph:
    """A fake of Microsoft Graph. The first `lag` reads find nothing."""

    def __init__(self, *, lag: int = 0, **applications: str) -> None:
        """`applications` contains the client id of each registration by its name."""
        self.kept: dict[str, dict[str, Any]] = {
            f"applications(uniqueName='{name.replace('_', '-')}')": {"appId": client_id}
            for name, client_id in applications.items()
        }
        self.lag, self.calls = lag, list[str]()

    def __call__(self, method: str, path: str, body: Mapping[str, Any] | None) -> Any:
        self.calls.append(method)
        if method == "GET":
            self.lag -= 1
            return self.kept.get(path) if self.lag < 0 else None
        is_new = path not in self.kept
        there = self.kept.setdefault(path, {"appId": f"client-{len(self.kept)}"})
        there.update(body or {})
        return there if is_new else None


def test_registration_has_the_roles_of_the_app() -> None:
    graph = Graph()

    client_id = load_hooks().register(graph, ENVIRON)

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


def test_hooks_can_be_repeated() -> None:
    """If ids changed, people would lose the roles that they were assigned."""
    graph, script = Graph(), load_hooks()
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


@pytest.mark.parametrize("cloud", CloudName)
def test_registration_trusts_the_entra_of_its_cloud(cloud: CloudName) -> None:
    graph, environ = Graph(), ENVIRON | {"CMK_CLOUD": cloud}
    load_hooks().register(graph, environ)

    load_hooks().connect(graph, environ)

    trusted = graph.kept[f"{NAME}/federatedIdentityCredentials(name='app-service')"]
    assert trusted["issuer"] == f"{CLOUDS[cloud].authority_url}/tenant/v2.0"


def test_unknown_cloud_is_rejected_with_the_known_ones() -> None:
    with pytest.raises(SystemExit, match="public, gcc, gcc_high, dod, china"):
        load_hooks().connect(Graph(), ENVIRON | {"CMK_CLOUD": "mars"})


def test_manually_created_registration_is_not_changed() -> None:
    """The deployment then needs no right to register applications."""
    environ = ENVIRON | {"CMK_SIGN_IN_CLIENT_ID": "made-by-hand", "CMK_SIGN_IN_REGISTERED_ID": "x"}
    graph = Graph()

    assert load_hooks().register(graph, environ) is None
    assert load_hooks().connect(graph, environ) is False
    assert graph.calls == []


@pytest.mark.parametrize("step", ["register", "connect"])
def test_no_token_is_requested_for_a_manually_created_registration(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], step: str
) -> None:
    """A pipeline's identity may have no access to Graph."""
    monkeypatch.setenv("CMK_SIGN_IN_CLIENT_ID", "made-by-hand")
    monkeypatch.delenv("CMK_SIGN_IN_REGISTERED_ID", raising=False)
    monkeypatch.setenv("PATH", "")  # so that azd is not found

    load_hooks().main(step)

    assert "made-by-hand was created manually" in capsys.readouterr().out


def test_next_deployment_updates_its_own_registration() -> None:
    graph = Graph(cmkflow_prod="ours")
    environ = ENVIRON | {"CMK_SIGN_IN_CLIENT_ID": "ours", "CMK_SIGN_IN_REGISTERED_ID": "ours"}

    assert load_hooks().register(graph, environ) == "ours"
    assert load_hooks().connect(graph, environ)


def test_created_registration_is_not_read_again() -> None:
    """A read may not find the new registration yet."""
    graph = Graph(lag=1000)

    assert load_hooks().register(graph, ENVIRON) == graph.kept[NAME]["appId"]
    assert "GET" not in graph.calls


def test_read_is_repeated_until_a_created_registration_is_visible() -> None:
    """The response to the create may have been lost."""
    slept: list[float] = []
    graph = Graph(cmkflow_prod="ours", lag=3)

    assert load_hooks().register(graph, ENVIRON, slept.append) == "ours"
    assert slept == [1, 2, 4]

    with pytest.raises(SystemExit, match="Run azd up again"):
        load_hooks().register(Graph(cmkflow_prod="ours", lag=1000), ENVIRON, slept.append)


class _Answering(ThreadingHTTPServer):
    """A server in place of Graph. It returns the given responses in order, and repeats the last
    one.
    """

    def __init__(self, *answers: tuple[int, str]) -> None:
        super().__init__(("127.0.0.1", 0), _Server)
        self.answers = list(answers)
        self.seen: list[tuple[str, str, str]] = []
        self.slept: list[float] = []

    def __enter__(self) -> "_Answering":
        Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    def patch(self) -> Any:
        address = f"http://127.0.0.1:{self.server_port}"
        call = load_hooks().graph("token", address, self.slept.append)
        return call("PATCH", NAME, {"displayName": "x"})


class _Server(BaseHTTPRequestHandler):
    """Returns the next response, or closes the connection if its status is 0."""

    server: _Answering

    def _answer(self) -> None:
        said = self.server
        said.seen.append((self.command, self.path, str(self.headers["Prefer"])))
        status, text = said.answers.pop(0) if len(said.answers) > 1 else said.answers[0]
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.close_connection = True
        if not status:
            return
        self.send_response(status)
        if status == 429:
            self.send_header("Retry-After", "7")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    do_GET = do_PATCH = _answer  # noqa: N815  # the names that http.server calls

    def log_message(self, *_: object) -> None: ...


_NO_BACKING = (
    '{"error":{"code":"Authorization_RequestDenied","message":"When using this permission, the '
    'backing application of the service principal being created must in the local tenant"}}'
)
_NO_REFERENCE = (
    '{"error":{"code":"Request_BadRequest","message":"The appId \'a\' of the service principal '
    'does not reference a valid application object."}}'
)


@pytest.mark.parametrize(
    ("answer", "wait"),
    [
        ((403, _NO_BACKING), 1),
        ((400, _NO_REFERENCE), 1),
        ((404, "{}"), 1),
        ((409, "{}"), 1),
        ((429, "{}"), 7),
        ((503, "{}"), 1),
        ((0, ""), 1),
    ],
)
def test_transient_error_is_retried(answer: tuple[int, str], wait: int) -> None:
    with _Answering(answer, (201, '{"appId": "new"}')) as server:
        assert server.patch() == {"appId": "new"}

    assert server.slept == [wait]
    assert server.seen == [("PATCH", f"/v1.0/{NAME}", "create-if-missing")] * 2


def test_retries_end_after_two_minutes() -> None:
    with _Answering((404, "{}")) as server, pytest.raises(SystemExit, match="404"):
        server.patch()

    assert 60 <= sum(server.slept) <= 180


@pytest.mark.parametrize("status", [400, 401, 403])
def test_rejected_request_is_not_retried_and_names_the_fix(status: int) -> None:
    with (
        _Answering((status, "{}")) as server,
        pytest.raises(SystemExit, match="CMK_SIGN_IN_CLIENT_ID"),
    ):
        server.patch()

    assert server.slept == []


def test_read_of_a_missing_object_returns_none() -> None:
    """The caller decides whether a missing object is an error."""
    with _Answering((404, "{}")) as server:
        call = load_hooks().graph(
            "token", f"http://127.0.0.1:{server.server_port}", server.slept.append
        )
        assert call("GET", NAME, None) is None

    assert server.slept == []


def test_azd_runs_both_hooks() -> None:
    source = (ROOT / "azure.yaml").read_text()

    for step, hook in (("register", "preprovision"), ("connect", "postprovision")):
        _, _, section = source.partition(f"  {hook}:\n")
        runs = re.findall(r"run: (.*)", section)[:2]
        assert runs == [
            f"python3 infra/register_sign_in.py {step}",
            f"python infra/register_sign_in.py {step}",
        ]


def test_template_has_the_outputs_that_the_hooks_need() -> None:
    """azd passes the template's outputs to the hooks by these names."""
    assert {"CMKFLOW_API", "CMKFLOW_TENANT_ID", "CMK_PRINCIPAL_ID"} <= set(read_outputs())


def test_app_service_lets_everybody_through_over_tls_and_needs_no_secret() -> None:
    [settings] = [
        one["properties"]
        for one in find_resources("Microsoft.Web/sites/config")
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
    """Azure rejects authentication settings without a client id."""
    names = [one["name"] for one in find_resources("Microsoft.Web/sites/config", "open")]

    assert [name for name in names if name.endswith("/authsettingsV2")] == []
