"""What may be the name of something in the archive, whatever keeps it."""

import re

_NAME = re.compile(r"(?!.*\.\.)[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*")
_LONGEST = 200


def check_name(name: str) -> None:
    """Raise `ValueError` for a name that could leave its folder or that some system refuses."""
    if len(name) > _LONGEST or not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} cannot be the name of something in the archive")
