"""Test `cmkflow login`, `logout` and `whoami`."""

import asyncio
import json
import re
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cmkflow.__main__ import app as command_line
from cmkflow.api_client import ExitCode
from tests.command_tree import build_command_tree
from tests.functional.app.test_sign_in import API_CLIENT, SignedApp, run_signed_app
from tests.local_cloud.tenant.tenant_world import TENANT_ID

type Run = Callable[..., Awaitable[Result]]


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[SignedApp]:
    async with run_signed_app(tmp_path) as app:
        yield app


@pytest.fixture
def run(app: SignedApp, tmp_path: Path) -> Run:
    server = app.server
    env = {
        "CMKFLOW_API": app.url,
        "CMKFLOW_KEY": "",
        "CMKFLOW_TENANT_ID": TENANT_ID,
        "CMKFLOW_CLIENT_ID": API_CLIENT,
        "XDG_CONFIG_HOME": str(tmp_path / "home"),
        "HTTPS_PROXY": server.proxy_url,
        "NO_PROXY": "127.0.0.1",
        "REQUESTS_CA_BUNDLE": server.ca_file,
        "IDENTITY_ENDPOINT": server.identity_endpoint,
        "IDENTITY_HEADER": server.identity_header,
    }

    async def run(*arguments: str, **more: str) -> Result:
        # The command blocks, and the tenant answers in this loop.
        return await asyncio.to_thread(
            lambda: CliRunner().invoke(command_line, list(arguments), env=env | more)
        )

    return run


async def test_person_signs_in_with_device_code_and_signs_out(run: Run, tmp_path: Path) -> None:
    nobody = await run("health")
    login = await run("login", "--device-code")
    who = await run("whoami")
    ordered = await run("kill-switch", "on", "--justification", "a drill", "--by", "somebody")
    trail = await run("audit", "list")
    kept = [one for one in (tmp_path / "home").rglob("*") if one.is_file()]
    texts = [one.read_text() for one in kept]
    modes = {stat.S_IMODE(one.stat().st_mode) for one in kept if one.stat().st_size}
    logout = await run("logout")
    after = await run("health")

    assert (nobody.exit_code, after.exit_code) == (ExitCode.ACTION_REQUIRED,) * 2
    assert "cmkflow login" in nobody.output
    assert login.exit_code == 0, login.output
    assert "microsoft.com/devicelogin" in login.output
    assert "Signed in to http://127.0.0.1" in login.output
    assert who.output.splitlines() == [
        "admin@contoso.example",
        f"Tenant: {TENANT_ID}",
        "Roles: operator, approver",
    ]
    assert ordered.exit_code == 0, ordered.output
    assert "admin@contoso.example" in ordered.output
    assert "somebody" not in ordered.output
    assert "Set the kill switch" in trail.output
    assert modes == {0o600}
    assert any("refresh" in text.lower() for text in texts)
    assert logout.exit_code == 0
    left = [one.read_text() for one in (tmp_path / "home").rglob("*") if one.is_file()]
    assert not any("refresh_token_" in text or '"secret"' in text for text in left)


async def test_managed_identity_signs_in_and_stores_no_token(run: Run, tmp_path: Path) -> None:
    login = await run("login", "--managed-identity")
    shown = await run("kill-switch", "show")
    refused = await run(
        "environment",
        "set",
        "e0000000-0000-4000-8000-000000000001",
        "--approval-policy",
        "automatic",
    )

    assert login.exit_code == 0, login.output
    assert "as application" in login.output
    assert shown.exit_code == 0, shown.output
    assert refused.exit_code == ExitCode.ACTION_REQUIRED
    assert "role approver" in refused.output
    kept = [one.read_text() for one in (tmp_path / "home").rglob("*") if one.is_file()]
    assert not any("eyJ" in text for text in kept)


async def test_token_is_sent_only_to_the_app_of_its_sign_in(run: Run) -> None:
    await run("login", "--device-code")

    other = await run("whoami", CMKFLOW_API="https://another.example")

    assert other.exit_code == ExitCode.ACTION_REQUIRED
    assert "You are not signed in" in other.output


NOTHING_SET = {"CMKFLOW_API": "", "CMKFLOW_TENANT_ID": "", "CMKFLOW_CLIENT_ID": ""}


async def test_login_needs_only_the_address_of_the_app(run: Run, app: SignedApp) -> None:
    login = await run("login", app.url, "--device-code", **NOTHING_SET)
    who = await run("whoami", **NOTHING_SET)
    again = await run("login", "--device-code", **NOTHING_SET)
    shown = await run("kill-switch", "show", "--debug", **NOTHING_SET)

    assert login.exit_code == 0, login.output
    assert f"Found the app at {app.url}" in login.stderr
    assert f"  Tenant   {TENANT_ID}\n  Client   {API_CLIENT}\n" in login.stderr
    assert who.stdout.startswith("admin@contoso.example\n")
    assert again.exit_code == 0
    assert "Found the app" not in again.stderr
    assert shown.exit_code == 0, shown.output
    assert re.search(
        r"^debug: GET /api/kill-switch 200, \d+ bytes, \d+ ms, request [0-9a-f]{32}$",
        shown.stderr,
        re.MULTILINE,
    )
    assert "eyJ" not in shown.output


async def test_profile_selects_the_app_of_a_tenant(run: Run, app: SignedApp) -> None:
    stored = await run("configure", app.url, "--profile", "contoso", **NOTHING_SET)
    login = await run("login", "--profile", "contoso", "--device-code", **NOTHING_SET)
    other = await run("login", "--managed-identity", "--profile", "other")
    shown = await run("configure", "-o", "json")
    chosen = await run("configure", "--profile", "contoso")
    unknown = await run("whoami", "--profile", "nobody")
    switch = ("kill-switch", "show", "--profile", "contoso")
    named = await run(*switch, CMKFLOW_API="http://127.0.0.1:9")

    assert stored.exit_code == 0, stored.output
    assert "cmkflow login --profile contoso" in stored.stderr
    assert (login.exit_code, other.exit_code) == (0, 0), login.output + other.output
    items = json.loads(shown.stdout)["items"]
    assert [(one["profile"], one["is_current"]) for one in items] == [
        ("contoso", False),
        ("other", True),
    ]
    assert "contoso\tyes\t" in chosen.stdout
    assert unknown.exit_code == ExitCode.USAGE_ERROR
    assert "Profiles: contoso, other." in unknown.stderr
    assert named.exit_code == 0, named.output


async def test_login_without_a_response_exits_with_5(run: Run) -> None:
    """Exit code 5 means that a later try may succeed."""
    no_app = await run("login", "http://127.0.0.1:9", **NOTHING_SET)
    no_entra = await run("login", "--device-code", HTTPS_PROXY="http://127.0.0.1:9")

    assert no_app.exit_code == ExitCode.SERVICE_UNAVAILABLE
    assert "Cannot connect to 127.0.0.1:9" in no_app.stderr
    assert no_entra.exit_code == ExitCode.SERVICE_UNAVAILABLE
    assert "Cannot connect to https://" in no_entra.stderr


async def test_login_at_an_address_of_another_program_is_rejected(run: Run, app: SignedApp) -> None:
    login = await run("login", app.server.control_url, **NOTHING_SET)

    assert login.exit_code == ExitCode.ACTION_REQUIRED
    assert "does not say how to sign in" in login.stderr
    assert "CMKFLOW_TENANT_ID" in login.stderr


async def test_login_with_a_missing_managed_identity_is_rejected(run: Run) -> None:
    login = await run("login", "--managed-identity", IDENTITY_ENDPOINT="http://127.0.0.1:9/token")

    assert login.exit_code == ExitCode.ACTION_REQUIRED
    assert (await run("whoami")).exit_code == ExitCode.ACTION_REQUIRED


async def test_login_requires_https(run: Run) -> None:
    login = await run("login", "--device-code", CMKFLOW_API="http://app.example")

    assert login.exit_code == ExitCode.USAGE_ERROR


def test_no_command_requires_a_function_key() -> None:
    keys = {
        " ".join(words): option.required
        for words, command in build_command_tree().items()
        for option in command.params
        if "CMKFLOW_KEY" in str(getattr(option, "envvar", ""))
    }

    assert len(keys) > 20
    assert [name for name, is_required in keys.items() if is_required] == []
