"""Profiles: the apps that commands can use, each with how to sign in to it.

The last profile that `cmkflow login` or `cmkflow configure` used is the current one.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Annotated

import typer

from cmkflow.config_folder import read_file, write_file
from shared.domain.clouds import CloudName

_FILE = "profiles.json"
DEFAULT = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """An app, and how to sign in to it."""

    #: URL of the app.
    api: str
    tenant_id: str
    client_id: str
    #: Audience of access tokens; empty: the client id.
    audience: str = ""
    cloud: CloudName = CloudName.PUBLIC


def read_profiles() -> dict[str, Profile]:
    """Return the profiles by name."""
    return {name: Profile(**one) for name, one in read_file(_FILE).get("profiles", {}).items()}


def read_current_profile() -> str:
    """Return the name of the current profile; empty if there is none."""
    return str(read_file(_FILE).get("current", ""))


def store_profile(name: str, profile: Profile) -> None:
    """Store a profile, and make it the current one."""
    every = {**read_profiles(), name: profile}
    kept = {name: asdict(one) for name, one in every.items()}
    write_file(_FILE, {"current": name, "profiles": kept})


def use_profile(name: str) -> None:
    """Make a profile the current one."""
    write_file(_FILE, {**read_file(_FILE), "current": name})


def find_app_url(api: str, profile: str) -> str:
    """Return the URL of the app: of the named profile, else `api`, else of the current profile.

    Returns an empty text if none is known; raises `BadParameter` for an unknown profile.
    """
    every = read_profiles()
    if profile and profile not in every:
        known = ", ".join(every) or "none"
        raise typer.BadParameter(
            f"No profile is called {profile!r}. Profiles: {known}.", param_hint="--profile"
        )
    found = every.get(profile or ("" if api else read_current_profile()))
    return found.api if found else api


def _complete(incomplete: str) -> Iterable[str]:
    return [name for name in read_profiles() if name.startswith(incomplete)]


ProfileName = Annotated[
    str,
    typer.Option(
        "--profile",
        envvar="CMKFLOW_PROFILE",
        help="Profile of the app; see cmkflow configure.",
        show_default=False,
        autocompletion=_complete,
    ),
]
Debug = Annotated[
    bool, typer.Option("--debug", help="Print each request with its id on stderr, without secrets.")
]
Address = Annotated[
    str, typer.Option("--api", envvar="CMKFLOW_API", help="URL of the app.", show_default=False)
]
