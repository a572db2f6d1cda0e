"""Set how many examples a property test tries.

`EXAMPLES=10` asks for ten times the usual number.
"""

import os


def count_examples(usual: int) -> int:
    """Return the value of Hypothesis' `max_examples`: the usual number, multiplied by the
    environment variable EXAMPLES.
    """
    return usual * int(os.environ.get("EXAMPLES", "1"))
