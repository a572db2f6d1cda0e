"""Draw random texts of the project, so that a reader can mark whether each is clear and right.

`python -m tests.reading_sample --seed 7` prints Markdown. The same seed and commit draw the same
texts. docs/style.md says how to read them, and has the last result.
"""

import argparse
import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random

ROOT = Path(__file__).parents[1]
CODE = ("function_app.py", "shared", "functions", "cmkflow", "local_cloud", "infra", "tests")
PRODUCT = ("function_app.py", "shared", "functions", "cmkflow")
#: Where texts are that people see on a screen.
SCREENS = (
    "functions/dashboard",
    "shared/html_pages",
    "shared/reason.py",
    "shared/domain/plans/display_text.py",
    "shared/domain/plans/pending_actions.py",
    "cmkflow",
)
DOCUMENTS = ("README.md", "CONTRIBUTING.md", "docs", "local_cloud")
#: How many of each a reader gets.
COUNTS: Mapping[str, int] = {
    "Docstrings": 50,
    "Sentences of documents": 40,
    "Texts on screen": 25,
    "Names of functions": 40,
}
#: What the lines with the evidence of docs/platform.md begin with: sources, and no sentences.
_EVIDENCE = "Documented|Client source|Recorded|Reported|Assumed"
_SHORTEST_SENTENCE = 4
_SHORTEST_TEXT = 3


@dataclass(frozen=True, slots=True, order=True)
class Text:
    """A text and its place, such as `shared/state/rows.py:12`."""

    where: str
    text: str


def list_files(places: Sequence[str], pattern: str) -> list[Path]:
    """Return the files at these places whose names match a pattern, sorted."""
    found = [
        path
        for place in places
        for path in ([ROOT / place] if (ROOT / place).is_file() else (ROOT / place).rglob("*"))
    ]
    return sorted(path for path in found if re.search(pattern, path.name) and path.is_file())


@cache
def collect_texts() -> dict[str, list[Text]]:
    """Return every text that can be drawn, by its group, such as docstrings."""
    found = {
        "Docstrings": _find_docstrings(),
        "Sentences of documents": _find_sentences(),
        "Texts on screen": _find_screen_texts(),
        "Names of functions": _find_function_names(),
    }
    return {group: sorted(set(texts)) for group, texts in found.items()}


def draw(seed: int) -> dict[str, list[Text]]:
    random = Random(seed)  # noqa: S311 - no secret
    return {group: random.sample(texts, COUNTS[group]) for group, texts in collect_texts().items()}


def format_sample(sample: Mapping[str, Sequence[Text]], seed: int) -> str:
    """Return the drawn texts as Markdown tables with an empty column for each mark."""
    lines = [f"# Reading sample {seed}"]
    for group, texts in sample.items():
        lines += [
            "",
            f"## {group}",
            "",
            "| | Where | Text | Clear | Right |",
            "|---|---|---|---|---|",
        ]
        lines += [
            f"| {number} | {one.where} | {_format_cell(one.text)} | | |"
            for number, one in enumerate(texts, 1)
        ]
    return "\n".join(lines)


def _format_cell(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("|", "\\|")


def _parse_files(places: Sequence[str]) -> Iterator[tuple[Path, ast.Module]]:
    for path in list_files(places, r"\.py$"):
        yield path, ast.parse(path.read_text())


def _format_place(path: Path, line: int) -> str:
    return f"{path.relative_to(ROOT)}:{line}"


def _find_docstrings() -> Iterator[Text]:
    for path, tree in _parse_files(CODE):
        for node in ast.walk(tree):
            if isinstance(
                node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
            ) and (docstring := ast.get_docstring(node)):
                name = "" if isinstance(node, ast.Module) else f"`{node.name}`: "
                yield Text(_format_place(path, getattr(node, "lineno", 1)), name + docstring)


def _find_function_names() -> Iterator[Text]:
    for path, tree in _parse_files(PRODUCT):
        for node in ast.walk(tree):
            if isinstance(
                node, ast.FunctionDef | ast.AsyncFunctionDef
            ) and not node.name.startswith("__"):
                yield Text(_format_place(path, node.lineno), f"`{node.name}`")


def _find_sentences() -> Iterator[Text]:
    for path in list_files(DOCUMENTS, r"\.md$"):
        text = re.sub(r"^```.*?^```", _blank_out, path.read_text(), flags=re.DOTALL | re.MULTILINE)
        for paragraph in re.finditer(
            rf"^(?![#|<!]|\*\*(?:{_EVIDENCE})\*\*).+(?:\n(?![#|<!*\-0-9]| *[*\-] ).+)*",
            text,
            re.MULTILINE,
        ):
            line = text.count("\n", 0, paragraph.start()) + 1
            for sentence in re.split(r"(?<=[.!?])\s+(?=[A-Z*`\[])", paragraph[0]):
                sentence = re.sub(r"^(?:[*-] |\d+\. )", "", sentence)
                is_link = re.fullmatch(r"\[[^]]*\]\([^)]*\)", sentence)
                if not is_link and len(sentence.split()) >= _SHORTEST_SENTENCE:
                    yield Text(_format_place(path, line), sentence)


def _blank_out(block: re.Match[str]) -> str:
    return "\n" * block[0].count("\n")


def _find_screen_texts() -> Iterator[Text]:
    for path, tree in _parse_files(SCREENS):
        parts = {
            id(part)
            for node in ast.walk(tree)
            for part in (
                [node.value]
                if isinstance(node, ast.Expr)
                else node.values
                if isinstance(node, ast.JoinedStr)
                else []
            )
        }
        parts |= {id(one) for node in ast.walk(tree) for one in _list_annotations(node)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant | ast.JoinedStr) and id(node) not in parts:
                text = _format_literal(node)
                if _is_prose(text):
                    yield Text(_format_place(path, node.lineno), text)
    for path in list_files(SCREENS, r"\.j2$"):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            text = re.sub(r"\{%.*?%\}|</?[^>]*>", " ", line)
            text = re.sub(r"&\w+;", " ", re.sub(r"\{\{.*?\}\}", "…", text)).strip()
            if _is_prose(text) and "{" not in text:
                yield Text(_format_place(path, number), text)


def _list_annotations(node: ast.AST) -> list[ast.expr | None]:
    """Return the type annotations at a node.

    They may be written as string literals, which are not texts.
    """
    match node:
        case ast.arg() | ast.AnnAssign():
            return [node.annotation]
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            return [node.returns]
        case _:
            return []


def _format_literal(node: ast.Constant | ast.JoinedStr) -> str:
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    return "".join(
        part.value if isinstance(part, ast.Constant) and isinstance(part.value, str) else "…"
        for part in node.values
    )


def _is_prose(text: str) -> bool:
    """Return whether a literal is a sentence: words without markup or code."""
    words = [one for one in text.split() if re.search(r"[A-Za-z]{2,}", one)]
    return len(words) >= _SHORTEST_TEXT and bool(re.match(r"[A-Z…]", text)) and "<" not in text


def main() -> None:
    parser = argparse.ArgumentParser(description="Draw a reading sample.")
    parser.add_argument("--seed", type=int, required=True)
    seed = parser.parse_args().seed
    print(format_sample(draw(seed), seed))


if __name__ == "__main__":
    main()
