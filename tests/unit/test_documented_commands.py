"""Test that each command in a document is run by a test, or marked as needing Azure."""

import subprocess
import sys
from functools import cache
from itertools import takewhile

import pytest

from tests.command_tree import build_command_tree, is_group
from tests.documented_commands import ROOT, Command, list_documented_commands

COMMANDS = list_documented_commands()
_INSTALLED = "tests/e2e/test_installed_command.py"
#: The beginnings of commands that other tests run, with the tests.
RUN_BY = {
    "pip install .": _INSTALLED,
    "pip wheel --no-deps --wheel-dir": _INSTALLED,
    # Both make an environment and have the same wheel built and installed.
    "pipx install .": _INSTALLED,
    "uv tool install .": _INSTALLED,
    "sudo apt-get install": "tests/e2e/bare_machine.sh",
    "git clone REPOSITORY": "tests/e2e/bare_machine.sh",
    'curl -X POST "http://127.0.0.1:7071/admin/': (
        "tests/local_cloud/functions_host/test_functions_host_start.py"
    ),
}


def select_commands(program: str) -> list[Command]:
    return [one for one in COMMANDS if one.words[0] == program]


@cache
def run(*command: str) -> tuple[int, str]:
    done = subprocess.run(
        command, cwd=ROOT, check=False, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    return done.returncode, done.stdout


def test_command_that_needs_azure_is_marked_in_its_document() -> None:
    """The reader sees before typing the command that it needs Azure."""
    needing = [one for one in COMMANDS if one.needs_azure and one.page != "README.md"]

    assert needing
    assert [str(one) for one in needing if not one.is_marked] == []


def test_every_other_command_is_run_by_a_test() -> None:
    here = {"cmkflow", "make", "python", "export"}  # export sets a variable
    others = [one for one in COMMANDS if not one.needs_azure and one.words[0] not in here]
    others = [one for one in others if "$APP/api/" not in one.text]

    told = {str(one): [start for start in RUN_BY if one.text.startswith(start)] for one in others}

    assert {where: starts for where, starts in told.items() if len(starts) != 1} == {}
    assert {start for starts in told.values() for start in starts} == set(RUN_BY)
    assert all((ROOT / test).exists() for test in RUN_BY.values())


@pytest.mark.parametrize("command", select_commands("cmkflow"), ids=str)
def test_command_named_in_a_sentence_exists(command: Command) -> None:
    if command.words[1].startswith("--"):
        assert f"{command.words[1]} " in run(sys.executable, "-m", "cmkflow", "--help")[1]
        return
    tree = build_command_tree()
    names = [command.words[1 : 1 + length] for length in (1, 2)]
    found = [tree[name] for name in names if name in tree]

    assert found, command.text
    assert not is_group(found[-1]) or (command.words[1:] in tree and not command.is_fenced)


@pytest.mark.parametrize("command", select_commands("make"), ids=str)
def test_documented_make_command_has_a_target(command: Command) -> None:
    variables = {word.partition("=")[0] for word in command.words if "=" in word}
    source = (ROOT / "Makefile").read_text()

    code, output = run("make", "--dry-run", *command.words[1:])

    assert code == 0, output
    assert {name for name in variables if f"$({name})" not in source} == set()


@pytest.mark.parametrize("command", select_commands("python"), ids=str)
def test_documented_python_command_accepts_its_options(command: Command) -> None:
    if command.words[1] != "-m":
        assert (ROOT / command.words[1]).is_file()
        return

    called = takewhile(lambda word: not word.startswith("--"), command.words[1:])
    code, output = run(sys.executable, *called, "--help")

    assert code == 0, output
    options = {word for word in command.words if word.startswith("--")}
    assert {option for option in options if f"{option} " not in output} == set()
