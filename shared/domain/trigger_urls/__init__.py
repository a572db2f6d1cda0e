"""Trigger URLs, which are secrets: find them in any text, replace them, mask them."""
