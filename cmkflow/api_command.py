"""What every command that talks to the API has: where the app is, its key, and `--json`."""

import functools
import inspect
import json
from collections.abc import Callable
from typing import Annotated, Any

import typer
from rich.console import RenderableType

from cmkflow.api_client import Api, ApiError
from cmkflow.terminal import Terminal, echo, one_line

type Show = Callable[[Any], RenderableType]

_OPTIONS = {
    "api": Annotated[
        str,
        typer.Option("--api", envvar="CMKFLOW_API", help="Address of the app.", show_default=False),
    ],
    "key": Annotated[
        str,
        typer.Option(
            "--key", envvar="CMKFLOW_KEY", help="Function key of the app.", show_default=False
        ),
    ],
    "as_json": Annotated[
        bool, typer.Option("--json", help="Print the answer of the API instead of text.")
    ],
}


def api_command(
    group: typer.Typer, name: str, *, show: Show
) -> Callable[[Callable[..., object]], Callable[..., object]]:
    """Register a function of `Api` and other parameters that returns the API's answer.

    The options that say where the API is take the place of its first parameter. The answer is
    printed by `show`, or as it is with `--json`; an `ApiError` becomes a text and exit code 1.
    """

    def register(call: Callable[..., object]) -> Callable[..., object]:
        @functools.wraps(call)
        def command(*, api: str, key: str, as_json: bool, **arguments: object) -> None:
            try:
                answer = call(Api(url=api, key=key), **arguments)
            except ApiError as err:
                echo(str(err), err=True)
                raise typer.Exit(1) from None
            if as_json:
                echo(json.dumps(answer))
            else:
                Terminal().print(show(one_line(answer)))

        # typer reads the signature: this is how it learns of the options.
        command.__signature__ = _with_options(call)  # type: ignore[attr-defined]  # a function
        group.command(name)(command)
        return call

    return register


def _with_options(call: Callable[..., object]) -> inspect.Signature:
    signature = inspect.signature(call, eval_str=True)
    _, *own = signature.parameters.values()
    keyword = inspect.Parameter.KEYWORD_ONLY
    shared = [
        inspect.Parameter(name, keyword, annotation=annotation, default=default)
        for (name, annotation), default in zip(_OPTIONS.items(), ("", "", False), strict=True)
    ]
    return signature.replace(parameters=[*(one.replace(kind=keyword) for one in own), *shared])
