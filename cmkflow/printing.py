"""Print an answer in the format that `--output` and `--query` choose."""

from collections.abc import Callable
from typing import Any

from rich.console import RenderableType

from cmkflow.output import JmesPathQuery, OutputFormat, format_for_programs
from cmkflow.pager import print_text
from cmkflow.terminal import echo


class AnswerPrinter:
    """Prints the answers of one command: as text, or for programs.

    It is created before any request, so that a wrong option is reported first.
    """

    def __init__(self, output: OutputFormat, query: str | None, *, no_pager: bool) -> None:
        """Parse `--query`. Raises `BadParameter` if it is not valid."""
        self._query = None if query is None else JmesPathQuery(query)
        is_json = output is OutputFormat.TABLE and query is not None
        self._output = OutputFormat.JSON if is_json else output
        self._is_paged = not no_pager

    @property
    def is_for_people(self) -> bool:
        """Return whether answers are printed as text, and not for programs."""
        return self._output is OutputFormat.TABLE

    def format_for_programs(self, answer: Any) -> str:
        """Return an answer in the chosen format for programs."""
        return format_for_programs(
            self._query.apply(answer) if self._query else answer, self._output
        )

    def print(self, answer: Any, show: Callable[[], RenderableType]) -> None:
        """Print the text that `show` returns, or `answer` in the format for programs."""
        if self.is_for_people:
            print_text(show(), is_paged=self._is_paged)
        else:
            echo(self.format_for_programs(answer))
