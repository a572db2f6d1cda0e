"""The work on one original: its states, its relatives, its end."""
