"""Checks of a key, its vault, its policy and its environments."""
