"""What every command that talks to the API has: where the app is, its key, how it answers."""

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any

import typer
from rich.console import RenderableType

from cmkflow.api_client import Api, ApiError
from cmkflow.names import with_ids
from cmkflow.output import Output, Query, for_programs
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
        "output": Annotated[
            Output,
            typer.Option("--output", "-o", help="For programs: the API's answer, or its rows."),
        ],
        "as_json": Annotated[bool, typer.Option("--json", help="The same as --output json.")],
        "query": Annotated[
            str | None,
            typer.Option(
                help="JMESPath over the answer, printed as JSON unless --output says otherwise.",
                show_default=False,
            ),
        ],
    }


def api_command(
    group: typer.Typer, name: str, *, show: Show, key_option: str = "--key"
) -> Callable[[Callable[..., object]], Callable[..., object]]:
    """Register a function of `Api` and other parameters that returns the API's answer.

    The options that say where the API is take the place of its first parameter. The answer is
    printed by `show`, or for programs; an `ApiError` becomes a text and an exit code.
    `key_option` names the function key where `--key` is the command's own.
    """

    def register(call: Callable[..., object]) -> Callable[..., object]:
        signature = inspect.signature(call, eval_str=True)

        @functools.wraps(call)
        def command(
            *,
            api: str,
            function_key: str,
            output: Output,
            as_json: bool,
            query: str | None,
            **arguments: object,
        ) -> None:
            if output is Output.TABLE and (as_json or query is not None):
                output = Output.JSON
            picked = None if query is None else Query(query)
            try:
                app = Api(url=api, key=function_key)
                answer = call(app, **with_ids(app, signature, arguments))
            except ApiError as err:
                echo(str(err), err=True)
                raise typer.Exit(err.exit_code) from None
            if output is Output.TABLE:
                Terminal().print(show(one_line(answer)))
            else:
                answer = picked.of(answer) if picked else answer
                echo(for_programs(answer, output))

        # typer reads the signature: this is how it learns of the options.
        command.__signature__ = _with_options(signature, key_option)  # type: ignore[attr-defined]  # a function
        group.command(name)(command)
        return call

    return register


def _with_options(signature: inspect.Signature, key_option: str) -> inspect.Signature:
    _, *own = signature.parameters.values()
    keyword = inspect.Parameter.KEYWORD_ONLY
    shared = [
        inspect.Parameter(name, keyword, annotation=annotation, default=default)
        for (name, annotation), default in zip(
            _options(key_option).items(), ("", "", Output.TABLE, False, None), strict=True
        )
    ]
    return signature.replace(parameters=[*(one.replace(kind=keyword) for one in own), *shared])
