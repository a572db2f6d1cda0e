"""Find uses of the words in `words_to_avoid.txt`.

`python -m tests.words [PATH…]` prints each use: file, line, pattern and what to write instead.
`python -m tests.words --lower` lowers the ceilings of tests/unit/test_words.py to the present
numbers.

Documents are searched, and in Python comments, strings and the names that the code declares, which
are split into words. A comment on the same line allows a use: `# avoid-ok: REASON` in Python, and
`<!-- avoid-ok: REASON -->` in Markdown. After a string of several lines, it is on the last line.
"""

import ast
import re
import subprocess
import sys
import tokenize
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cache
from io import StringIO
from pathlib import Path

ROOT = Path(__file__).parents[1]
WORDS = ROOT / "tests" / "words_to_avoid.txt"
#: Generated, or quoting others; and the history, which names what was renamed.
_EXEMPT = re.compile(
    r"CHANGELOG\.md|LICENSE|tests/words\.py|tests/words_to_avoid\.txt|tests/unit/test_words\.py|requirements[a-z-]*\.txt|\.secrets\.baseline|infra/snapshots/.*|tests/stored_rows/.*|.*\.(png|svg|pem|zip|amqp|bin|sqlite)"
)
_ALLOWED = re.compile(r"(?:#|<!--|//) avoid-ok(?:: *(?P<reason>.*?))?(?: *(?:-->|#\}).*)?$")
_WORD_ENDS = re.compile(r"_|(?<=[a-z0-9])(?=[A-Z])")


@dataclass(frozen=True, slots=True, kw_only=True)
class AvoidedWord:
    """A row of `words_to_avoid.txt`."""

    pattern: str
    compiled: re.Pattern[str]
    instead: str
    #: Files in which it may be used, as `fnmatch` takes them.
    except_in: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """A text that is searched, and the lines on which a comment can allow its words."""

    text: str
    line: int
    last_line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A use of an avoided word, or an exception without a reason or without a use."""

    path: str
    line: int
    found: str
    pattern: str
    instead: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.found!r} ({self.pattern}): {self.instead}"

    @property
    def folder(self) -> str:
        """Return the top-level folder, or `.` for a file in the root."""
        return self.path.partition("/")[0] if "/" in self.path else "."


@cache
def read_avoided_words() -> tuple[AvoidedWord, ...]:
    """Return the rows of `words_to_avoid.txt`.

    A path in backquotes in the last cell names files in which the word may be used.
    """
    rows = re.findall(r"^\| `(.+?)` \| (.+?) \|(?: (.+))? \|$", WORDS.read_text(), re.MULTILINE)
    return tuple(
        AvoidedWord(
            pattern=pattern.replace(r"\|", "|"),
            # A phrase may go over the end of a line, also of a comment.
            compiled=re.compile(
                pattern.replace(r"\|", "|").replace(" ", r"\s+(?:#:?\s+)?"), re.IGNORECASE
            ),
            instead=instead,
            except_in=tuple(re.findall(r"`([^`]+/[^`]*)`", narrowed)),
        )
        for pattern, instead, narrowed in rows
    )


@cache
def _compile_any_word() -> re.Pattern[str]:
    """Return a pattern that matches any avoided word, to skip most passages quickly."""
    patterns = "|".join(f"(?:{word.compiled.pattern})" for word in read_avoided_words())
    return re.compile(patterns, re.IGNORECASE)


def list_files(paths: Iterable[str] = ()) -> list[str]:
    """Return the files of the repository that are searched, or only those below some paths."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *paths],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    found = (path for path in listed.stdout.splitlines() if not _EXEMPT.fullmatch(path))
    return [path for path in found if (ROOT / path).is_file()]


def find_hits(path: str, text: str) -> Iterator[Hit]:
    lines = text.splitlines()
    allowed = {
        number: one for number, line in enumerate(lines, 1) if (one := _ALLOWED.search(line))
    }
    used: set[int] = set()
    words = [
        word
        for word in read_avoided_words()
        if not any(fnmatch(path, one) for one in word.except_in)
    ]
    for passage in find_passages(path, text):
        if not _compile_any_word().search(passage.text):
            continue
        for word in words:
            for one in word.compiled.finditer(passage.text):
                line = passage.line + passage.text.count("\n", 0, one.start())
                if excused := allowed.keys() & {line, passage.last_line}:
                    used |= excused
                    continue
                yield Hit(
                    path=path,
                    line=line,
                    found=" ".join(one[0].split()),
                    pattern=word.pattern,
                    instead=word.instead,
                )
    for number, exception in allowed.items():
        for wrong, instead in (
            (not exception["reason"], "name the reason"),
            (number not in used, "remove it: the line has no word to avoid"),
        ):
            if wrong:
                yield Hit(
                    path=path, line=number, found="avoid-ok", pattern="avoid-ok", instead=instead
                )


def find_passages(path: str, text: str) -> Iterator[Passage]:
    """Yield the passages of a file, beginning with its path."""
    yield Passage(text=_split_names(path), line=1, last_line=1)
    if path.endswith(".py"):
        yield from _find_python_passages(text)
        return
    # An exception is for its own line: passages of one line, and phrases over the end of two.
    for number, (line, after) in enumerate(_pair_lines(text.splitlines()), 1):
        yield Passage(text=_split_names(_without_exception(line)), line=number, last_line=number)
        yield from _find_phrases_over_line_ends(line, after, number)


def _find_phrases_over_line_ends(line: str, after: str, number: int) -> Iterator[Passage]:
    """Yield the end of a line joined with the beginning of the next, for phrases that a line break
    divides.
    """
    both = f"{' '.join(line.split()[-2:])}\n{' '.join(after.split()[:2])}"
    for one in _compile_any_word().finditer(both):
        if "\n" in one[0]:
            yield Passage(text=one[0], line=number, last_line=number)


def _pair_lines(lines: list[str]) -> Iterator[tuple[str, str]]:
    return zip(lines, [*lines[1:], ""], strict=True)


def _find_python_passages(text: str) -> Iterator[Passage]:
    comment: list[tokenize.TokenInfo] = []
    for token in tokenize.generate_tokens(StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            if comment and token.start[0] != comment[-1].start[0] + 1:
                yield from _join_comment(comment)
                comment = []
            comment.append(token)
        elif token.type in {tokenize.STRING, tokenize.FSTRING_MIDDLE}:
            written = _split_names(token.string)
            yield Passage(text=written, line=token.start[0], last_line=token.end[0])
    yield from _join_comment(comment)
    for node in ast.walk(ast.parse(text)):
        for name in _list_declared_names(node):
            line = getattr(node, "lineno", 1)
            yield Passage(text=_split_names(name), line=line, last_line=line)


def _join_comment(tokens: list[tokenize.TokenInfo]) -> Iterator[Passage]:
    if tokens:
        text = "\n".join(_without_exception(one.string) for one in tokens)
        last = tokens[-1].start[0] if len(tokens) > 1 else tokens[0].start[0]
        yield Passage(text=_split_names(text), line=tokens[0].start[0], last_line=last)


def _list_declared_names(node: ast.AST) -> Iterator[str]:
    """Yield the names that a node of the code declares."""
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.arg(arg=name) | ast.TypeVar(name=name):
            yield name
        case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
            yield name
        case ast.alias(asname=str(name)):
            yield name
        case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)):
            yield name


def _without_exception(line: str) -> str:
    return re.sub(r"(?:#|<!--|//) avoid-ok.*", "", line)


def _split_names(text: str) -> str:
    """Return a text in which names are split into words."""
    return _WORD_ENDS.sub(" ", text)


def find_all_hits(paths: Iterable[str] = ()) -> Iterator[Hit]:
    """Yield the hits of all files, or only of those below some paths."""
    for path in list_files(paths):
        try:
            text = (ROOT / path).read_text()
        except UnicodeDecodeError:
            continue
        yield from find_hits(path, text)


def lower_ceilings() -> None:
    """Write the present number of hits of each folder into tests/unit/test_words.py."""
    test = ROOT / "tests" / "unit" / "test_words.py"
    counts = Counter(hit.folder for hit in find_all_hits())
    text = re.sub(
        r'^    "([^"]+)": \d+,$',
        lambda one: f'    "{one[1]}": {counts[one[1]]},',
        test.read_text(),
        flags=re.MULTILINE,
    )
    test.write_text(text)


def main(arguments: list[str]) -> None:
    if arguments == ["--lower"]:
        lower_ceilings()
        return
    for hit in find_all_hits(arguments):
        print(hit)


if __name__ == "__main__":
    main(sys.argv[1:])
