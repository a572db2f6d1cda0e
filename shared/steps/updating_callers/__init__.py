"""Find the callers of an original, and write the copy's URL into each."""
