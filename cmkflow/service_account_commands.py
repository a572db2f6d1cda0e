"""`cmkflow service-account`: sign in the account that reads trigger URLs (docs/security.md)."""

import asyncio
from typing import Annotated

import typer

from cmkflow.terminal import echo
from shared.errors import CmkflowError

app = typer.Typer(no_args_is_help=True, help="The account that reads trigger URLs.")


@app.callback()
def describe() -> None:
    """The account that reads trigger URLs."""


@app.command("sign-in")
def sign_in(
    tenant: Annotated[
        str, typer.Option(envvar="CMK_TENANT_ID", help="Tenant id.", show_default=False)
    ],
    client_id: Annotated[
        str,
        typer.Option(
            envvar="CMK_SERVICE_ACCOUNT_CLIENT_ID",
            help="Public client application.",
            show_default=False,
        ),
    ],
    token_cache_secret: Annotated[
        str,
        typer.Option(
            envvar="CMK_SERVICE_ACCOUNT_TOKEN_CACHE_SECRET",
            help="URL of the Key Vault secret that keeps the token cache.",
            show_default=False,
        ),
    ],
    managed_identity: Annotated[
        bool,
        typer.Option(
            "--managed-identity",
            help="Write the secret as this machine's managed identity (CMK_CLIENT_ID), not as "
            "the account of `az login`.",
        ),
    ] = False,
    identity_client_id: Annotated[str, typer.Option(envvar="CMK_CLIENT_ID", hidden=True)] = "",
) -> None:
    """Sign the operator in by device code and keep the token cache in Key Vault.

    Run it once, and again when a job is blocked with the code operator_sign_in. Open the page it
    names as the operator, not as yourself.
    """
    from cmkflow.service_account_sign_in import SecretWriterIdentity, ServiceAccountSignIn
    from cmkflow.service_account_sign_in import sign_in as do

    identity = SecretWriterIdentity(is_managed=managed_identity, client_id=identity_client_id)
    order = ServiceAccountSignIn(
        tenant_id=tenant, client_id=client_id, cache_secret=token_cache_secret, identity=identity
    )
    try:
        asyncio.run(do(order, echo))
    except (CmkflowError, ValueError) as err:
        echo(str(err), err=True)
        raise typer.Exit(1) from None
    echo("The operator is signed in; jobs that wait for it can be retried.")
