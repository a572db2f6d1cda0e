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


def _options(key_option: str) -> dict[str, Any]:
    return {
        "api": Annotated[
            str,
            typer.Option(
                "--api", envvar="CMKFLOW_API", help="Address of the app.", show_default=False
            ),
        ],
        "function_key": Annotated[
            str,
            typer.Option(
                key_option,
                envvar="CMKFLOW_KEY",
                help="Function key of the app.",
                show_default=False,
            ),
        ],
        "as_json": Annotated[
            bool, typer.Option("--json", help="Print the answer of the API instead of text.")
        ],
    }


def api_command(
    group: typer.Typer, name: str, *, show: Show, key_option: str = "--key"
) -> Callable[[Callable[..., object]], Callable[..., object]]:
    """Register a function of `Api` and other parameters that returns the API's answer.

    The options that say where the API is take the place of its first parameter. The answer is
    printed by `show`, or as it is with `--json`; an `ApiError` becomes a text and exit code 1.
    `key_option` names the function key where `--key` is the command's own.
    """

    def register(call: Callable[..., object]) -> Callable[..., object]:
        @functools.wraps(call)
        def command(*, api: str, function_key: str, as_json: bool, **arguments: object) -> None:
            try:
                answer = call(Api(url=api, key=function_key), **arguments)
            except ApiError as err:
                echo(str(err), err=True)
                raise typer.Exit(1) from None
            if as_json:
                echo(json.dumps(answer))
            else:
                Terminal().print(show(one_line(answer)))

        # typer reads the signature: this is how it learns of the options.
        command.__signature__ = _with_options(call, key_option)  # type: ignore[attr-defined]  # a function
        group.command(name)(command)
        return call

    return register


def _with_options(call: Callable[..., object], key_option: str) -> inspect.Signature:
    signature = inspect.signature(call, eval_str=True)
    _, *own = signature.parameters.values()
    keyword = inspect.Parameter.KEYWORD_ONLY
    shared = [
        inspect.Parameter(name, keyword, annotation=annotation, default=default)
        for (name, annotation), default in zip(
            _options(key_option).items(), ("", "", False), strict=True
        )
    ]
    return signature.replace(parameters=[*(one.replace(kind=keyword) for one in own), *shared])
