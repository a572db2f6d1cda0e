"""Define the option `--by`, which names who makes a decision."""

import getpass
from typing import Annotated

import typer


def _get_login_name() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # the user has no name on this machine
        return "cmkflow"


#: If the app authenticates users, it uses the account's name instead.
Name = Annotated[
    str,
    typer.Option(
        "--by",
        envvar="CMKFLOW_BY",
        help="Your name. If you are signed in, your account is recorded instead.",
        default_factory=_get_login_name,
        show_default="your login name",
    ),
]
