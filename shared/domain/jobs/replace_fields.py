"""Change fields of a job's row with the `__replace__` of `DurableJob`.

A row has up to 64 fields. `dataclasses.replace` reads and sets all of them, which takes ten times
as long.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dataclasses import replace  # checks the names and the types of the fields
else:
    from copy import replace

__all__ = ["replace"]
