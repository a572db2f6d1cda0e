"""Trigger URLs, which are secrets: found in any text, replaced, put back."""
