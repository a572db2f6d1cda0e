"""Files of the command line in the user's configuration folder, readable only by their owner."""

import json
import os
from pathlib import Path
from typing import Any

import typer


def find_config_folder() -> Path:
    """Return the folder; it may not exist."""
    return Path(typer.get_app_dir("cmkflow"))


def read_file(name: str) -> dict[str, Any]:
    """Return the content of a file; empty if it cannot be read."""
    try:
        content: dict[str, Any] = json.loads((find_config_folder() / name).read_text())
    except (OSError, ValueError):
        return {}
    return content


def write_file(name: str, content: dict[str, Any]) -> None:
    """Replace a file."""
    find_config_folder().mkdir(parents=True, exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    with os.fdopen(os.open(find_config_folder() / name, flags, 0o600), "w") as file:
        json.dump(content, file, indent=1)
