"""Who gives an order: stands in the app's state beside what was decided."""

import getpass
from typing import Annotated

import typer


def _login_name() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a machine without a name for this user
        return "cmkflow"


#: The option `--by`. Where the app signs callers in, their account takes its place.
Name = Annotated[
    str,
    typer.Option(
        "--by",
        envvar="CMKFLOW_BY",
        help="Who decides; where the app signs people in, their account counts.",
        default_factory=_login_name,
        show_default="your login name",
    ),
]
