import shlex

import pytest
from typer.testing import CliRunner

from cmkflow.__main__ import app
from tests.command_reference import COMMON, PAGE, build_reference, find_summary
from tests.command_tree import build_command_tree, is_group


def test_command_reference_page_is_generated_from_the_commands() -> None:
    """If this fails, run `python -m tests.command_reference`, which writes the page."""
    assert PAGE.read_text() == build_reference()


def test_help_of_each_command_contains_the_text_of_the_reference() -> None:
    text = PAGE.read_text()
    for words, command in build_command_tree().items():
        if is_group(command):
            continue
        done = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": "80"})

        assert done.exit_code == 0, words
        assert max(map(len, done.stdout.splitlines())) <= 80, words
        assert find_summary(command.help) in text
        for one in command.params:
            if not one.hidden and one.name not in COMMON:
                shown = one.metavar if one.param_type_name == "argument" else one.opts[0]
                assert (shown or one.name).lower() in done.stdout.lower(), words


def test_no_command_is_missing_in_the_help_of_its_group() -> None:
    assert [words for words, command in build_command_tree().items() if command.hidden] == []


@pytest.mark.parametrize(
    "words",
    [words for words, one in build_command_tree().items() if not is_group(one)],
    ids=" ".join,
)
def test_examples_of_a_command_are_in_its_help_and_are_valid(words: tuple[str, ...]) -> None:
    command = build_command_tree()[words]
    shown = CliRunner().invoke(app, [*words, "--help"]).stdout.partition("Examples:\n")[2]
    examples = [line.strip() for line in shown.splitlines() if line.strip()]

    assert examples
    for example in examples:
        beginning = ["cmkflow", *words]
        typed = shlex.split(example)
        assert typed[: len(beginning)] == beginning
        assert command.make_context(words[-1], typed[len(beginning) :], resilient_parsing=True)
