"""Turn functions that call the API into commands with the same options, such as `--output`."""

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from rich.console import RenderableType

from cmkflow.api_client import ApiClient, ApiError, ExitCode
from cmkflow.names import replace_names_with_ids
from cmkflow.output import Output, OutputFormat, Query
from cmkflow.paragraphs import print_next_commands
from cmkflow.printing import AnswerPrinter, NoPager
from cmkflow.profiles import Address, Debug, ProfileName, find_app_url
from cmkflow.terminal import echo, remove_line_breaks
from cmkflow.watching import WatchOptions, follow_answer

#: Annotation and default of the options that all commands have, by the name of the parameter.
_OPTIONS: Mapping[str, tuple[Any, object]] = {
    "api": (Address, ""),
    "profile": (ProfileName, ""),
    "function_key": (
        Annotated[
            str,
            typer.Option(
                "--function-key",
                envvar="CMKFLOW_KEY",
                help="Function key of the app.",
                show_default=False,
            ),
        ],
        "",
    ),
    "output": (Output, OutputFormat.TABLE),
    "no_pager": (NoPager, False),
    "query": (Query, None),
    "debug": (Debug, False),
}

type Show = Callable[[Any], RenderableType]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """The API's answer to a command, and what the command prints."""

    answer: Any
    #: Formats the answer instead of the command's `show`.
    show: Show | None = None
    #: Printed on stderr after the text.
    next_commands: Sequence[str] = ()
    #: What the answer lacks; printed on stderr in every format of the output.
    warnings: Sequence[str] = ()


def api_command(
    group: typer.Typer,
    name: str,
    *,
    show: Show,
    watched: WatchOptions | None = None,
    ends: Callable[[Any], int] = lambda _: 0,
) -> Callable[[Callable[..., object]], Callable[..., object]]:
    """Return a decorator that registers a function as a command.

    The function takes an `ApiClient` and the command's parameters. It returns the API's answer, or
    a `Shown` with its own `show`. `show` formats the answer for people. `watched` repeats the
    function and shows each new answer. `ends` returns the exit code for an answer. An `ApiError` is
    printed and ends the command with its exit code.
    """

    def add_command(call: Callable[..., object]) -> Callable[..., object]:
        signature = inspect.signature(call, eval_str=True)

        @functools.wraps(call)
        def run_command(
            *,
            api: str,
            function_key: str,
            output: OutputFormat,
            no_pager: bool,
            query: str | None,
            profile: str,
            debug: bool,
            **arguments: object,
        ) -> None:
            printer = AnswerPrinter(output, query, no_pager=no_pager)
            app = ApiClient(url=find_app_url(api, profile), key=function_key, is_debug=debug)
            try:
                given = replace_names_with_ids(app, signature, arguments)
                if watched:
                    shown = show if printer.is_for_people else None
                    follow_answer(
                        lambda: call(app, **given), watched, shown, printer.format_for_programs
                    )
                found = call(app, **given)
            except ApiError as err:
                echo(str(err), err=True)
                raise typer.Exit(err.exit_code) from None
            except KeyboardInterrupt:
                echo(
                    "Stopped watching. The app continues its work." if watched else "Interrupted.",
                    err=True,
                )
                raise typer.Exit(ExitCode.INTERRUPTED) from None
            shown_answer = found if isinstance(found, Shown) else Shown(answer=found)
            answer, format_answer = shown_answer.answer, shown_answer.show or show
            printer.print(answer, lambda: format_answer(remove_line_breaks(answer)))
            for warning in shown_answer.warnings:
                echo(warning, err=True)
            if printer.is_for_people:
                print_next_commands(shown_answer.next_commands)
            if code := ends(answer):
                raise typer.Exit(code)

        # typer reads the options from the signature.
        run_command.__signature__ = _with_common_options(signature)  # type: ignore[attr-defined]  # a function
        group.command(name)(run_command)
        return call

    return add_command


def _with_common_options(signature: inspect.Signature) -> inspect.Signature:
    _, *own = signature.parameters.values()
    keyword = inspect.Parameter.KEYWORD_ONLY
    shared = [
        inspect.Parameter(name, keyword, annotation=annotation, default=default)
        for name, (annotation, default) in _OPTIONS.items()
    ]
    return signature.replace(parameters=[*(one.replace(kind=keyword) for one in own), *shared])
