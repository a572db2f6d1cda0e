"""Run a client that writes URLs into places that the app searches, and reads what is there.

The client's script has a function that writes the URL of the environment variable `URL`, and
functions that read. The script is started with `write` or `read`, in a separate process that knows
only its environment variables.
"""

import os
import sys
from collections.abc import Callable, Mapping

from results import join_versions, report_all

#: By the name of a call.
type Calls = Mapping[str, Callable[[], str]]

URL = os.environ.get("URL", "")


def run(writes: Calls, reads: Calls, *distributions: str) -> None:
    """Run the functions that the command line names, and print their results."""
    calls = {"write": writes, "read": reads}[sys.argv[1]]
    report_all(calls.items(), join_versions(*distributions))
