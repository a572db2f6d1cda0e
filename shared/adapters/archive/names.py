"""Check names of archived files."""

import re

_NAME = re.compile(r"(?!.*\.\.)[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*")
_LONGEST = 200


def require_valid_name(name: str) -> None:
    """Raise `ValueError` for a path outside the archive or with unsupported characters."""
    if len(name) > _LONGEST or not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not a valid name for an archived file")
