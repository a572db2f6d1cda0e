"""Copy an original and verify the copy."""
