"""Store profiles: the apps that commands can use, and how to sign in to each."""

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from shared.domain.clouds import CloudName


def find_config_folder() -> Path:
    """Return the user's configuration folder, which may not exist."""
    return Path(typer.get_app_dir("cmkflow"))


def read_config_file(name: str) -> dict[str, Any]:
    """Return the JSON object in a file of the configuration folder, or an empty mapping if it
    cannot be read.
    """
    try:
        content: dict[str, Any] = json.loads((find_config_folder() / name).read_text())
    except (OSError, ValueError):
        return {}
    return content


def write_config_file(name: str, content: dict[str, Any]) -> None:
    """Write a JSON object to a file of the configuration folder, which only the user may read."""
    find_config_folder().mkdir(parents=True, exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    with os.fdopen(os.open(find_config_folder() / name, flags, 0o600), "w") as file:
        json.dump(content, file, indent=1)


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
    return {
        name: Profile(**one) for name, one in read_config_file(_FILE).get("profiles", {}).items()
    }


def read_current_profile() -> str:
    """Return the name of the current profile, or "" if there is none."""
    return str(read_config_file(_FILE).get("current", ""))


def store_profile_as_current(name: str, profile: Profile) -> None:
    every = {**read_profiles(), name: profile}
    kept = {name: asdict(one) for name, one in every.items()}
    write_config_file(_FILE, {"current": name, "profiles": kept})


def make_profile_current(name: str) -> None:
    write_config_file(_FILE, {**read_config_file(_FILE), "current": name})


def find_app_url(api: str, profile: str) -> str:
    """Return the URL of the profile `profile`, or else `api`, or else the URL of the current
    profile. Returns "" if all are unset. Raises `BadParameter` for an unknown profile.
    """
    every = read_profiles()
    if profile and profile not in every:
        known = ", ".join(every) or "none"
        raise typer.BadParameter(
            f"No profile is called {profile!r}. Profiles: {known}.", param_hint="--profile"
        )
    found = every.get(profile or ("" if api else read_current_profile()))
    return found.api if found else api


def _complete_profile_name(incomplete: str) -> Iterable[str]:
    return [name for name in read_profiles() if name.startswith(incomplete)]


ProfileName = Annotated[
    str,
    typer.Option(
        "--profile",
        envvar="CMKFLOW_PROFILE",
        help="Profile of the app, which `cmkflow configure` or `cmkflow login` stored.",
        show_default=False,
        autocompletion=_complete_profile_name,
    ),
]
Debug = Annotated[
    bool, typer.Option("--debug", help="Print each request with its id on stderr, without secrets.")
]
Address = Annotated[
    str, typer.Option("--api", envvar="CMKFLOW_API", help="URL of the app.", show_default=False)
]
