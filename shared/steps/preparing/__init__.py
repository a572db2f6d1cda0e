"""Change an original so that it needs no copy."""
