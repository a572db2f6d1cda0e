"""Check a key, its vault, its policy and its environments."""
