"""Test `cmkflow service-account sign-in`."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from shared.domain.clouds import PUBLIC
from tests.contract.adapter_world import OPERATOR, run_adapters
from tests.local_cloud.tenant.tenant_world import APP_CLIENT

ROOT = Path(__file__).parents[3]


async def sign_in(ca_file: str, *arguments: str) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "cmkflow", "service-account", "sign-in"),
        *("--tenant", OPERATOR.tenant_id, "--client-id", OPERATOR.client_id, *arguments),
        cwd=ROOT,
        env={**os.environ, "SSL_CERT_FILE": ca_file, "CMK_CLIENT_ID": APP_CLIENT, "PATH": ""},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return process.returncode, output.decode()


async def test_app_gets_a_token_after_the_service_account_sign_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with run_adapters(monkeypatch) as app:
        code, printed = await sign_in(
            app.world.server.ca_file,
            "--token-cache-secret",
            OPERATOR.cache_secret,
            "--managed-identity",
        )
        token = await app.operator.get_token(PUBLIC.flow_service_scope)

    assert code == 0, printed
    assert "microsoft.com/devicelogin" in printed
    assert token.token


async def test_sign_in_without_an_azure_account_or_secret_url_is_rejected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with run_adapters(monkeypatch) as app:
        no_account = await sign_in(
            app.world.server.ca_file, "--token-cache-secret", OPERATOR.cache_secret
        )
        no_secret = await sign_in(
            app.world.server.ca_file, "--token-cache-secret", "operator-cache"
        )

    assert no_account[0] == no_secret[0] == 1
    assert "Azure CLI" in no_account[1]
    assert "must be the URL of a Key Vault secret" in no_secret[1]
    assert "Traceback" not in no_account[1] + no_secret[1]
