"""Set how many examples a property test tries.

`EXAMPLES=10` asks for ten times the usual number.
"""

import os


def count_examples(usual: int) -> int:
    return usual * int(os.environ.get("EXAMPLES", "1"))
