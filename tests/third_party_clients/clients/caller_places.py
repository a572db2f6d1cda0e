"""Write URLs into places that the app searches, and read what it wrote there.

A script has a function that writes the environment variable `URL`, and functions that read. It is
started with `write` or `read`, in a separate process that knows only its environment variables.
"""

import os
import sys
from collections.abc import Callable, Mapping

from told import join_versions, report_all

#: By the name of a call.
type Calls = Mapping[str, Callable[[], str]]

URL = os.environ.get("URL", "")


def run(writes: Calls, reads: Calls, *distributions: str) -> None:
    """Make the calls that the command line names, and report them."""
    calls = {"write": writes, "read": reads}[sys.argv[1]]
    report_all(calls.items(), join_versions(*distributions))
