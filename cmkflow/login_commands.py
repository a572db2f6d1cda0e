"""`cmkflow login`, `logout`, `whoami` and `configure`: sign in to apps, and store profiles."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.text import Text

from cmkflow.api_client import ApiClient, ApiError, ExitCode
from cmkflow.listing import Column, Kind, Listing
from cmkflow.output import Output, OutputFormat, Query
from cmkflow.paragraphs import print_next_commands
from cmkflow.printing import AnswerPrinter
from cmkflow.profiles import (
    DEFAULT,
    Address,
    Debug,
    Profile,
    ProfileName,
    find_app_url,
    make_profile_current,
    read_current_profile,
    read_profiles,
    store_profile_as_current,
)
from cmkflow.sign_in import (
    SignInError,
    SignInSession,
    parse_claims,
    read_sign_in_session,
    request_token,
    sign_in_machine,
    sign_in_person,
    sign_out,
)
from cmkflow.sign_in_configuration import add_scheme, read_sign_in_configuration
from cmkflow.terminal import ask, confirm, echo

Url = Annotated[
    str,
    typer.Argument(
        metavar="ADDRESS",
        help="URL of the app, such as https://APP.azurewebsites.net. Default: the profile's.",
        show_default=False,
    ),
]


def add_login_commands(group: typer.Typer) -> None:
    group.command("login")(login)
    group.command("logout")(logout)
    group.command("whoami")(show_signed_in_user)
    group.command("configure")(configure_profiles)


def login(
    address: Url = "",
    api: Address = "",
    profile: ProfileName = "",
    tenant: Annotated[
        str,
        typer.Option(
            envvar="CMKFLOW_TENANT_ID",
            help="Tenant id. Default: read from the app.",
            show_default=False,
        ),
    ] = "",
    client_id: Annotated[
        str,
        typer.Option(
            envvar="CMKFLOW_CLIENT_ID",
            help="Client id of the app registration in Entra. Default: read from the app.",
            show_default=False,
        ),
    ] = "",
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
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")] = False,
    debug: Debug = False,
) -> None:
    """Sign in to an app. Later commands use this app and this sign-in.

    Examples:
        cmkflow login https://contoso-cmk.azurewebsites.net
        cmkflow login --device-code
        cmkflow login --profile fabrikam
    """
    with _exit_on_error():
        is_new = bool(profile) and profile not in read_profiles()
        url = add_scheme(address) or _find_or_ask_app_url(api, "" if is_new and api else profile)
        ApiClient(url=url).require_encrypted_address()
        chosen = Profile(api=url, tenant_id=tenant, client_id=client_id)
        if not (tenant and client_id):
            chosen = _find_profile_of_app(url) or _read_and_confirm_profile(
                url, is_sure=yes, debug=debug
            )
        who = SignInSession(
            tenant_id=tenant or chosen.tenant_id,
            client_id=client_id or chosen.client_id,
            audience=chosen.audience,
            cloud=chosen.cloud,
            is_machine=managed_identity,
            identity_client_id=identity_client_id,
        )
        known = (
            sign_in_machine(url, who)
            if managed_identity
            else sign_in_person(url, who, show=echo if device_code else None)
        )
        store_profile_as_current(
            profile or read_current_profile() or DEFAULT,
            Profile(
                api=url,
                tenant_id=who.tenant_id,
                client_id=who.client_id,
                audience=who.audience,
                cloud=who.cloud,
            ),
        )
        roles = parse_claims(request_token(url) or "").get("roles", ())
    echo(f"Signed in to {url} as {known.name}.")
    if roles:
        print_next_commands(["cmkflow status"])
    else:
        echo(
            "You have no role yet. Ask an administrator to assign one in Entra (Enterprise "
            "applications, Users and groups), then sign in again.",
            err=True,
        )


def logout(api: Address = "", profile: ProfileName = "") -> None:
    """Sign out from the app, and delete the tokens.

    Examples:
        cmkflow logout
    """
    with _exit_on_error():
        url = _find_or_ask_app_url(api, profile)
        was_signed_in = sign_out(url)
    if was_signed_in:
        echo(f"Signed out from {url}.")
    else:
        echo(f"You were not signed in to {url}.")


def show_signed_in_user(api: Address = "", profile: ProfileName = "") -> None:
    """Show who is signed in to the app, and their roles.

    Examples:
        cmkflow whoami
    """
    with _exit_on_error():
        url = _find_or_ask_app_url(api, profile)
        who = read_sign_in_session(url)
        if who is None:
            raise SignInError(f"You are not signed in to {url}. Sign in: cmkflow login.")
        token = request_token(url) or ""
    roles = (
        ", ".join(parse_claims(token).get("roles", ()))
        or "none (ask an administrator to assign one)"
    )
    echo(f"{who.name}\nTenant: {who.tenant_id}\nRoles: {roles}")


def configure_profiles(
    address: Url = "",
    profile: ProfileName = "",
    debug: Debug = False,
    output: Output = OutputFormat.TABLE,
    query: Query = None,
) -> None:
    """Store how to sign in to an app as a profile, choose a profile, or show all profiles.

    With ADDRESS, reads tenant and client id from the app. With --profile alone, makes that profile
    the current one.

    Examples:
        cmkflow configure https://contoso-cmk.azurewebsites.net
        cmkflow configure https://fabrikam-cmk.azurewebsites.net --profile fabrikam
        cmkflow configure --profile fabrikam
    """
    printer = AnswerPrinter(output, query, no_pager=True)
    with _exit_on_error():
        if address:
            found = read_sign_in_configuration(add_scheme(address), debug=debug)
            store_profile_as_current(profile or DEFAULT, found)
        elif profile:
            find_app_url("", profile)
            make_profile_current(profile)
    items = [
        {
            "profile": name,
            "is_current": name == read_current_profile(),
            "api": one.api,
            "tenant_id": one.tenant_id,
            "client_id": one.client_id,
            "signed_in_as": who.name if (who := read_sign_in_session(one.api)) else "",
        }
        for name, one in read_profiles().items()
    ]
    none = Text("No profile yet. Store one: cmkflow configure https://APP.azurewebsites.net")
    printer.print(
        {"items": items}, lambda: Listing(columns=_COLUMNS, items=items) if items else none
    )
    if address:
        print_next_commands([f"cmkflow login --profile {profile or DEFAULT}"])


@contextmanager
def _exit_on_error() -> Iterator[None]:
    try:
        yield
    except ApiError as err:
        echo(str(err), err=True)
        raise typer.Exit(err.exit_code) from None
    except SignInError as err:
        echo(str(err), err=True)
        is_out = err.is_unavailable
        code = ExitCode.SERVICE_UNAVAILABLE if is_out else ExitCode.ACTION_REQUIRED
        raise typer.Exit(code) from None


def _find_or_ask_app_url(api: str, profile: str) -> str:
    url = find_app_url(api, profile)
    if not url and sys.stdin.isatty():
        url = add_scheme(ask("Address of the app"))
    return url


def _find_profile_of_app(url: str) -> Profile | None:
    return next((one for one in read_profiles().values() if one.api == url), None)


def _read_and_confirm_profile(url: str, *, is_sure: bool, debug: bool) -> Profile:
    found = read_sign_in_configuration(url, debug=debug)
    echo(f"Found the app at {url}", err=True)
    echo(f"  Tenant   {found.tenant_id}\n  Client   {found.client_id}", err=True)
    if not is_sure and sys.stdin.isatty():
        confirm("Sign in to this tenant?")
    return found


_COLUMNS = (
    Column("Profile", lambda one: one["profile"], Kind.WORD),
    Column("Current", lambda one: "yes" if one["is_current"] else "", Kind.WORD),
    Column("App", lambda one: one["api"], Kind.PATH),
    Column("Tenant", lambda one: one["tenant_id"], is_optional=True),
    Column("Signed in as", lambda one: one["signed_in_as"]),
)
