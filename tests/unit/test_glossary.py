import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests import documented_commands
from tests.words import read_avoided_words

ROOT = Path(__file__).parents[2]
PRODUCT = ("shared", "functions", "cmkflow")


class Term(NamedTuple):
    name: str
    code: str
    meaning: str


def read_terms() -> list[Term]:
    text = (ROOT / "docs" / "glossary.md").read_text()
    section = text.partition("\n## Terms\n")[2].partition("\n## ")[0]
    lines = re.findall(r"^\* .+$", section, re.MULTILINE)
    found = [re.fullmatch(r"\* \*\*(.+?)\*\*(?: \((.+?)\))?: (.+)", line) for line in lines]
    assert all(found), section
    return [Term(one[1], one[2] or "", one[3]) for one in found if one]


TERMS = read_terms()
NAMES = [name for _, code, _ in TERMS for name in re.findall(r"`([^`]+)`", code)]


def find_declared_names(node: ast.AST, owner: str = "") -> Iterator[str]:
    """Yield the names that code declares, those of members as `Class.member`."""
    for child in ast.iter_child_nodes(node):
        match child:
            case ast.ClassDef(name=name):
                yield name
                yield from find_declared_names(child, f"{name}.")
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield owner + name
            case ast.AnnAssign(target=ast.Name(id=name)):
                yield owner + name
            case ast.Assign(targets=[ast.Name(id=name)]):
                yield owner + name
            case _:
                pass


@pytest.fixture(scope="module")
def declared() -> set[str]:
    paths = [path for folder in PRODUCT for path in (ROOT / folder).rglob("*.py")]
    return {name for path in paths for name in find_declared_names(ast.parse(path.read_text()))}


def test_every_meaning_is_a_sentence() -> None:
    assert TERMS
    assert [one for one in TERMS if not one.meaning.endswith(".")] == []


def test_no_term_is_defined_twice() -> None:
    counts = Counter(term.lower() for term, _, _ in TERMS)

    assert [term for term, count in counts.items() if count > 1] == []


def test_brackets_after_a_term_contain_only_code_names() -> None:
    """No test would check a name that is not in backticks."""
    assert NAMES
    assert [code for _, code, _ in TERMS if re.sub(r"`[^`]+`|, ", "", code)] == []


def test_every_name_in_code_exists(declared: set[str]) -> None:
    missing = [
        name for name in NAMES if not ((ROOT / name).exists() if "/" in name else name in declared)
    ]

    assert missing == []


#: Pages that quote Microsoft, show what programs print, are written by a program, or use the terms
#: of AMQP.
QUOTING_PAGES = {
    "docs/command-reference.md",
    "docs/copies.md",
    "docs/coverage.md",
    "docs/first-hour.md",
    "docs/glossary.md",
    "docs/performance.md",
    "local_cloud/service_bus/README.md",
}


def find_words_to_avoid(text: str) -> list[str]:
    return [found[0] for word in read_avoided_words() for found in word.compiled.finditer(text)]


def extract_prose(page: str) -> str:
    """Return a document without code, targets of links and quotations."""
    page = re.sub(r"^```.*?^```", "", page, flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"`[^`]*`|(?<=\])\([^)\n]*\)|\"[^\"\n]*\"", "", page)


@pytest.mark.parametrize(
    "path",
    [
        path
        for path in documented_commands.PAGES
        if str(path.relative_to(ROOT)) not in QUOTING_PAGES
    ],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_no_document_uses_a_word_to_avoid(path: Path) -> None:
    """A term that was replaced once must not be used again."""
    assert find_words_to_avoid(extract_prose(path.read_text())) == []


def test_extract_prose_omits_code_links_and_quotations() -> None:
    page = (
        'A twin. `twin` "the twin" [a](twin.md)\n```\ntwin\n```\n'  # avoid-ok: the test needs a hit
    )

    assert find_words_to_avoid(extract_prose(page)) == ["twin"]  # avoid-ok: the test needs a hit


def test_terms_and_meanings_contain_no_word_to_avoid() -> None:
    texts = [f"{term}. {meaning}" for term, _, meaning in TERMS]

    assert [
        (text, word.pattern)
        for text in texts
        for word in read_avoided_words()
        if word.compiled.search(text)
    ] == []
