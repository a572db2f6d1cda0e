"""Generate the table of docs/settings.md: every setting with its default and its comment.

`python -m tests.settings_tables` writes it.
"""

from collections.abc import Iterator
from pathlib import Path

from pydantic.fields import FieldInfo

from shared.settings import Settings, get_setting_name
from shared.use_cases.show_settings import format_default, read_setting_meanings
from tests.generated_tables import with_tables

PAGE = Path(__file__).parents[1] / "docs" / "settings.md"


def with_table(text: str) -> str:
    return with_tables(text, "tests.settings_tables", {"settings": _format_rows()})


def _format_rows() -> Iterator[str]:
    yield "| Setting | Default | Meaning |"
    yield "|---|---|---|"
    meaning = read_setting_meanings()
    for name, field in Settings.model_fields.items():
        yield f"| `{get_setting_name(name)}` | {_format_default(field)} | {meaning[name]} |"


def _format_default(field: FieldInfo) -> str:
    if field.is_required():
        return "must be set"
    text = format_default(field)
    if isinstance(field.default, bool | int):
        return text
    return f"`{text}`" if text else "empty"


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text()))
