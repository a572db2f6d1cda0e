"""Retire originals: check for calls, or cut over."""
