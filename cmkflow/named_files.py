"""Parse file names, and write files."""

import os
from pathlib import Path

import typer


def parse_file_name(text: str) -> Path:
    """Return the path that a text names. Raises `BadParameter` for an empty text, such as the value
    of an unset variable.
    """
    if not text:
        raise typer.BadParameter("Give a file name.")
    return Path(text)


def format_path(path: Path) -> str:
    """Return a path as text. Bytes that are not UTF-8 become replacement characters."""
    return os.fsencode(path).decode("utf-8", "replace")


def write_file(file: Path, content: bytes) -> None:
    """Write bytes to a file. Raises `BadParameter` if that fails."""
    try:
        file.write_bytes(content)
    except OSError as err:
        message = f"Cannot write {file}: {err.strerror}."
        raise typer.BadParameter(message) from None
