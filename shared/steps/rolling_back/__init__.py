"""Roll back: turn the original on, revert its callers, turn the copy off."""
