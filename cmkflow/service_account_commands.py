"""`cmkflow service-account`: sign in the account that reads trigger URLs (docs/security.md)."""

import asyncio
from typing import Annotated

import typer

from cmkflow.terminal import echo
from shared.domain.clouds import CLOUDS, CloudName
from shared.errors import CmkflowError

app = typer.Typer(
    no_args_is_help=True, help="Sign in the service account, which reads trigger URLs."
)


@app.command("sign-in")
def sign_in_service_account(
    tenant: Annotated[
        str, typer.Option(envvar="CMK_TENANT_ID", help="Tenant id.", show_default=False)
    ],
    client_id: Annotated[
        str,
        typer.Option(
            envvar="CMK_SERVICE_ACCOUNT_CLIENT_ID",
            help="Client id of the public client application.",
            show_default=False,
        ),
    ],
    token_cache_secret: Annotated[
        str,
        typer.Option(
            envvar="CMK_SERVICE_ACCOUNT_TOKEN_CACHE_SECRET",
            help="URL of the Key Vault secret that stores the token cache.",
            show_default=False,
        ),
    ],
    cloud: Annotated[
        CloudName, typer.Option(envvar="CMK_CLOUD", help="The tenant's cloud.")
    ] = CloudName.PUBLIC,
    managed_identity: Annotated[
        bool,
        typer.Option(
            "--managed-identity",
            help="Write the secret with this machine's managed identity (CMK_CLIENT_ID) instead of "
            "the account of `az login`.",
        ),
    ] = False,
    identity_client_id: Annotated[str, typer.Option(envvar="CMK_CLIENT_ID", hidden=True)] = "",
) -> None:
    """Sign in the service account with a device code, and store the token cache in Key Vault.

    Run the command once, and again when a job is blocked with the code service_account_signed_out.
    On the page whose address the command prints, sign in as the service account, not as yourself.

    Examples:
        cmkflow service-account sign-in
    """
    from cmkflow.service_account_sign_in import ServiceAccountSignIn, sign_in_and_store_tokens

    account = ServiceAccountSignIn(
        tenant_id=tenant,
        client_id=client_id,
        cache_secret=token_cache_secret,
        cloud=CLOUDS[cloud],
        is_managed_identity=managed_identity,
        identity_client_id=identity_client_id,
    )
    try:
        asyncio.run(sign_in_and_store_tokens(account, echo))
    except (CmkflowError, ValueError) as err:
        echo(str(err), err=True)
        raise typer.Exit(1) from None
    echo("The service account is signed in. Retry the jobs that were blocked.")
