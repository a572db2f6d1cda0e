"""The generated table of docs/settings.md: every setting with its default and comment.

`python -m tests.settings_tables` writes it.
"""

import ast
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from pydantic import TypeAdapter
from pydantic.fields import FieldInfo

from shared.settings import Settings
from tests.generated_tables import with_tables

_ROOT = Path(__file__).parents[1]
PAGE = _ROOT / "docs" / "settings.md"
_SOURCE = _ROOT / "shared" / "settings.py"
_MARK = "#: "


def with_table(text: str) -> str:
    """Return the text of the page with the table that the code generates."""
    return with_tables(text, "tests.settings_tables", {"settings": _rows()})


def setting_of(name: str) -> str:
    """Return the application setting of a field."""
    return str(Settings.model_fields[name].validation_alias or f"CMK_{name.upper()}")


def comments() -> dict[str, str]:
    """Return the `#:` comment above each field."""
    source = _SOURCE.read_text()
    lines = source.splitlines()
    found = {}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            first = node.lineno - 1
            while lines[first - 1].strip().startswith(_MARK):
                first -= 1
            block = lines[first : node.lineno - 1]
            found[node.target.id] = " ".join(line.strip().removeprefix(_MARK) for line in block)
    return found


def _rows() -> Iterator[str]:
    yield "| Setting | Default | Meaning |"
    yield "|---|---|---|"
    meaning = comments()
    for name, field in Settings.model_fields.items():
        yield f"| `{setting_of(name)}` | {_default(field)} | {meaning[name]} |"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "must be set"
    match field.default:
        case None | "" | ():
            return "empty"
        case bool() | int():
            return str(field.default).lower()
        case timedelta():
            return f"`{TypeAdapter(timedelta).dump_python(field.default, mode='json')}`"
        case _:
            return f"`{field.default}`"


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text()))
