"""Generate the tables of documents that come from code.

Each is between two comments of its document.
"""

import inspect
import re
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum

_END = "<!-- end -->"


def with_tables(text: str, module: str, tables: Mapping[str, Iterable[str]]) -> str:
    """Return a document's text in which the tables with these names are generated again."""
    for name, lines in tables.items():
        begin = f"<!-- {name}: python -m {module} -->\n"
        before, found, after = text.partition(begin)
        if not found or _END not in after:
            raise ValueError(f"the document has no place for the {name}")
        text = before + begin + "\n".join((*lines, "")) + after[after.index(_END) :]
    return text


def format_rows(kind: type[StrEnum]) -> Iterator[str]:
    """Yield the rows of a table of an enumeration: each value with the comment (`#:`) that it has
    in the code.
    """
    comments = dict(re.findall(r"^    (\w+) = .+  #: (.+)$", inspect.getsource(kind), re.MULTILINE))
    yield "| | |"
    yield "|---|---|"
    for one in kind:
        yield f"| `{one}` | {comments[one.name]} |"
