import ast
import io
from pathlib import Path

import pytest
from rich.console import Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from cmkflow.terminal import Terminal, echo, remove_unprintable

ROOT = Path(__file__).parents[2]
#: Clears the screen; sets the title; turns what follows round; ends a line for some; half of 😀.
STEERING = ("\x1b[2J", "\x9b2J", "\x1b]0;pwned\x07", "\u202e", "\u2066", "\r", "\u2028", "\ud83d")


@pytest.mark.parametrize("text", STEERING)
def test_control_characters_are_replaced(text: str) -> None:
    shown = remove_unprintable(f"Orders{text}Invoices")

    assert shown.startswith("Orders�")
    assert len(shown) == len(f"Orders{text}Invoices")
    assert not set(shown) & set("\x1b\x9b\x07\u202e\u2066\r\u2028\ud83d")


@pytest.mark.parametrize(
    "text", ["Bestellung löschen", "خبر", "👩‍🚀 ❤️", "नमस्‍ते", "a\tb\nc", "a\xa0b"]
)
def test_text_of_any_script_is_not_changed(text: str) -> None:
    assert remove_unprintable(text) == text


def _print_to_text(*renderables: object) -> str:
    terminal = Terminal()
    terminal.width = 200  # a panel is as wide as the terminal
    terminal.file = io.StringIO()
    terminal.print(*renderables)
    return terminal.file.getvalue()


@pytest.mark.parametrize("text", STEERING)
def test_control_characters_are_replaced_in_every_rich_element(text: str) -> None:
    table = Table(text, title=text)
    table.add_row(Text(text, style="bold"))
    table.add_row(text)
    shown = _print_to_text(
        Group(Text.assemble((text, "red"), "  ", text), Panel(Text(text), title=text)), table, text
    )

    assert shown == remove_unprintable(shown)


def test_name_is_not_interpreted_as_markup() -> None:
    assert _print_to_text("[link=https://evil.example]Orders[/] :smile:").strip() == (
        "[link=https://evil.example]Orders[/] :smile:"
    )


def test_control_characters_in_an_error_line_are_replaced(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Error messages contain names from the tenant, which may contain such characters."""
    echo("No flow \x1b[31m", err=True)

    assert capsys.readouterr().err == "No flow �[31m\n"


def test_only_one_module_writes_to_the_terminal() -> None:
    folders = (
        ROOT / "cmkflow",
        ROOT / "local_cloud" / "demo",
        ROOT / "local_cloud" / "apply_policy.py",
    )
    files = [path for folder in folders for path in (folder.rglob("*.py") or [folder])]
    others = [
        f"{path.name}: {name}"
        for path in [*files, ROOT / "local_cloud" / "__main__.py"]
        if path.name != "terminal.py"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        for name in (ast.unparse(node.func),)
        if name
        in {"print", "Console", "typer.echo", "typer.secho", "typer.confirm", "typer.prompt"}
        or name.startswith(("sys.stdout", "sys.stderr"))
    ]

    assert len(files) > 40
    assert not others


def test_no_signature_reaches_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Names and messages may contain a trigger URL."""
    url = f"https://p.logic.azure.com/workflows/{'a' * 32}/triggers/m/paths/invoke?sig={'s' * 43}"
    table = Table()
    table.add_row(Text.assemble(("Flow ", "bold"), (url, "red")))

    echo(url)

    shown = _print_to_text(table, url) + capsys.readouterr().out
    assert shown.count("https://p.logic.azure.com/…/workflows/") >= 2
    assert "sss" not in shown
