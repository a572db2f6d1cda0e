"""The command line's entry point: `cmkflow` and `python -m cmkflow`."""

import typer

from cmkflow.inspect_command import inspect

app = typer.Typer(
    name="cmkflow",
    no_args_is_help=True,
    add_completion=False,
    # A traceback with local variables could show a trigger URL.
    pretty_exceptions_show_locals=False,
)
app.command("inspect")(inspect)


@app.callback()
def describe() -> None:
    """Remediate flows that stay on Microsoft's key when a customer-managed key is applied."""


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
