"""How many examples a property test tries: EXAMPLES=10 asks for ten times the usual number."""

import os


def count_examples(usual: int) -> int:
    """Return the number of examples for `max_examples`."""
    return usual * int(os.environ.get("EXAMPLES", "1"))
