"""Files that a command is told to read or write."""

from pathlib import Path

import typer


def named_file(text: str) -> Path:
    """Return a path; an empty text (a variable that is not set) would be the current folder."""
    if not text:
        raise typer.BadParameter("No file is named.")
    return Path(text)


def write_page(file: Path, page: str) -> None:
    """Write a page; raises `BadParameter` where that cannot be."""
    write_file(file, page.encode())


def write_file(file: Path, content: bytes) -> None:
    """Write a file; raises `BadParameter` where that cannot be."""
    try:
        file.write_bytes(content)
    except OSError as err:
        message = f"{file} cannot be written: {err.strerror}."
        raise typer.BadParameter(message) from None
