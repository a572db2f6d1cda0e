"""`cmkflow login`, `logout` and `whoami`."""

from typing import Annotated

import typer

from cmkflow.api_client import ApiClient, ApiError, ExitCode
from cmkflow.sign_in import (
    SignInError,
    SignInSession,
    claims_of,
    sign_in_machine,
    sign_in_person,
    sign_out,
    signed_in,
    token_for,
)
from cmkflow.terminal import echo

Address = Annotated[
    str, typer.Option("--api", envvar="CMKFLOW_API", help="URL of the app.", show_default=False)
]


def register(group: typer.Typer) -> None:
    group.command("login")(login)
    group.command("logout")(logout)
    group.command("whoami")(whoami)


def login(
    api: Address,
    tenant: Annotated[
        str, typer.Option(envvar="CMKFLOW_TENANT_ID", help="Tenant id.", show_default=False)
    ],
    client_id: Annotated[
        str,
        typer.Option(
            envvar="CMKFLOW_CLIENT_ID",
            help="Client id of the app registration in Entra.",
            show_default=False,
        ),
    ],
    device_code: Annotated[
        bool,
        typer.Option(
            "--device-code",
            help="Sign in on another device instead of in a browser on this machine.",
        ),
    ] = False,
    managed_identity: Annotated[
        bool,
        typer.Option("--managed-identity", help="Sign in with this machine's managed identity."),
    ] = False,
    identity_client_id: Annotated[
        str, typer.Option(help="Client id of a user-assigned managed identity.", show_default=False)
    ] = "",
) -> None:
    """Sign in to the app. Later commands use this sign-in."""
    try:
        ApiClient(url=api).check_address()
        who = SignInSession(
            tenant_id=tenant,
            client_id=client_id,
            is_machine=managed_identity,
            identity_client_id=identity_client_id,
        )
        known = (
            sign_in_machine(api, who)
            if managed_identity
            else sign_in_person(api, who, show=echo if device_code else None)
        )
    except ApiError as err:
        echo(str(err), err=True)
        raise typer.Exit(err.exit_code) from None
    except SignInError as err:
        echo(str(err), err=True)
        raise typer.Exit(ExitCode.ACTION_REQUIRED) from None
    echo(f"Signed in to {api} as {known.name}.")


def logout(api: Address) -> None:
    """Sign out from the app, and delete the tokens."""
    try:
        was_signed_in = sign_out(api)
    except SignInError as err:
        echo(str(err), err=True)
        raise typer.Exit(ExitCode.ACTION_REQUIRED) from None
    if was_signed_in:
        echo(f"Signed out from {api}.")
    else:
        echo(f"You were not signed in to {api}.")


def whoami(api: Address) -> None:
    """Show who is signed in to the app, and their roles."""
    who = signed_in(api)
    if who is None:
        echo(f"You are not signed in to {api}. Sign in: cmkflow login.", err=True)
        raise typer.Exit(ExitCode.ACTION_REQUIRED)
    try:
        token = token_for(api) or ""
    except SignInError as err:
        echo(str(err), err=True)
        raise typer.Exit(ExitCode.ACTION_REQUIRED) from None
    roles = (
        ", ".join(claims_of(token).get("roles", ())) or "none (ask an administrator to assign one)"
    )
    echo(f"{who.name}\nTenant: {who.tenant_id}\nRoles: {roles}")
