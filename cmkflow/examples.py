"""Show the examples of a command's docstring at the end of its `--help`."""

import inspect
import textwrap

import typer

_HEADING = "\n\nExamples:\n"


def move_examples(app: typer.Typer) -> None:
    """Move the examples of each command from its help to its epilog.

    Raises `ValueError` if a command has no examples.
    """
    for command in app.registered_commands:
        text, heading, examples = (inspect.getdoc(command.callback) or "").partition(_HEADING)
        if not heading:
            raise ValueError(f"{command.name}: add examples to the docstring of the command")
        command.help = text
        # The character keeps the lines of a paragraph (click.palletsprojects.com, "Documenting").
        command.epilog = "\b\nExamples:\n" + textwrap.indent(textwrap.dedent(examples), "  ")
    for group in app.registered_groups:
        if group.typer_instance is not None:
            move_examples(group.typer_instance)
