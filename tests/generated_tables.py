"""Tables that the code writes into a document, between two comments of the document."""

import inspect
import re
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum

_END = "<!-- end -->"


def with_tables(text: str, module: str, tables: Mapping[str, Iterable[str]]) -> str:
    """Return the text of a document with its tables, by name."""
    for name, lines in tables.items():
        begin = f"<!-- {name}: python -m {module} -->\n"
        before, found, after = text.partition(begin)
        if not found or _END not in after:
            raise ValueError(f"the document has no place for the {name}")
        text = before + begin + "\n".join((*lines, "")) + after[after.index(_END) :]
    return text


def format_rows(kind: type[StrEnum]) -> Iterator[str]:
    """Yield a table of the values of an enumeration, each with its comment (`#:`) in the code."""
    comments = dict(re.findall(r"^    (\w+) = .+  #: (.+)$", inspect.getsource(kind), re.MULTILINE))
    yield "| | |"
    yield "|---|---|"
    for one in kind:
        yield f"| `{one}` | {comments[one.name]} |"
