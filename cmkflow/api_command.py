"""Register commands that call the API, with the options and the output that they share."""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import typer
from rich.console import RenderableType

from cmkflow.api_client import ApiClient, ApiError
from cmkflow.names import with_ids
from cmkflow.output import JmesPathQuery, OutputFormat, for_programs
from cmkflow.pager import NoPager, print_text
from cmkflow.terminal import echo, one_line
from cmkflow.watching import WatchOptions, follow

_DEFAULTS = {
    "api": "",
    "function_key": "",
    "output": OutputFormat.TABLE,
    "no_pager": False,
    "query": None,
}

type Show = Callable[[Any], RenderableType]


def _options() -> dict[str, Any]:
    return {
        "api": Annotated[
            str,
            typer.Option("--api", envvar="CMKFLOW_API", help="URL of the app.", show_default=False),
        ],
        "function_key": Annotated[
            str,
            typer.Option(
                "--function-key",
                envvar="CMKFLOW_KEY",
                help="Function key of the app.",
                show_default=False,
            ),
        ],
        "output": Annotated[
            OutputFormat,
            typer.Option(
                "--output",
                "-o",
                help="Output format. json is the API's answer; tsv and csv are its rows.",
            ),
        ],
        "no_pager": NoPager,
        "query": Annotated[
            str | None,
            typer.Option(
                help="JMESPath query on the API's answer. Prints JSON unless --output is set.",
                show_default=False,
            ),
        ],
    }


def api_command(
    group: typer.Typer,
    name: str,
    *,
    show: Show,
    watched: WatchOptions | None = None,
    is_hidden: bool = False,
    ends: Callable[[Any], int] = lambda _: 0,
) -> Callable[[Callable[..., object]], Callable[..., object]]:
    """Register a function of `ApiClient` and other parameters as a command.

    The function returns the API's answer, which is printed by `show` or in the format of
    `--output`. An `ApiError` is printed and ends the command with its exit code. With `watched`,
    the command follows the answer instead of showing it once. `ends` returns the exit code for an
    answer.
    """

    def register(call: Callable[..., object]) -> Callable[..., object]:
        signature = inspect.signature(call, eval_str=True)
        options = _options()

        @functools.wraps(call)
        def command(
            *,
            api: str,
            function_key: str,
            output: OutputFormat,
            no_pager: bool,
            query: str | None,
            **arguments: object,
        ) -> None:
            if output is OutputFormat.TABLE and query is not None:
                output = OutputFormat.JSON
            picked = None if query is None else JmesPathQuery(query)
            app = ApiClient(url=api, key=function_key)

            def program(answer: Any) -> str:
                return for_programs(picked.of(answer) if picked else answer, output)

            try:
                given = with_ids(app, signature, arguments)
                if watched:
                    shown = show if output is OutputFormat.TABLE else None
                    follow(lambda: call(app, **given), watched, shown, program)
                answer = call(app, **given)
            except ApiError as err:
                echo(str(err), err=True)
                raise typer.Exit(err.exit_code) from None
            if output is OutputFormat.TABLE:
                print_text(show(one_line(answer)), is_paged=not no_pager)
            else:
                echo(program(answer))
            if code := ends(answer):
                raise typer.Exit(code)

        # typer reads the options from the signature.
        command.__signature__ = _with_options(signature, options)  # type: ignore[attr-defined]  # a function
        group.command(name, hidden=is_hidden)(command)
        return call

    return register


def _with_options(signature: inspect.Signature, options: Mapping[str, Any]) -> inspect.Signature:
    _, *own = signature.parameters.values()
    keyword = inspect.Parameter.KEYWORD_ONLY
    shared = [
        inspect.Parameter(name, keyword, annotation=annotation, default=_DEFAULTS[name])
        for name, annotation in options.items()
    ]
    return signature.replace(parameters=[*(one.replace(kind=keyword) for one in own), *shared])
