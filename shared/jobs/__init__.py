"""Durable jobs: rows that are the truth, messages that only say "look at this row"."""
