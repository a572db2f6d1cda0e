"""The command line's entry point: `cmkflow` and `python -m cmkflow`."""

import inspect
import textwrap
from importlib import metadata
from typing import Annotated

import typer

from cmkflow import (
    assess,
    audit_commands,
    caller_commands,
    deletion_commands,
    doctor_command,
    environment_commands,
    evidence_commands,
    flow_commands,
    key_commands,
    kill_switch_commands,
    login_commands,
    network_commands,
    plan_commands,
    remediation_commands,
    run_archive_commands,
    service_account_commands,
    settings_command,
    state_commands,
    status_command,
    support_request_commands,
    watch_command,
)
from cmkflow.inspect_command import inspect_flow_files
from cmkflow.terminal import echo

_HEADING = "\n\nExamples:\n"


def move_examples_to_epilogs(app: typer.Typer) -> None:
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
            move_examples_to_epilogs(group.typer_instance)


app = typer.Typer(
    name="cmkflow",
    rich_markup_mode=None,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    # A traceback with local variables could show a trigger URL.
    pretty_exceptions_show_locals=False,
)
app.command("inspect")(inspect_flow_files)
app.add_typer(remediation_commands.app, name="remediation")
app.add_typer(plan_commands.app, name="plan")
app.add_typer(flow_commands.app, name="flow")
app.add_typer(assess.app, name="assess")
app.add_typer(audit_commands.app, name="audit")
app.add_typer(caller_commands.app, name="caller")
app.add_typer(environment_commands.app, name="environment")
app.add_typer(network_commands.app, name="network")
app.add_typer(key_commands.app, name="key")
app.add_typer(evidence_commands.app, name="evidence")
app.add_typer(kill_switch_commands.app, name="kill-switch")
app.add_typer(service_account_commands.app, name="service-account")
app.add_typer(run_archive_commands.app, name="run-archive")
app.add_typer(deletion_commands.app, name="deletion")
app.add_typer(state_commands.app, name="state")
app.add_typer(support_request_commands.app, name="support-request")
plan_commands.add_approve_command(app)
remediation_commands.add_retry_and_rollback_commands(app)
watch_command.add_watch_command(app)
kill_switch_commands.add_health_command(app)
status_command.add_status_command(app)
doctor_command.add_doctor_command(app)
settings_command.add_settings_command(app)
login_commands.add_login_commands(app)
move_examples_to_epilogs(app)


def _print_version(is_asked: bool) -> None:
    if is_asked:
        echo(f"cmkflow {metadata.version('cmkflow')}")
        raise typer.Exit


@app.callback()
def describe_app(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Migrate Power Automate flows that stay on Microsoft's key to a customer-managed key."""


def main() -> None:
    """Run the command that `sys.argv` names, and exit with its code."""
    app()


if __name__ == "__main__":
    main()
