"""Every command's `--help` stands in the documents."""

from typer.testing import CliRunner

from cmkflow.__main__ import app
from tests.command_reference import COMMON, PAGE, one_line, reference
from tests.command_tree import command_tree, is_group


def test_the_reference_is_what_the_commands_say() -> None:
    """`python -m tests.command_reference` writes it anew."""
    assert PAGE.read_text() == reference()


def test_the_help_of_each_command_says_what_the_reference_says() -> None:
    """With every option, which only the help explains, and no text cut off: in 80 columns too."""
    text = PAGE.read_text()
    for words, command in command_tree().items():
        if is_group(command):
            continue
        done = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": "80"})

        assert done.exit_code == 0, words
        assert max(map(len, done.stdout.splitlines())) <= 80, words
        assert one_line(command.help) in text
        for one in command.params:
            if not one.hidden and one.name not in COMMON:
                shown = one.metavar if one.param_type_name == "argument" else one.opts[0]
                assert (shown or one.name).lower() in done.stdout.lower(), words
