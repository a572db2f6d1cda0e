import ast
import re
from collections.abc import Iterator

import pytest

from tests.command_tree import build_command_tree, is_group
from tests.documented_commands import ROOT

_NAMED = re.compile(r"`cmkflow ((?:[a-z][a-z-]*)(?: [a-z][a-z-]*)?)")


def _find_named_commands() -> Iterator[tuple[str, str]]:
    for folder in ("cmkflow", "functions", "local_cloud", "shared"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            source = path.read_text()
            for node in ast.walk(ast.parse(source)) if "`cmkflow" in source else ():
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    text = " ".join(node.value.split())
                    yield from ((str(path.relative_to(ROOT)), one) for one in _NAMED.findall(text))


@pytest.mark.parametrize(("path", "name"), sorted(set(_find_named_commands())))
def test_every_command_named_in_a_text_exists(path: str, name: str) -> None:
    tree = build_command_tree()
    words = tuple(name.split(" "))

    assert words in tree or (words[:1] in tree and not is_group(tree[words[:1]])), path
